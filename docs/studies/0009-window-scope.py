#!/usr/bin/python3
"""Makes the tables and the first sentence of 0009-window-scope.md anew, from
sweeps/window-cores.json; with --check: exit status 1 if the text says anything else."""
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import made_text  # noqa: E402
import sweeps  # noqa: E402

CORES = ("1", "8", "64")
PROTECTIONS = ("kpkeys-poe", "rodata-toggle", "hypervisor-window")
SCOPES = ("entry", "lazy", "lock")


def made():
    at = {(r["policy"], r["machine:/cores"]): r for r in sweeps.rows("window-cores")}

    def cycles(policy, cores):
        return int(at[policy, cores]["cycles.total"])

    def overhead(protection, scope, cores):
        policy = f"{protection}+{scope},per-page,pte"
        return 100 * (cycles(policy, cores) / cycles("none,buddy,pte", cores) - 1)

    def gain(protection, cores):
        return overhead(protection, "entry", cores) - overhead(protection, "lock", cores)

    few, many = CORES[0], CORES[-1]
    text = (f"A window as wide as a page-table lock instead of one for each entry saves kpkeys "
            f"{gain('kpkeys-poe', few):.0f} points of overhead on {few} core and "
            f"{gain('kpkeys-poe', many):.0f} on {many}, and what changes a mapping for each window "
            f"{gain('rodata-toggle', few):.0f} and {gain('rodata-toggle', many):.0f}.\n\n")
    text += "### Cycles of fork and exec, against no protection on as many cores\n\n"
    text += sweeps.table("policy", [f"{c} core{'s' * (c != '1')}" for c in CORES], {
        f"{p}+{s}": [f"{overhead(p, s, c):+.0f} %" for c in CORES]
        for p in PROTECTIONS for s in SCOPES})
    return text + "\n"


made_text.main(pathlib.Path(__file__).with_suffix(".md"), made)
