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


def main(path, made):
    """Writes what `made` says into the study at `path`, or with --check compares."""
    import sys
    sys.path.insert(0, str(ROOT / "tools"))
    import output_file
    begin, end = "<!-- made by the script -->\n", "<!-- end -->\n"
    whole = path.read_text()
    start, stop = whole.index(begin) + len(begin), whole.index(end)
    text = made()
    if "--check" not in sys.argv[1:]:
        output_file.write(path, whole[:start] + text + whole[stop:])
    elif text != whole[start:stop]:
        sys.exit(f"{path.name} does not say what the simulator gives:\n{text}")
