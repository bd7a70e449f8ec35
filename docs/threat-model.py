#!/usr/bin/python3
"""Makes the matrix of threat-model.md anew.

    docs/threat-model.py            # writes it
    docs/threat-model.py --check    # exit status 1 if the text says anything else
"""
import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE / "studies"))
import made_text  # noqa: E402

KPKSIM = pathlib.Path(os.environ.get("KPKSIM", ROOT / "build" / "release" / "kpksim"))
TEXT = HERE / "threat-model.md"


# What the text says of cells beside the matrix: the words, and for which policies of an attack they
# say which outcomes. The words must stand in the text, and the cells must be so.
KPKEYS, ONE_BY_ONE = "kpkeys-poe", ",per-page"
SAID = [
    ("**`dirty-pagetable-user` succeeds under kpkeys with per-page, and not with pba.**",
     "dirty-pagetable-user", lambda p: KPKEYS in p,
     lambda p: {"succeeded"} if ONE_BY_ONE in p else {"allocator"}),
    ("**`before-marking` succeeds under each policy that marks pages one by one.**",
     "before-marking", lambda p: True,
     lambda p: {"succeeded"} if ONE_BY_ONE in p else {"no occasion"}),
    ("**`window-other-core` is stopped under kpkeys with any window, and succeeds under "
     "rodata-toggle, unmap-leaf and hypervisor-window.**",
     "window-other-core", lambda p: not p.startswith(("none", "mte", "hypervisor,")),
     lambda p: {"stopped"} if KPKEYS in p else {"succeeded"}),
    ("**`dirty-pagetable` meets a tag check without any chance under mte, and `kunit-user-pte` one "
     "of chance.**", "dirty-pagetable", lambda p: p.startswith("mte"), lambda p: {"stopped"}),
    ("**`dirty-pagetable` meets a tag check without any chance under mte, and `kunit-user-pte` one "
     "of chance.**", "kunit-user-pte", lambda p: p.startswith("mte"), lambda p: {"detected"}),
    ("**`double-free` is stopped by the kernel's own store to a new object.**",
     "double-free", lambda p: ONE_BY_ONE in p, lambda p: {"stopped"}),
    ("**`after-unmarking` hits a freed table, and nothing comes of it.**", "after-unmarking",
     lambda p: ONE_BY_ONE in p, lambda p: {"freed table"}),
    ("**`window-forking-core` succeeds under kpkeys, and the more often the wider windows are.**",
     "window-forking-core", lambda p: KPKEYS in p and "mte" not in p, lambda p: {"succeeded"}),
    ("**`window-faulting-core` is stopped under kpkeys at each point, and succeeds under "
     "rodata-toggle, unmap-leaf and hypervisor-window.**", "window-faulting-core",
     lambda p: not p.startswith(("none", "mte", "hypervisor,")),
     lambda p: {"stopped"} if KPKEYS in p else {"succeeded"}),
    ("**`stale-walk` succeeds where pages are marked one by one, but not under the hypervisors.**",
     "stale-walk", lambda p: True,
     lambda p: {"freed table"} if p.startswith("hypervisor")
     else {"allocator"} if "pba" in p else {"succeeded"}),
    ("- `stale-entry` succeeds under each policy but hypervisor-window:", "stale-entry",
     lambda p: True, lambda p: {"stopped"} if p.startswith("hypervisor-window") else {"succeeded"}),
    ("- `forged-root`:", "forged-root", lambda p: True, lambda p: {"succeeded"}),
    ("- `page-cache`:", "page-cache", lambda p: True, lambda p: {"succeeded"}),
    ("- `dma`, `bit-flip`:", "dma", lambda p: True, lambda p: {"succeeded"}),
    ("- `dma`, `bit-flip`:", "bit-flip", lambda p: True, lambda p: {"succeeded"}),
    ("- `copy-to-user` fails with no protection at all:", "copy-to-user", lambda p: True,
     lambda p: {"stopped"}),
]


def outcome(verdict):
    chance = verdict["successes"] < verdict["draws"] and verdict["draws"] > 1
    return "detected" if chance else verdict["outcome"]


def check_said(scenarios):
    verdicts = {s["name"]: {v["policy"]: outcome(v) for v in s["verdicts"]} for s in scenarios}
    text = " ".join(TEXT.read_text().split())
    for words, attack, of, outcomes in SAID:
        if words not in text:
            sys.exit(f"{TEXT.name} does not say '{words}'")
        cells = {p: o for p, o in verdicts[attack].items() if of(p)}
        wrong = {p: o for p, o in cells.items() if o not in outcomes(p)}
        if wrong or not cells:
            sys.exit(f"{TEXT.name} says '{words}', but {attack} gives {wrong or 'no such policy'}")
    points = {v["policy"]: v["points"]["succeeded"]
              for s in scenarios if s["name"] == "window-forking-core" for v in s["verdicts"]}
    for narrow, wide in (("kpkeys-poe,per-page,pte", "kpkeys-poe+lock,per-page,pte"),
                         ("kpkeys-poe,pba,block", "kpkeys-poe+lazy,pba,block")):
        if not points[narrow] < 16 < points[wide]:
            sys.exit(f"{TEXT.name}: {points[narrow]} points with {narrow}, {points[wide]} with {wide}")
    said = {words for words, *_ in SAID}
    for words in re.findall(r"\*\*`.*?\*\*", text.split("## Cells that", 1)[1]):
        if words not in said:
            sys.exit(f"{TEXT.name} says '{words}', which docs/threat-model.py does not check")


def short(verdict):
    text = verdict["text"].split(",")[0] if verdict["outcome"] == "stopped" else verdict["text"]
    text = text.split(":")[0].replace(" permission fault", "").replace(" fault", "")
    return f"**{text}**" if verdict["outcome"] == "succeeded" else text


def made():
    out = subprocess.run([str(KPKSIM), "attack", "all", "--quiet", "-f", "json"], check=True,
                         capture_output=True, text=True).stdout
    scenarios = json.loads(out)["scenarios"]
    check_said(scenarios)
    policies = [v["policy"] for v in scenarios[0]["verdicts"]]
    text = "".join(f"{chr(ord('A') + i)} `{p}`  \n" for i, p in enumerate(policies)) + "\n"
    head = [chr(ord("A") + i) for i in range(len(policies))]
    text += "| attack | " + " | ".join(head) + " |\n|---|" + "---|" * len(head) + "\n"
    for s in scenarios:
        cells = [short(v) for v in s["verdicts"]]
        text += f"| {s['name']} | " + " | ".join(cells) + " |\n"
    return text + "\n"


made_text.main(TEXT, made)
