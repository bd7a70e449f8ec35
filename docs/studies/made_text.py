"""A text with a part that a script makes: it writes that part anew, or says that it is another."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import output_file  # noqa: E402

BEGIN, END = "<!-- made by the script -->\n", "<!-- end -->\n"


def main(path, made):
    """Writes what `made` says into the text at `path`. With --check it compares, exit status 1."""
    whole = path.read_text()
    start, end = whole.index(BEGIN) + len(BEGIN), whole.index(END)
    text = made()
    if "--check" not in sys.argv[1:]:
        output_file.write(path, whole[:start] + text + whole[end:])
    elif text != whole[start:end]:
        sys.exit(f"{path.name} does not say what the simulator gives:\n{text}")
