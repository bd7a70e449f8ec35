#!/usr/bin/python3
"""Makes the table of validation.md on kernel TLB misses anew.

    docs/validation.py            # writes it
    docs/validation.py --check    # exit status 1 if the text says anything else
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE / "studies"))
import made_text  # noqa: E402

KPKSIM = pathlib.Path(os.environ.get("KPKSIM", ROOT / "build" / "release" / "kpksim"))

# Linux 6.18, "arm64: mm: support large block mapping when rodata=full": kernel TLB misses of
# memcached by 1,000 instructions, blocks against pages, on an AmpereOne with 192 cores and 256 GB.
PUBLISHED = -28.5
SIZES = ("256K", "1M", "8M", "64M", "1G", "64G")
PAGES, BLOCKS = "none,buddy,pte", "none,buddy,block"
INSTRUCTIONS = ("instruction", "loop_instruction", "list_instruction", "guard_instruction")


def run(size):
    """The events of all phases, by policy."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "result.json"
        subprocess.run([str(KPKSIM), "compare", "--quiet", "-p", PAGES, "-p", BLOCKS,
                        f"--kernel-data={size}", "--memory", "256G", "-o", str(out), "redis"],
                       stdout=subprocess.DEVNULL, check=True)
        runs = json.loads(out.read_text())["runs"]
    totals = [{name: e["total"] for name, e in r["total"]["events"].items()} for r in runs]
    return dict(zip((PAGES, BLOCKS), totals))


def misses(events):
    """Of EL1, by 1,000 instructions of the kernel: of the L1 TLBs, and of the L2, which are walks."""
    instructions = sum(events.get(name, 0) for name in INSTRUCTIONS)

    def rate(names):
        return 1000 * sum(events.get(name, 0) for name in names) / instructions

    walks = ("walk_kernel", "walk_copy")
    return {"L1": rate(walks + ("l2_tlb_hit_kernel", "l2_tlb_hit_copy")), "L2": rate(walks)}


def change(by_policy, level):
    return 100 * (by_policy[BLOCKS][level] / by_policy[PAGES][level] - 1)


def l1_entries():
    tlb = json.loads((ROOT / "profiles" / "cores" / "neoverse-v1.json").read_text())["tlb"]
    return tlb["l1d_sets"]["value"] * tlb["l1d_ways"]["value"]


def made():
    results = {size: {policy: misses(events) for policy, events in run(size).items()}
               for size in SIZES}
    changes = {level: [change(r, level) for r in results.values()] for level in ("L1", "L2")}
    entries = l1_entries()
    text = (f"With {SIZES[0]} to {SIZES[-1]} of slabs in use blocks save the model between "
            f"{-max(changes['L1']):.1f} and {-min(changes['L1']):.1f} % of its misses of the L1 TLBs, and at "
            f"least {-max(changes['L2']):.1f} % of its walks; published are {-PUBLISHED} %.\n\n"
            f"An L1 TLB of {entries} entries holds so large a part of about "
            f"{entries / -PUBLISHED * 100:.0f} blocks of 1 GB that are in even use, and of pages next to "
            f"nothing: that is the working set which the figure would need here.\n\n")
    text += ("| slabs in use | L1 misses, pages | blocks | change | walks, pages | blocks | change |\n"
             "|---|---:|---:|---:|---:|---:|---:|\n")
    for size, by_policy in results.items():
        text += f"| {size} |"
        for level in ("L1", "L2"):
            text += (f" {by_policy[PAGES][level]:.2f} | {by_policy[BLOCKS][level]:.2f} |"
                     f" {change(by_policy, level):+.1f} % |")
        text += "\n"
    return text + "\n"


made_text.main(HERE / "validation.md", made)
