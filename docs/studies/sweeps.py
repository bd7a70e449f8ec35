"""Rows of a shipped sweep, for the studies that are made from one."""
import csv
import io
import os
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
KPKSIM = pathlib.Path(os.environ.get("KPKSIM", ROOT / "build" / "release" / "kpksim"))


def rows(name):
    """Of sweeps/NAME.json: a dictionary for each point."""
    with tempfile.TemporaryDirectory() as folder:
        store = pathlib.Path(folder) / "store.sqlite"
        subprocess.run([str(KPKSIM), "sweep", "--quiet", "-o", str(store),
                        str(ROOT / "sweeps" / f"{name}.json")], stdout=subprocess.DEVNULL, check=True)
        text = subprocess.run([str(KPKSIM), "sweep", "export", str(store)], capture_output=True,
                              text=True, check=True).stdout
    return list(csv.DictReader(io.StringIO(text)))


def table(head, columns, cells):
    """A Markdown table. `cells`: by name of the row, one for each column."""
    text = f"| {head} | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns) + "\n"
    return text + "".join(f"| {name} | " + " | ".join(row) + " |\n" for name, row in cells.items())
