"""Scatter plots as SVG, without a library: the same bytes wherever it runs."""
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 330, 250, 62, 34, 12, 40


def ticks(most):
    """About four round numbers from 0 on."""
    step = 1
    while most / step > 4:
        step *= 2.5 if str(step).startswith("2") else 2
        step = int(step)
    return [i * step for i in range(int(most / step) + 1)]


def text(x, y, words, anchor="middle", more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(words)}</text>\n')


def panel(at, title, marks, names):
    """`marks`: (x, y, colour, radius, filled), those drawn last on top. `names`: of the axes."""
    most_x = max(m[0] for m in marks) * 1.05 or 1
    most_y = max(m[1] for m in marks) * 1.05 or 1
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(x, y):
        return LEFT + x / most_x * wide, TOP + high - y / most_y * high
    out = f'<g transform="translate({at[0]},{at[1]})">\n'
    out += text(LEFT + wide / 2, TOP - 10, title, more='font-weight="bold"')
    for tick in ticks(most_x):
        x, y = place(tick, 0)
        out += f'<path d="M{x:.1f} {TOP}V{y:.1f}" stroke="#ddd"/>\n' + text(x, y + 13, f"{tick:,}")
    for tick in ticks(most_y):
        x, y = place(0, tick)
        out += f'<path d="M{x:.1f} {y:.1f}H{LEFT + wide}" stroke="#ddd"/>\n'
        out += text(x - 4, y + 4, f"{tick:,}", "end")
    out += text(LEFT + wide / 2, HEIGHT - 10, names[0])
    out += text(0, 0, names[1], more=f'transform="translate(11,{TOP + high / 2}) rotate(-90)"')
    for x, y, colour, radius, filled in dict.fromkeys(marks):
        px, py = place(x, y)
        fill = f'fill="{colour}"' if filled else 'fill="none"'
        out += f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{radius}" {fill} stroke="{colour}"/>\n'
    return out + "</g>\n"


def figure(panels, legend, columns=3):
    """`panels`: (title, marks, names). `legend`: (colour, radius, filled, words)."""
    rows = -(-len(panels) // columns)
    width, height = columns * WIDTH, rows * HEIGHT + 30
    out = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           f'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="#fff"/>\n')
    for i, (title, marks, names) in enumerate(panels):
        out += panel((i % columns * WIDTH, i // columns * HEIGHT), title, marks, names)
    x = LEFT
    for colour, radius, filled, words in legend:
        fill = f'fill="{colour}"' if filled else 'fill="none"'
        out += (f'<circle cx="{x}" cy="{height - 16}" r="{radius}" {fill} stroke="{colour}"/>\n'
                + text(x + 10, height - 12, words, "start"))
        x += 24 + 6.2 * len(words)
    return out + "</svg>\n"
