#!/usr/bin/python3
"""Makes the matrix of threat-model.md anew.

    docs/threat-model.py            # writes it
    docs/threat-model.py --check    # exit status 1 if the text says anything else
"""
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE / "studies"))
import made_text  # noqa: E402

KPKSIM = pathlib.Path(os.environ.get("KPKSIM", ROOT / "build" / "release" / "kpksim"))
TEXT = HERE / "threat-model.md"


def short(verdict):
    text = verdict["text"].split(",")[0] if verdict["outcome"] == "stopped" else verdict["text"]
    text = text.split(":")[0].replace(" permission fault", "").replace(" fault", "")
    return f"**{text}**" if verdict["outcome"] == "succeeded" else text


def made():
    out = subprocess.run([str(KPKSIM), "attack", "all", "--quiet", "-f", "json"], check=True,
                         capture_output=True, text=True).stdout
    scenarios = json.loads(out)["scenarios"]
    policies = [v["policy"] for v in scenarios[0]["verdicts"]]
    text = "".join(f"{chr(ord('A') + i)} `{p}`  \n" for i, p in enumerate(policies)) + "\n"
    head = [chr(ord("A") + i) for i in range(len(policies))]
    text += "| attack | " + " | ".join(head) + " |\n|---|" + "---|" * len(head) + "\n"
    for s in scenarios:
        cells = [short(v) for v in s["verdicts"]]
        text += f"| {s['name']} | " + " | ".join(cells) + " |\n"
    return text + "\n"


made_text.main(TEXT, made)
