#!/usr/bin/python3
"""Makes the tables and the first sentence of 0007-keys-and-tags.md anew.

    docs/studies/0007-keys-and-tags.py            # writes them
    docs/studies/0007-keys-and-tags.py --check    # exit status 1 if the text says anything else
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))
import made_text  # noqa: E402

KPKSIM = pathlib.Path(os.environ.get("KPKSIM", ROOT / "build" / "release" / "kpksim"))
TEXT = HERE / "0007-keys-and-tags.md"
DRAWS = "400"

# What is compared: a protection, and whether objects have tags too.
KEYS, BOTH = "keys", "both, Linux's"
SIDES = {
    KEYS: ("kpkeys-poe", False),
    "tags, Linux's": ("mte:match_all=on", True),
    "tags of tables, strict": ("mte", False),
    "tags of all, strict": ("mte", True),
    BOTH: ("kpkeys-poe+mte:match_all=on", True),
    "both, strict": ("kpkeys-poe+mte", True),
}
SPATIAL = {"overflow": "an object's end is overrun", "relative-write": "an index is wrong",
           "kunit-user-pte": "an address is made up"}
TEMPORAL = {"dirty-pagetable": "an object is used after free", "cross-cache": "so is a slab's",
            "dirty-pagetable-user": "a user mapping dangles", "double-free": "a page is freed twice"}
OTHERS = {"marking-outstanding": "a table's mark is not flushed yet",
          "before-marking": "a table has no mark yet", "kernel-alias": "another kernel mapping",
          "saved-register": "the saved key register is changed",
          "window-code": "code in a window is misled", "forged-root": "a forged top-level table",
          "page-cache": "no table takes part"}
COSTS = ("kpkeys-poe,per-page,pte", "kpkeys-poe+lazy,per-page,pte", "mte,per-page,pte",
         "kpkeys-poe+mte,per-page,pte", "kpkeys-poe+mte+lazy,per-page,pte")
WORKLOADS = {"fork-1g": "fork of 1 GB", "munmap-1g": "munmap of 1 GB",
             "vmalloc-p16": "vmalloc of 16 pages", "fork-exec-server": "fork and exec",
             "compile": "a compilation, recorded", "redis": "redis, recorded",
             "postgres": "postgres, recorded"}


def document(*command):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out.json"
        subprocess.run([str(KPKSIM), *command, "--quiet", "-o", str(out)], check=True,
                       stdout=subprocess.DEVNULL)
        return json.loads(out.read_text())


def verdicts():
    """{attack: {side: verdict}}"""
    out = {}
    for tagged in (False, True):
        sides = {f"{policy},per-page,pte": side for side, (policy, t) in SIDES.items()
                 if t == tagged}
        command = ["attack", *SPATIAL, *TEMPORAL, *OTHERS, "--draws", DRAWS]
        command += [word for policy in sides for word in ("-p", policy)]
        for scenario in document(*command, *(["--tagged-objects"] if tagged else []))["scenarios"]:
            for verdict in scenario["verdicts"]:
                out.setdefault(scenario["name"], {})[sides[verdict["policy"]]] = verdict
    return out


def kind(verdict):
    """stopped, chance, or open."""
    if verdict["draws"] > 1 and verdict["successes"] < verdict["draws"]:
        return "chance"
    return "open" if verdict["outcome"] == "succeeded" else "stopped"


def cell(verdict):
    how = kind(verdict)
    if how == "chance":
        share = 1 - verdict["successes"] / verdict["draws"]
        return f"p = {share:.2f} ({verdict['detected']['low']:.2f} to {verdict['detected']['high']:.2f})"
    if how == "open":
        return "**succeeds**"
    text = verdict["text"].split(",")[0].split(":")[0].replace(" fault", "")
    return {"no such moment": "no such moment"}.get(text, text)


def matrix(attacks, cells):
    text = "| | attack | " + " | ".join(SIDES) + " |\n|---|---|" + "---|" * len(SIDES) + "\n"
    for attack, words in attacks.items():
        row = " | ".join(cell(cells[attack][side]) for side in SIDES)
        text += f"| {words} | `{attack}` | {row} |\n"
    return text


def costs():
    """{workload: {policy: overhead in percent of the unprotected kernel's cycles}}"""
    out = {}
    for workload in WORKLOADS:
        policies = [word for p in ("none,buddy,pte", *COSTS) for word in ("-p", p)]
        runs = document("compare", "--core", "neoverse-v2", *policies, workload)["runs"]
        cycles = [run["total"]["cycles"]["total"] for run in runs]
        out[workload] = dict(zip(COSTS, (100 * (c / cycles[0] - 1) for c in cycles[1:])))
    return out


def said(cells, side, attacks):
    """How many of these attacks the side stops for certain, leaves to chance, lets succeed."""
    kinds = [kind(cells[a][side]) for a in attacks]
    return [kinds.count(k) for k in ("stopped", "chance", "open")]


def answer(cells, cost):
    bugs = [*SPATIAL, *TEMPORAL]
    keys, tags, both = (said(cells, side, bugs) for side in (KEYS, "tags, Linux's", BOTH))
    compilation = cost["compile"]
    return (f"Of {len(bugs)} bugs that end in a page table, keys stop {keys[0]} for certain, tags as "
            f"Linux uses them leave {tags[1]} to chance and let {tags[2]} succeed, and both stop "
            f"{both[0]}; in a compilation keys cost {compilation[COSTS[0]]:.1f} % of the kernel's "
            f"cycles ({compilation[COSTS[1]]:.1f} % with batching), tags of page tables "
            f"{compilation[COSTS[2]]:.1f} %, and both {compilation[COSTS[3]]:.1f} % "
            f"({compilation[COSTS[4]]:.1f} %).\n\n")


def made():
    cells, cost = verdicts(), costs()
    text = answer(cells, cost)
    text += "### Spatial bugs\n\n" + matrix(SPATIAL, cells)
    text += "\n### Temporal bugs\n\n" + matrix(TEMPORAL, cells)
    text += "\n### Beside these\n\n" + matrix(OTHERS, cells)
    text += "\n### Overhead, in percent of the unprotected kernel's cycles (neoverse-v2)\n\n"
    text += "| workload | " + " | ".join(f"`{p.split(',')[0]}`" for p in COSTS) + " |\n"
    text += "|---|" + "---:|" * len(COSTS) + "\n"
    for workload, words in WORKLOADS.items():
        row = " | ".join(f"{cost[workload][p]:+.1f}" for p in COSTS)
        text += f"| {words} | {row} |\n"
    return text + "\n"


made_text.main(TEXT, made)
