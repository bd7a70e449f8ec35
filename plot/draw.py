#!/usr/bin/env python3
"""Draws what `kpksim plot` computed, with matplotlib: python3 draw.py pdf|svg|png <figure.json >figure.pdf

The JSON has `kind`, `labels`, `log`, `width` and `height` in inches, `x_categories` and `y_categories` where an
axis has texts, and `panels`: a title, `series` of points (x, y, low, high; of heat maps value), and the `front`.
The same JSON and the same matplotlib give the same bytes."""

import json
import math
import sys
import textwrap

import matplotlib

matplotlib.rcdefaults()  # not what the user's own settings say
matplotlib.use("agg")
from matplotlib import pyplot, ticker  # noqa: E402

# Okabe and Ito's colours, which colour-blind people tell apart. Patterns and marks say the same again.
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442"]
PATTERNS = ["", "////", "....", "xxxx", "----", "\\\\\\\\", "++++", "oooo"]
MARKS = ["o", "s", "^", "D", "v", "P", "X", "*"]
LINES = ["-", "--", "-.", ":"]
ROUND = len(COLOURS)  # from the ninth series on colours come again, with other marks, lines and patterns
LEGEND = 0.16  # inches for each of its lines
LONG = 16  # characters of a category's line
LETTER = 0.058  # inches of one of them


def style():
    matplotlib.rcParams.update({
        "font.family": "DejaVu Sans", "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8,
        "xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": 7, "legend.frameon": False,
        "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6,
        "axes.axisbelow": True, "grid.linewidth": 0.3, "grid.color": "#bbbbbb", "lines.linewidth": 1.2,
        "lines.markersize": 3.5, "hatch.linewidth": 0.4, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
        "pdf.fonttype": 42,  # embedded as TrueType, which publishers take
        "svg.hashsalt": "kpksim", "savefig.dpi": 300})


def wrapped(text):
    """In lines; a policy may be broken at its commas."""
    lines = textwrap.wrap(text.replace(",", ", "), LONG, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace(", ", ",")


def look(i):
    """Of series `i`: what tells it from all others, for lines and points. Marks of a second round are hollow."""
    out = {"color": COLOURS[i % ROUND], "marker": MARKS[(i + i // ROUND) % ROUND]}
    return out | {"markerfacecolor": "white"} if i // ROUND % 2 else out


def label(text, inches):
    """In lines, as an axis is long."""
    return "\n".join(textwrap.wrap(text, max(12, int(inches / 0.066)), break_on_hyphens=False))


def number(value):
    """For cells of heat maps: three digits, and a letter for their size."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def ranges(axes, points, at, colour, horizontal=False):
    """Error bars: from low to high, also where the value lies outside."""
    some = [(x, p) for x, p in zip(at, points) if "low" in p]
    if some:
        where, low, high = [x for x, _ in some], [p["low"] for _, p in some], [p["high"] for _, p in some]
        (axes.hlines if horizontal else axes.vlines)(where, low, high, color=colour, linewidth=0.8, zorder=3)
        for end in (low, high):
            axes.plot(end if horizontal else where, where if horizontal else end, linestyle="none",
                      marker="|" if horizontal else "_", color=colour, markersize=3, zorder=3)


def bars(axes, figure, panel, names):
    width, flat = 0.8 / len(names), lies(figure)
    for series in panel["series"]:
        i = names.index(series["name"])
        at = [p["x"] - 0.4 + (i + 0.5) * width for p in series["points"]]
        (axes.barh if flat else axes.bar)(
            at, [p["y"] for p in series["points"]], width * 0.92, label=series["name"], linewidth=0.4,
            color=COLOURS[i % ROUND], hatch=PATTERNS[(i + i // ROUND) % ROUND], edgecolor="white")
        ranges(axes, series["points"], at, "#333333", flat)
    (axes.axvline if flat else axes.axhline)(0, color="black", linewidth=0.6)
    axes.grid(axis="x" if flat else "y")


def lines(axes, figure, panel, names):
    for series in panel["series"]:
        i, points = names.index(series["name"]), series["points"]
        at = [p["x"] for p in points]
        axes.plot(at, [p["y"] for p in points], label=series["name"], linestyle=LINES[(i + i // ROUND) % len(LINES)],
                  **look(i))
        ranges(axes, points, at, COLOURS[i % ROUND])
    axes.grid(axis="y")


def scatter(axes, figure, panel, names):
    for series in panel["series"]:
        i, points = names.index(series["name"]), series["points"]
        at = [p["x"] for p in points]
        axes.plot(at, [p["y"] for p in points], label=series["name"], linestyle="none", markeredgewidth=0.5, alpha=0.8,
                  **look(i))
        ranges(axes, points, at, COLOURS[i % ROUND])
    if "front" in panel:
        axes.step([p[0] for p in panel["front"]], [p[1] for p in panel["front"]], where="post", color="black",
                  linewidth=0.8, label="Pareto front")
    axes.grid()


def heatmap(axes, figure, panel, names):
    points = [p for series in panel["series"] for p in series["points"]]
    columns, rows = figure["x_categories"], figure["y_categories"]
    cells = [[math.nan] * len(columns) for _ in rows]
    for p in points:
        cells[int(p["y"])][int(p["x"])] = p["value"]
    values = [p["value"] for q in figure["panels"] for s in q["series"] for p in s["points"]]
    log = "z" in figure["log"] and min(values) > 0
    scale = (matplotlib.colors.LogNorm if log else matplotlib.colors.Normalize)(min(values), max(values))
    image = axes.imshow(cells, cmap="cividis", norm=scale, aspect="auto", origin="lower")
    if len(columns) * len(rows) <= 100:
        for p in points:
            # Black on the light end of the map, white on the dark one.
            axes.text(p["x"], p["y"], number(p["value"]), ha="center", va="center", fontsize=6,
                      color="black" if scale(p["value"]) > 0.5 else "white")
    axes.set_yticks(range(len(rows)), [wrapped(r) for r in rows])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)
    return image


DRAW = {"bars": bars, "lines": lines, "scatter": scatter, "pareto": scatter, "heatmap": heatmap}


def grid_of(figure):
    """Columns and rows of panels."""
    count = len(figure["panels"])
    across = min(count, 1 if figure["width"] < 5 else 3 if count > 4 or count == 3 else 2)
    return across, -(-count // across)


def lies(figure):
    """Whether bars lie, so that their names, which are too long to stand side by side, can be read."""
    if figure["kind"] != "bars":
        return False
    longest = max(len(line) for c in figure["x_categories"] for line in wrapped(c).split("\n"))
    room = figure["width"] / grid_of(figure)[0] - 0.6
    return len(figure["x_categories"]) * (longest + 1) * LETTER > room


def scale(axes, figure):
    flat = lies(figure)
    for axis in ("x", "y"):
        shown = {"x": "y", "y": "x"}[axis] if flat else axis
        if axis in figure["log"]:
            getattr(axes, f"set_{shown}scale")("log")
        elif f"{axis}_categories" not in figure:
            getattr(axes, f"{shown}axis").set_major_formatter(ticker.EngFormatter(sep=""))
    if "x_categories" in figure:
        categories = figure["x_categories"]
        if flat:
            axes.set_yticks(range(len(categories)), [wrapped(c) for c in categories])
            axes.set_ylim(len(categories) - 0.5, -0.5)  # the first one is the topmost
        else:
            axes.set_xticks(range(len(categories)), [wrapped(c) for c in categories])
    elif figure["kind"] == "lines":
        # The values that were measured are few, and are what a reader looks for.
        values = sorted({p["x"] for q in figure["panels"] for s in q["series"] for p in s["points"]})
        if len(values) <= 8:
            axes.set_xticks(values, [f"{v:g}" for v in values])
            axes.xaxis.set_minor_locator(ticker.NullLocator())


def names_of(figure):
    """Of all panels: a series has one colour everywhere."""
    return list(dict.fromkeys(s["name"] for p in figure["panels"] for s in p["series"]))


def drawn(figure):
    style()
    across, down = grid_of(figure)
    names = names_of(figure)
    shown = figure["kind"] != "heatmap" and (len(names) > 1 or "front" in figure["panels"][0])
    entries = (len(names) + ("front" in figure["panels"][0])) if shown else 0
    letters = max([len(n) for n in names] + [12])
    columns = max(1, min(entries, int(figure["width"] / (0.45 + LETTER * letters))))
    legend = LEGEND * -(-entries // columns) if shown else 0
    flat, kind = lies(figure), figure["kind"]
    each = figure["width"] / across * 0.68
    if flat:
        each = 0.5 + len(figure["x_categories"]) * max(0.3, 0.13 * len(names))
    height = figure.get("height") or down * (each if flat else min(3.0, each)) + legend
    picture, all_axes = pyplot.subplots(down, across, figsize=(figure["width"], height), squeeze=False,
                                        sharex=kind == "bars" or "x_categories" in figure,
                                        sharey=kind not in ("scatter", "pareto"), layout="constrained")
    image, handles = None, {}
    for axes, panel in zip(all_axes.flat, figure["panels"]):
        image = DRAW[figure["kind"]](axes, figure, panel, names)
        scale(axes, figure)
        axes.set_title(panel["title"])
        handles.update({label: handle for handle, label in zip(*axes.get_legend_handles_labels())})
    for axes in list(all_axes.flat)[len(figure["panels"]):]:
        axes.set_axis_off()
    labels = figure["labels"]
    low, left = (labels["y"], labels["x"]) if flat else (labels["x"], labels["y"])
    for axes in all_axes[-1]:
        axes.set_xlabel(label(low, figure["width"] / across - 0.6))
    for axes in all_axes[:, 0]:
        axes.set_ylabel(label(left, (height - legend) / down - 0.5))
    if labels["title"]:
        picture.suptitle(labels["title"], fontsize=9)
    if image is not None:
        picture.colorbar(image, ax=all_axes, label=labels["z"], format=ticker.EngFormatter(sep=""))
    if shown:
        order = [n for n in names if n in handles] + [n for n in handles if n not in names]
        # Room for it is made below the pictures; what matplotlib itself would find lies upon them.
        picture.get_layout_engine().set(rect=(0, legend / height, 1, 1 - legend / height))
        picture.legend([handles[n] for n in order], order, loc="lower center", ncol=columns, columnspacing=1.2,
                       handletextpad=0.5, borderaxespad=0.1)
    return picture


def main():
    form = sys.argv[1]
    dates = {"svg": {"Date": None, "Creator": "kpksim plot"}, "png": {"Software": "kpksim plot"},
             "pdf": {"CreationDate": None, "Creator": "kpksim plot", "Producer": "matplotlib"}}
    drawn(json.load(sys.stdin)).savefig(sys.stdout.buffer, format=form, metadata=dates[form])


if __name__ == "__main__":
    main()
