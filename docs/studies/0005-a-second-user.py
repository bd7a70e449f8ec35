#!/usr/bin/python3
"""Makes the tables and the first sentences of 0005-a-second-user.md anew.

    docs/studies/0005-a-second-user.py            # writes them
    docs/studies/0005-a-second-user.py --check    # exit status 1 if the text says anything else
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
TEXT = HERE / "0005-a-second-user.md"

BASE, ALONE, BOTH = ("none,buddy,pte", "kpkeys-poe+lazy,per-page,pte",
                     "kpkeys-poe+lazy:cred=on,per-page,pte")
TIMES = 2000


def of_calls(name, *calls):
    """One process that makes these calls over and over."""
    start = [{"op": "spawn", "task": "p"}, {"op": "syscall", "task": "p"}]
    ops = [{"op": "syscall", "task": "p", **call} for call in calls]
    return {"name": name, "phases": [{"name": "start", "ops": start},
                                     {"name": "measured", "ops": [{"repeat": TIMES, "ops": ops}]}]}


OPEN = {"call": "open", "components": 3, "descriptor": 3}
CLOSE = {"call": "close", "descriptor": 3}
RECORDED = ROOT / "tests" / "app-truth" / "traces" / "shell_loop.strace.zst"
OTHERS = ROOT / "tools" / "kernel-truth" / "results" / "programs" / "traces"
CASES = {
    "fork and exec, 100 times": "fork-exec-server",
    "open and close": of_calls("open", OPEN, CLOSE),
    "open of what is not there": of_calls("absent", {"call": "open", "components": 3,
                                                      "absent": True}),
    "setuid": of_calls("setuid", {"call": "setuid"}),
    "a shell's loop, recorded": RECORDED,
    "a tree of shells, recorded": OTHERS / "shell_tree.strace.zst",
    "bash with pipes, recorded": OTHERS / "bash_pipes.strace.zst",
    "a compilation, recorded": "compile",
}


def figures(run, phase):
    part = next((p for p in run["phases"] if p["name"] == phase), run["total"])
    cred = part.get("credentials", {})
    return {"cycles": part["cycles"]["total"], "sections": cred.get("sections", 0),
            "writes": cred.get("switches", 0), "committed": cred.get("committed", 0)}


def simulate(workload):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "result.json"
        if isinstance(workload, dict):
            own = pathlib.Path(folder) / (workload["name"] + ".json")
            own.write_text(json.dumps(workload))
            workload = own
        subprocess.run([str(KPKSIM), "compare", "-q", "-p", BASE, "-p", ALONE, "-p", BOTH, "-o",
                        str(out), str(workload)], stdout=subprocess.DEVNULL, check=True)
        return [figures(run, "measured") for run in json.loads(out.read_text())["runs"]]


def made():
    rows, adds = "", {}
    for name, workload in CASES.items():
        base, alone, both = simulate(workload)
        percent = [100 * (run["cycles"] / base["cycles"] - 1) for run in (alone, both)]
        adds[name] = percent[1] - percent[0]
        rows += (f"| {name} | {both['committed']:,} | {both['sections']:,} | {both['writes']:,} | "
                 f"{percent[0]:.1f} | {percent[1]:.1f} | {adds[name]:.1f} |\n")
    programs = [adds[name] for name in CASES if "recorded" in name or "fork" in name]
    calls = [adds[name] for name in CASES if name not in ("fork and exec, 100 times",)
             and "recorded" not in name]
    return (f"Credentials with a key of their own cost whole programs {min(programs):.1f} to "
            f"{max(programs):.1f} % of the kernel's cycles, and the calls that do little else "
            f"{min(calls):.1f} to {max(calls):.1f} %.\n\n"
            "| | committed | sections | register writes | page tables alone, % | with credentials, % "
            "| difference |\n|---|---:|---:|---:|---:|---:|---:|\n" + rows + "\n")


made_text.main(TEXT, made)
