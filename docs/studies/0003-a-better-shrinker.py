#!/usr/bin/python3
"""Makes the tables and the figure of 0003-a-better-shrinker.md anew.

    docs/studies/0003-a-better-shrinker.py            # the whole search; writes both
    docs/studies/0003-a-better-shrinker.py --check    # the policies that have a row; exit status 1 if
                                                      # a row is not what the simulator gives, or if
                                                      # the answer quotes what the tables do not say
"""
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import prose

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tools"))
import output_file  # noqa: E402

KPKSIM = pathlib.Path(os.environ.get("KPKSIM", ROOT / "build" / "release" / "kpksim"))
TEXT = HERE / "0003-a-better-shrinker.md"
GENERATIONS = HERE / "0003-generations.json"  # what generations() makes, for the figure, too
BEGIN, END = "<!-- tables: made by the script -->\n", "<!-- end of tables -->\n"

# What is searched; v6's are the first.
SPACE = {
    "orders": ["9/4/2", "6/4/2", "4/2", "2"],
    "handout": ["lifo", "fullest", "lowest"],
    "shrink": ["v6", "runs", "pieces", "idle"],
    "keep": ["16", "128"],
    "reserve": ["4", "16"],
    "break": ["64", "256"],  # of v6 and pieces
}
V6 = {name: values[0] for name, values in SPACE.items()}
EVERY = 2000  # operations of a recording between two times of memory pressure
WORKLOADS = {
    "pressure": "Every second of 16 processes ends, memory is scattered",
    "life": "60 processes grow, half of them end",
    "generations": "8 generations, of which a random half stays each time",
    "compile": "A recorded compilation under pressure",
    "redis": "Recorded redis under pressure",
    "postgres": "Recorded postgres under pressure",
}
RECORDINGS = ("compile", "redis", "postgres")
ROWS = {  # the policies that have a row, with their names
    "v6": {},
    "v6, fullest first": {"handout": "fullest"},
    "v6, break 256": {"break": "256"},
    "runs": {"shrink": "runs"},
    "idle": {"shrink": "idle", "handout": "fullest"},
    "pieces": {"shrink": "pieces"},
    "runs, of 256 KB": {"orders": "6/4/2", "shrink": "runs"},
    "v6, small runs": {"orders": "4/2"},
    "small runs": {"orders": "4/2", "shrink": "runs"},
    "small runs, fullest first": {"orders": "4/2", "shrink": "runs", "handout": "fullest"},
    "small runs, lowest first": {"orders": "4/2", "shrink": "runs", "handout": "lowest"},
    "small runs, idle": {"orders": "4/2", "shrink": "idle", "handout": "fullest"},
}
FIGURES = ["TLBIs", "calls", "splits", "pages held, mean", "at most", "at the end"]
ALL = "All six together"
GOALS = ["TLBIs", "splits", "pages held, mean", "at most"]  # of the front


def generations():
    """Processes start, grow page tables, and half of all that live end, in an order of chance."""
    chance, ops, living, phases = random.Random(1), [], [], []
    for generation in range(8):
        ops = []
        for i in range(30):
            task = f"g{generation}p{i}"
            ops += [{"op": "spawn", "task": task},
                    {"op": "mmap", "task": task, "region": task, "size": "64M", "prot": "rw",
                     "huge": "never"},
                    {"op": "touch", "task": task, "region": task, "access": "write", "stride": "2M"}]
            living.append(task)
        chance.shuffle(living)
        half = len(living) // 2
        for task in living[half:]:
            ops += [{"op": "switch", "task": task}, {"op": "exit", "task": task}]
        living = living[:half]
        phases.append({"name": f"generation {generation}", "ops": ops + [{"op": "pressure"}]})
    return {"name": "generations", "description": WORKLOADS["generations"], "seed": 1,
            "phases": phases}


def text_of(choice):
    given = "".join(f":{name}={value}" for name, value in choice.items() if value != V6[name])
    return f"kpkeys-poe+lazy,pba{given}:held=on,block"


def space():
    """All of the search: `break` is varied where it means something."""
    for values in itertools.product(*SPACE.values()):
        choice = dict(zip(SPACE, values))
        if choice["break"] == V6["break"] or choice["shrink"] in ("v6", "pieces"):
            yield choice


def figures(run):
    total = run["total"]
    allocator, linear_map = total["allocator"], total["linear_map"]
    cycles = total["cycles"]["total"]
    return {"TLBIs": sum(e["total"] for name, e in total["events"].items()
                         if name.startswith("tlbi_")),
            "calls": linear_map["set_memory_pkey"],
            "splits": sum(n for name, n in linear_map.items() if name.startswith("split_")),
            "pages held, mean": round(allocator["held_time"] / cycles, 1),
            "at most": allocator["held_most"], "at the end": allocator["cached"],
            "cycles": cycles}


def simulate(name, choices):
    """The figures of each choice, in this order."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "result.json"
        file = {"life": str(ROOT / "workloads" / "kernel-truth" / "life.json"),
                "generations": str(GENERATIONS)}.get(name, name)
        for begin in range(0, len(choices), 50):
            command = [str(KPKSIM), "compare", "-q", "--memory", "2G", "-o", str(out), file]
            if name in RECORDINGS:
                command += ["--pressure-every", str(EVERY)]
            for choice in choices[begin:begin + 50]:
                command += ["-p", text_of(choice)]
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            results += map(figures, json.loads(out.read_text())["runs"])
    return results


def dominates(a, b):
    return all(a[g] <= b[g] for g in GOALS) and any(a[g] < b[g] for g in GOALS)


def front(points):
    """The places of those that none dominates."""
    distinct = {tuple(p[g] for g in GOALS): p for p in points}.values()
    best = {tuple(p[g] for g in GOALS) for p in distinct if not any(dominates(q, p) for q in distinct)}
    return [i for i, p in enumerate(points) if tuple(p[g] for g in GOALS) in best]


def head(columns):
    return "| | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns) + "\n"


def rows(name, results):
    """The table of one workload: `results` in the order of ROWS."""
    text = f"\n### {WORKLOADS[name]}\n\n" + head(FIGURES + ["cycles, percent"])
    for label, row in zip(ROWS, results):
        more = row["cycles"] / results[0]["cycles"] * 100 - 100
        text += f"| {label} | " + " | ".join(f"{row[c]:,}" for c in FIGURES) + f" | {more:.2f} |\n"
    return text


def together(by_workload):
    """The sums of ROWS over the workloads, and where a row is worse than v6."""
    text = f"\n### {ALL}\n\n" + head(FIGURES[:-1] + ["worse than v6 in"])
    for i, label in enumerate(ROWS):
        sums = [round(sum(results[i][c] for results in by_workload), 1) for c in FIGURES[:-1]]
        worse = sum(results[i][g] > results[0][g] for results in by_workload for g in GOALS)
        text += f"| {label} | " + " | ".join(f"{n:,}" for n in sums) + f" | {worse} |\n"
    return text


def of_the_front(choices, results):
    """How many policies of each workload's front have each value; in the last column, how many of
    those that are nowhere worse than v6."""
    fronts = {name: front(points) for name, points in results.items()}
    v6 = choices.index(V6)
    better = [i for i in range(len(choices)) if i != v6 and
              all(p[i][g] <= p[v6][g] for p in results.values() for g in GOALS)]
    columns = [*fronts.values(), better]
    text = "\n### On the front, of the policies searched\n\n"
    text += head(["searched", *fronts, "nowhere worse than v6"])
    text += f"| all | {len(choices)} | " + " | ".join(str(len(c)) for c in columns) + " |\n"
    for parameter, values in SPACE.items():
        for value in values:
            of_it = [sum(choices[i][parameter] == value for i in c)
                     for c in (range(len(choices)), *columns)]
            text += f"| {parameter} {value} | " + " | ".join(map(str, of_it)) + " |\n"
    return text


def number(cell):
    return float(cell.replace(",", ""))


def quotes(tables):
    """What the answer says in numbers, as the tables have it. Its first sentence is the first."""
    every = tables[ALL]
    best, v6, small_v6 = every["small runs, lowest first"], every["v6"], every["v6, small runs"]
    large, idle = every["runs"], every["small runs, idle"]
    mean = "pages held, mean"
    assert best["worse than v6 in"] == small_v6["worse than v6 in"] == "0"
    assert idle["worse than v6 in"] == "0" != large["worse than v6 in"]
    assert all(number(small_v6[mean]) <= number(row[mean]) for row in every.values())
    # The order of hand-out decides little.
    by_order = [every[row] for row in ("small runs", "small runs, fullest first",
                                       "small runs, lowest first")]
    apart = max(number(r["TLBIs"]) for r in by_order) / min(number(r["TLBIs"]) for r in by_order)
    life, generations = tables[WORKLOADS["life"]], tables[WORKLOADS["generations"]]
    left = "at the end"
    fronts = tables["On the front, of the policies searched"]
    slow = [number(tables[WORKLOADS[w]]["small runs, lowest first"]["cycles, percent"])
            for w in WORKLOADS]
    pieces = every["pieces"]
    return [
        f"Runs of 64 KB that are given back whole, the lowest page first, need {best['TLBIs']} TLBIs and "
        f"{best['splits']} splits where v6 needs {v6['TLBIs']} and {v6['splits']}, and hold {best[mean]} "
        f"pages where v6 holds {v6[mean]}.",
        f"v6's own rule with runs of 64 KB needs {small_v6['TLBIs']} TLBIs and holds {small_v6[mean]} pages, "
        f"fewer than any other row; but {small_v6['splits']} splits and {small_v6['calls']} calls, "
        f"instead of {best['splits']} and {best['calls']}",
        f"After the pressure of life it holds {life['v6, small runs'][left]} pages, and after that of "
        f"generations {generations['v6, small runs'][left]}, where runs given back whole leave "
        f"{life['small runs, lowest first'][left]} and {generations['small runs, lowest first'][left]}",
        f"{large['TLBIs']} TLBIs and {large['splits']} split{'s' * (large['splits'] != '1')}, and hold "
        f"{large[mean]} pages",
        f"{pieces['splits']} splits instead of {v6['splits']}, and {pieces['calls']} calls instead of "
        f"{v6['calls']}",
        f"{idle['TLBIs']} TLBIs for {idle[mean]} pages",
        f"apart by at most {apart * 100 - 100:.1f} % of the TLBIs",
        f"{fronts['all']['nowhere worse than v6']} of {fronts['all']['searched']} policies are nowhere "
        f"worse than v6, and all of them have runs of at most 256 KB",
        f"between {-max(slow):.2f} and {-min(slow):.2f} % of the kernel's cycles",
    ]


def check_prose(text):
    tables = prose.tables_of(text)
    fronts = tables["On the front, of the policies searched"]
    assert fronts["orders 9/4/2"]["nowhere worse than v6"] == "0", "the answer says so"
    answer = text.split("**Answer.**")[1].split("![")[0]
    return prose.check(answer, quotes(tables), [
        "(Sums over six workloads.)", "v6", "2 MB", "64 KB", "orders=4/2"])


def check():
    text = TEXT.read_text()
    choices = [{**V6, **choice} for choice in ROWS.values()]
    by_workload = [simulate(name, choices) for name in WORKLOADS]
    made = "".join(map(rows, WORKLOADS, by_workload)) + together(by_workload)
    wrong = check_prose(text)
    if made not in text:
        wrong.append(f"its tables are not what the simulator gives; run {__file__} and read the text again")
    if json.loads(GENERATIONS.read_text()) != generations():
        wrong.append(f"{GENERATIONS.name} is not what generations() makes")
    if wrong:
        sys.exit(f"{TEXT}: " + "; ".join(wrong))


def search():
    output_file.write(GENERATIONS, json.dumps(generations()) + "\n")
    choices = list(space())
    results = {name: simulate(name, choices) for name in WORKLOADS}
    places = [choices.index({**V6, **choice}) for choice in ROWS.values()]
    by_workload = [[results[name][i] for i in places] for name in WORKLOADS]
    made = ("".join(map(rows, WORKLOADS, by_workload)) + together(by_workload)
            + of_the_front(choices, results) + "\n")
    head_of_text, rest = TEXT.read_text().split(BEGIN)
    output_file.write(TEXT, head_of_text + BEGIN + made + END + rest.split(END)[1])
    subprocess.run([ROOT / "figures/make", f"docs/studies/{TEXT.stem}"], check=True)
    for wrong in check_prose(TEXT.read_text()):
        print(wrong, file=sys.stderr)


if __name__ == "__main__":
    check() if "--check" in sys.argv[1:] else search()
