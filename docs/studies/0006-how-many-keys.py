#!/usr/bin/python3
"""Makes the tables and the first sentence of 0006-how-many-keys.md anew, from sweeps/keys.json and
sweeps/keys-compile.json; with --check: exit status 1 if the text says anything else."""
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import made_text  # noqa: E402
import sweeps  # noqa: E402

BUDGETS = ("4", "8", "16", "32")
CLASSES = ("1", "4", "7", "8", "12", "16")  # beside page tables
RATES = ("0.1", "1", "10")                  # entries of each context for an open()
COMPILE_BUDGETS = ("4", "6", "8", "10", "11", "12", "16")
STRATEGIES = ("dedicated", "shared-graph", "shared-balanced", "hierarchical", "virtualised",
              "optimal")


def is_refused(row):
    if row["error"] and not row["error"].startswith("refused: "):
        sys.exit(f"point {row['point']}: {row['error']}")
    return bool(row["error"])


def cell(row, value):
    return "refused" if is_refused(row) else value(row)


def number(row, name):
    return float(row[f"keys.{name}"])


def overhead(digits):
    return lambda row: f"{number(row, 'overhead_percent'):+.{digits}f} %"


def count(name):
    return lambda row: f"{number(row, name):,.0f}"


def unneeded_kb(row):
    return f"{number(row, 'unneeded_bytes') / 1024:,.0f} KB"


def first_sentence(rows):
    enough = min(int(b) for b, s in rows if s == "dedicated" and not is_refused(rows[b, s]))
    own, shared, virtual = (rows["16", "dedicated"], rows["8", "optimal"],
                            rows["8", "virtualised"])
    percent = "overhead_percent"
    costs = number(shared, percent) - number(own, percent)
    if abs(costs) >= 0.005 or number(virtual, "unneeded_bytes") != 0:
        sys.exit("the first sentence does not hold: sharing costs cycles, or virtual keys reach more")
    return (f"A compilation with the proposed users of kpkeys needs {enough} keys to give nothing "
            f"away, and pays {number(own, percent):.2f} % of its cycles for their contexts; with POE's "
            f"eight, sharing costs it no more and lets a context reach "
            f"{number(shared, 'unneeded_bytes'):,.0f} bytes that it does not use, averaged over "
            f"its time, and taking keys from one class for another costs a further "
            f"{number(virtual, percent) - number(own, percent):.2f} % of its cycles and reaches "
            f"none.\n\n")


def made():
    compiled = {(r["keys:/budget"], r["keys:/strategy"]): r for r in sweeps.rows("keys-compile")}
    points = {(r["keys:/first_classes"], r["keys:/rate"], r["keys:/budget"], r["keys:/strategy"]): r
              for r in sweeps.rows("keys")}

    def by_budget(head, value, strategies=STRATEGIES):
        return sweeps.table(head, COMPILE_BUDGETS, {
            s: [cell(compiled[b, s], value) for b in COMPILE_BUDGETS] for s in strategies})

    def by_classes(strategy, value):
        return sweeps.table(strategy, [f"{b} keys" for b in BUDGETS], {
            f"{n} classes" if n != "1" else "1 class":
                [cell(points[n, "1", b, strategy], value) for b in BUDGETS] for n in CLASSES}) + "\n"

    text = first_sentence(compiled)
    text += "### The compilation, by budget\n\n"
    text += by_budget("overhead", overhead(2))
    text += "\n" + by_budget("bytes reached without use", count("unneeded_bytes"))
    text += "\n" + by_budget("evictions", count("evictions"), ["virtualised"])
    text += "\n### Overhead of open(), by classes and budget (each context entered once a call)\n\n"
    text += "".join(by_classes(s, overhead(1)) for s in ("dedicated", "virtualised", "optimal"))
    text += "### Reached without use, on average over the time in contexts\n\n"
    text += "".join(by_classes(s, unneeded_kb)
                    for s in ("shared-balanced", "hierarchical", "optimal"))
    text += "### Eight keys, twelve classes, by how often each context is entered in a call\n\n"
    text += sweeps.table("overhead", RATES, {
        s: [cell(points["12", r, "8", s], overhead(1)) for r in RATES] for s in STRATEGIES})
    return text + "\n"


made_text.main(pathlib.Path(__file__).with_suffix(".md"), made)
