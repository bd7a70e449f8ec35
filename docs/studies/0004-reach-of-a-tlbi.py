#!/usr/bin/python3
"""Makes the tables and the first sentence of 0004-reach-of-a-tlbi.md anew.

    docs/studies/0004-reach-of-a-tlbi.py            # writes them
    docs/studies/0004-reach-of-a-tlbi.py --check    # exit status 1 if the text says anything else
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
TEXT = HERE / "0004-reach-of-a-tlbi.md"

REACHES = ("broadcast", "local-if-alone", "ipi", "domain")
# Operations a second of stress-ng's tlb-shootdown by instances: today's kernel, and with the series
# "arm64, tlbflush: don't broadcast if mm was only active on local cpu".
PUBLISHED = {1: (9109, 8903), 4: (8115, 9892), 8: (5119, 11854), 16: (4796, 14176),
             32: (1593, 15328), 64: (1486, 8096), 128: (1315, 8257)}
MOVES = {"never moves": None, "moves once": 400, "moves each 100 rounds": 100,
         "moves each 10 rounds": 10, "moves each round": 1}
ROUNDS = 400


def run(workload, cores):
    """The document's phases, by reach."""
    command = [str(KPKSIM), "compare", "--quiet", "--cores", str(cores)]
    for reach in REACHES:
        command += ["-p", "none,buddy,pte," + reach]
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "result.json"
        subprocess.run(command + ["-o", str(out), str(workload)], stdout=subprocess.DEVNULL,
                       check=True)
        return dict(zip(REACHES, (r["phases"] for r in json.loads(out.read_text())["runs"])))


def shootdowns():
    """Cycles of a round of a process, by instances and reach: the core that takes longest."""
    cycles = {}
    for reach, phases in run(ROOT / "workloads" / "tlb-shootdown.json", 128).items():
        for phase in phases:
            if phase["name"].isdigit():
                cores = [c["cycles"]["total"] for c in phase["cores"] if c.get("cycles")]
                cycles.setdefault(int(phase["name"]), {})[reach] = max(cores) / 10
    return cycles


def moving(every):
    """Cycles of a round, by reach: a page is made read-only and writable again, and written."""
    ops = [{"op": "mprotect", "task": "one", "region": "page", "prot": prot} for prot in ("r", "rw")]
    ops.append({"op": "touch", "task": "one", "region": "page", "access": "write"})
    start = [{"op": "spawn", "task": "one"},
             {"op": "mmap", "task": "one", "region": "page", "size": "4K"},
             {"op": "touch", "task": "one", "region": "page", "access": "write"}]
    if every == ROUNDS:
        start.append({"op": "migrate", "task": "one", "core": 1})
    measured = [{"repeat": ROUNDS, "ops": ops}]
    if every is not None and every < ROUNDS:
        measured = [{"repeat": ROUNDS // every // 2 or 1, "ops": [
            step for core in (1, 0)
            for step in ({"op": "migrate", "task": "one", "core": core},
                         {"repeat": every, "ops": ops})]}]
    workload = {"name": "moving", "phases": [{"name": "start", "ops": start},
                                             {"name": "measured", "ops": measured}]}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "moving.json"
        path.write_text(json.dumps(workload))
        return {reach: phases[1]["cycles"]["total"] / ROUNDS
                for reach, phases in run(path, 64).items()}


def table(head, rows):
    text = f"| {head} | " + " | ".join(REACHES) + " |\n|---|" + "---:|" * len(REACHES) + "\n"
    for name, cycles in rows.items():
        text += f"| {name} | " + " | ".join(f"{cycles[r]:,.0f}" for r in REACHES) + " |\n"
    return text


def faster(cycles):
    percent = round(100 * (cycles["broadcast"] / cycles["local-if-alone"] - 1))
    return f"{percent} % faster" if percent > 0 else "no faster"


def made():
    stress = shootdowns()
    moves = {name: moving(every) for name, every in MOVES.items()}
    alone, once = moves["never moves"], moves["moves once"]
    text = (f"A process that stays on one core of 64 makes a page read-only and writable again "
            f"{faster(alone)} where its TLBIs stay there too, and {faster(once)} from its first move "
            f"to another core on, until it gets a new ASID.\n\n")
    text += "### Cycles of a round, by how often the process moves (64 cores)\n\n"
    text += table("", moves)
    text += "\n### Cycles of a round of tlb-shootdown, by instances (128 cores)\n\n"
    text += table("instances", stress)
    text += ("\n### Speed of local-if-alone, of that of broadcast\n\n"
             "| instances | published | modelled |\n|---|---:|---:|\n")
    for n, (broadcast, local) in PUBLISHED.items():
        modelled = stress[n]["broadcast"] / stress[n]["local-if-alone"]
        text += f"| {n} | {local / broadcast:.2f} | {modelled:.2f} |\n"
    return text + "\n"


made_text.main(TEXT, made)
