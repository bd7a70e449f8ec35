#!/usr/bin/python3
"""Makes the tables and the first sentence of 0010-l2-tlb.md anew, from sweeps/tlb.json; with
--check: exit status 1 if the text says anything else."""
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import made_text  # noqa: E402
import sweeps  # noqa: E402

SETS = ("128", "256", "512", "1024")
WAYS = ("2", "4", "8")
MATTERS = 1.0  # percent of walks


def made():
    at = {(r["policy"], r["core:/tlb/l2_sets"], r["core:/tlb/l2_ways"]): r
          for r in sweeps.rows("tlb")}

    def walks(policy, sets, ways):
        return int(at[policy, sets, ways]["events.walk.total"])

    def saved(sets, ways):
        pages = walks("none,buddy,pte", sets, ways)
        return 100 * (pages - walks("none,buddy,block", sets, ways)) / pages

    points = sorted((int(s) * int(w), s, w) for s in SETS for w in WAYS)
    entries = [n for n, s, w in points if saved(s, w) >= MATTERS]
    least, most = points[0], points[-1]
    text = (f"A linear map of blocks saves the recorded compilation {saved(*least[1:]):.1f} % of its table "
            f"walks with an L2 TLB of {least[0]:,} entries and {saved(*most[1:]):.1f} % with "
            f"{most[0]:,}; from {max(entries) + 1 if entries else least[0]:,} entries on it is less "
            f"than {MATTERS:.0f} % in each geometry that was tried.\n\n")
    text += "### Walks that a map of blocks saves, without protection\n\n"
    text += sweeps.table("ways", [f"{s} sets" for s in SETS], {
        w: [f"{saved(s, w):.1f} %" for s in SETS] for w in WAYS})
    text += "\n### Walks in all\n\n"
    policies = list(dict.fromkeys(p for p, _, _ in at))
    columns = [f"{s} × {WAYS[-1]}" for s in SETS]
    text += sweeps.table("policy", columns, {
        f"`{p}`": [f"{walks(p, s, WAYS[-1]):,}" for s in SETS] for p in policies})
    return text + "\n"


made_text.main(pathlib.Path(__file__).with_suffix(".md"), made)
