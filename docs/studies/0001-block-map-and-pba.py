#!/usr/bin/python3
"""Makes the tables and the figure of 0001-block-map-and-pba.md anew.

    docs/studies/0001-block-map-and-pba.py            # writes both (the figure: figures/make)
    docs/studies/0001-block-map-and-pba.py --check    # one machine; exit status 1 if its table in
                                                      # the text is not what the simulator gives
    docs/studies/0001-block-map-and-pba.py --prose    # exit status 1 if the answer quotes what the
                                                      # text's tables do not say
"""
import csv
import json
import os
import pathlib
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
TEXT = HERE / "0001-block-map-and-pba.md"
BEGIN, END = "<!-- tables: made by the script -->\n", "<!-- end of tables -->\n"

DRAWS = 200
BASE = "none,buddy,block"
POLICIES = {  # in the order of the columns, with their heads
    BASE: "unprotected",
    "none,buddy,pte": "unprotected, pages",
    "kpkeys-poe+lazy,buddy,pte": "register only, pages",
    "kpkeys-poe+lazy,per-page,pte": "per-page, pages",
    "kpkeys-poe+lazy,per-page,block": "per-page, blocks",
    "kpkeys-poe+lazy,pba,block": "pba, blocks",
    "kpkeys-poe,pba,block": "pba, blocks, no batching",
}
PBA = "kpkeys-poe+lazy,pba,block"
SINGLE = "kpkeys-poe+lazy,per-page,block"
SAME = 0.2  # percentage points between medians: no difference to speak of
CLAIMS = {
    "pba on blocks beats per-page on blocks": (PBA, SINGLE),
    "pba on blocks beats per-page on pages": (PBA, "kpkeys-poe+lazy,per-page,pte"),
    "switching the register alone, on pages, beats pba on blocks":
        ("kpkeys-poe+lazy,buddy,pte", PBA),
}
BENCHMARKS = {
    "fork-h0": "fork h:0", "fork-h1": "fork h:1", "munmap-h0": "munmap h:0",
    "munmap-h1": "munmap h:1", "vmalloc-p1-h0": "vmalloc p:1 h:0",
    "vmalloc-p4-h0": "vmalloc p:4 h:0", "vmalloc-p16-h0": "vmalloc p:16 h:0",
    "vmalloc-p64-h0": "vmalloc p:64 h:0", "vmalloc-p256-h0": "vmalloc p:256 h:0",
    "vmalloc-p16-h1": "vmalloc p:16 h:1", "vmalloc-p64-h1": "vmalloc p:64 h:1",
    "vmalloc-p256-h1": "vmalloc p:256 h:1", "vmalloc-random": "vmalloc random",
    "vm-map-ram": "vm_map_ram", "compile": "compilation",
}
MACHINES = [(core, cores) for core in ("neoverse-v1", "neoverse-v2") for cores in (1, 64)]


def simulate(core, cores):
    """By benchmark: the document's part on the measured phase, and the runs' parts on it."""
    files = [name if name == "compile" else str(ROOT / "workloads" / "published" / (name + ".json"))
             for name in BENCHMARKS]
    command = [str(KPKSIM), "compare", "--core", core, "--cores", str(cores), "--kernel",
               "linux-6.17", "--hz", "250", "--uncertainty", str(DRAWS)]
    for policy in POLICIES:
        command += ["-p", policy]
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "result.json"
        subprocess.run(command + ["-o", str(out)] + files, stdout=subprocess.DEVNULL, check=True)
        document = json.loads(out.read_text())
    results = {}
    for i, name in enumerate(BENCHMARKS):
        phases = document["uncertainty"][i]["phases"]
        phase = next((p for p in phases if p["name"] == "measured"), phases[-1])
        runs = document["runs"][i * len(POLICIES):(i + 1) * len(POLICIES)]
        keyings = [part["linear_map"]["set_memory_pkey"] for run in runs
                   for part in [*run["phases"], {"name": "total", **run["total"]}]
                   if part["name"] == phase["name"]]
        results[name] = {"phase": phase, "keyings": dict(zip(POLICIES, keyings))}
    return results


def interval(result, policy):
    for entry in result["phase"]["policies"]:
        if entry["policy"] == policy:
            return entry["overhead_percent"]
    raise KeyError(policy)


def beaten(result, better, worse):
    """In how many draws `better` needs fewer cycles, where there is a difference to speak of."""
    if abs(interval(result, better)[1] - interval(result, worse)[1]) < SAME:
        return "equal"
    pairs = {(p["policy"], p["beats"]): p["draws"] for p in result["phase"]["pairs"]}
    return f"{pairs[(better, worse)]} of {DRAWS}"


def overheads(machine, results):
    shown = [p for p in POLICIES if p != BASE]
    core, cores = machine
    text = f"\n### {heading(core, cores)}\n\n"
    text += "| overhead, percent | " + " | ".join(POLICIES[p] for p in shown) + " |\n"
    text += "|---|" + "---:|" * len(shown) + "\n"
    for name, label in BENCHMARKS.items():
        cells = []
        for policy in shown:
            low, median, high = interval(results[name], policy)
            cells.append(f"{median:.2f} [{low:.2f}, {high:.2f}]")
        text += f"| {label} | " + " | ".join(cells) + " |\n"
    return text


def tables(all_results):
    text = "".join(overheads(machine, results) for machine, results in all_results.items())
    for claim, (better, worse) in CLAIMS.items():
        text += f"\n### In how many draws {claim}\n\n"
        text += "| | " + " | ".join(f"{core}, {cores}" for core, cores in MACHINES) + " |\n"
        text += "|---|" + "---:|" * len(MACHINES) + "\n"
        for name, label in BENCHMARKS.items():
            cells = [beaten(all_results[m][name], better, worse) for m in MACHINES]
            text += f"| {label} | " + " | ".join(cells) + " |\n"
    text += "\n### Calls of set_memory_pkey()\n\n| | per-page, pages | per-page, blocks | pba |\n"
    text += "|---|---:|---:|---:|\n"
    keyed = ("kpkeys-poe+lazy,per-page,pte", SINGLE, PBA)
    for name, label in BENCHMARKS.items():
        calls = all_results[MACHINES[0]][name]["keyings"]
        if any(calls[p] for p in keyed):
            text += f"| {label} | " + " | ".join(f"{calls[p]:,}" for p in keyed) + " |\n"
    return text + "\n"


def heading(core, cores):
    return f"{core}, {cores} core{'s' if cores > 1 else ''}"


def quotes(tables):
    """What the answer says in numbers, as the tables have it."""
    def median(machine, row, column):
        return float(tables[heading(*machine)][row][column].split()[0])

    def ahead(row, cores, worse="per-page, blocks", better="pba, blocks"):
        """How many points per-page costs more: from the core where it is least to the most."""
        by = [median((core, cores), row, worse) - median((core, cores), row, better)
              for core in ("neoverse-v1", "neoverse-v2")]
        least, most = f"{min(by):.1f}", f"{max(by):.1f}"
        return least if least == most else f"{least} to {most}"

    calls = tables["Calls of set_memory_pkey()"]
    fork = calls["fork h:0"]
    assert fork == calls["fork h:1"], "the answer speaks of one number for both"
    more = {row: max(median(m, row, "pba, blocks") - median(m, row, "register only, pages")
                     for m in MACHINES) for row in BENCHMARKS.values()}
    dearest = max(more, key=more.get)
    won = {cell for claim in list(CLAIMS)[:2] for row in tables[f"In how many draws {claim}"].values()
           for cell in row.values()} - {"equal"}
    assert len(won) == 1, "the answer speaks of one number of draws"
    saved = {row: [median(m, row, worse) - median(m, row, "pba, blocks") for m in MACHINES
                   for worse in ("per-page, blocks", "per-page, pages")]
             for row in BENCHMARKS.values() if not row.startswith(("fork", "compilation"))}
    apart = [f"{row} ({min(by):.1f} to {max(by):.1f})"
             for row, by in saved.items() if max(map(abs, by)) >= SAME]
    unbatched = [median(m, row, "pba, blocks, no batching") for m in MACHINES
                 for row in ("fork h:0", "fork h:1")]
    pages = [median(m, row, "unprotected, pages") for m in MACHINES
             for row in ("fork h:0", "fork h:1")]
    return [
        f"{fork['pba']} call of set_memory_pkey() instead of {fork['per-page, blocks']}",
        f"a compilation {calls['compilation']['pba']} instead of "
        f"{calls['compilation']['per-page, blocks']}",
        f"at most {more[dearest]:.1f} points more than switching alone ({dearest})",
        f"{ahead('fork h:0', 1)} (h:0) and {ahead('fork h:1', 1)} points (h:1) more than pba on one "
        f"core, and {ahead('fork h:0', 64)} and {ahead('fork h:1', 64)} points more on 64",
        f"for a compilation {ahead('compilation', 1)} and {ahead('compilation', 64)} points",
        f"in {won.pop()} draws",
        f"Elsewhere they differ by less than {SAME} points, either way"
        + f", but where pba costs less: {', '.join(apart)}",
        f"pba still costs {min(unbatched):.0f} to {max(unbatched):.0f} % for fork",
        f"{min(pages):.1f} % to an unprotected fork",
    ]


def apart_from_tables(tables):
    """Bars of the figure that are not the tables' medians."""
    with open(TEXT.with_suffix(".csv"), newline="") as file:
        bars = list(csv.DictReader(file))
    assert len(bars) >= 3 * len(MACHINES), "the figure has bars of three policies on each"
    for bar in bars:
        median = tables[bar["panel"]][bar["x"]][bar["series"]].split()[0]
        if abs(float(bar["y"]) - float(median)) > 0.011:
            yield f"the figure has {bar['y']} for {bar['x']}, {bar['series']} ({bar['panel']}); the table {median}"


def check_prose():
    text = TEXT.read_text()
    answer = text.split("**Answer.**")[1].split("![")[0]
    wrong = list(apart_from_tables(prose.tables_of(text)))
    wrong += prose.check(answer, quotes(prose.tables_of(text)),
                        ["h:0", "h:1", "V1", "V2", "of 1 GB", "1 and 64 of them", "63 other cores"])
    if wrong:
        sys.exit(f"{TEXT}: " + "; ".join(wrong))


def main():
    if "--prose" in sys.argv[1:]:
        return check_prose()
    if "--check" in sys.argv[1:]:
        machine = MACHINES[-1]
        if overheads(machine, simulate(*machine)) in TEXT.read_text():
            return
        sys.exit(f"{TEXT}: the table of {machine} is not what the simulator gives; run {__file__} "
                 "and read the text again")
    all_results = {machine: simulate(*machine) for machine in MACHINES}
    text = TEXT.read_text()
    head, rest = text.split(BEGIN)
    output_file.write(TEXT, head + BEGIN + tables(all_results) + END + rest.split(END)[1])
    subprocess.run([ROOT / "figures/make", f"docs/studies/{TEXT.stem}"], check=True)
    check_prose()


if __name__ == "__main__":
    main()
