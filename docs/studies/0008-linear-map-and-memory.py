#!/usr/bin/python3
"""Makes the tables and the first sentence of 0008-linear-map-and-memory.md anew, from
sweeps/map-memory.json; with --check: exit status 1 if the text says anything else."""
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import made_text  # noqa: E402
import sweeps  # noqa: E402

MEMORY = ("1G", "16G", "256G", "1T")


def made():
    at = {(r["policy"], r["machine:/memory"]): r for r in sweeps.rows("map-memory")}
    policies = list(dict.fromkeys(p for p, _ in at))

    def number(policy, memory, name):
        return int(at[policy, memory][name])

    def overhead(policy, memory):
        base = number(policies[0], memory, "cycles.total")
        return 100 * (number(policy, memory, "cycles.total") / base - 1)

    def of(name):
        return {f"`{p}`": [f"{number(p, m, name):,}" for m in MEMORY] for p in policies}

    pages = "kpkeys-poe+lazy,per-page,pte"
    pba = "kpkeys-poe+lazy,pba,block"
    spread = max(abs(overhead(p, m) - overhead(p, MEMORY[0])) for p in policies for m in MEMORY)
    text = (f"From 1 GB to 1 TB of memory the price of kpkeys on fork and exec changes by "
            f"{spread:.1f} points at most: {overhead(pages, '1T'):.1f} % with page tables keyed one "
            f"by one on a linear map of pages, {overhead(pba, '1T'):.1f} % with pba on blocks.\n\n")
    text += "### Cycles, against no protection on a map of pages\n\n"
    text += sweeps.table("policy", MEMORY, {
        f"`{p}`": [f"{overhead(p, m):+.1f} %" for m in MEMORY] for p in policies})
    text += "\n### Table walks\n\n" + sweeps.table("policy", MEMORY, of("events.walk.total"))
    text += "\n### Splits of 2 MB blocks\n\n"
    text += sweeps.table("policy", MEMORY, of("linear_map.split_pmd"))
    return text + "\n"


made_text.main(pathlib.Path(__file__).with_suffix(".md"), made)
