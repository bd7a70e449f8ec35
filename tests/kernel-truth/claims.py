#!/usr/bin/python3
"""Holds docs/kernel-model.md to what `kpksim validate kernel` prints: its last lines (counts that
are within tolerance and yet far off, and the tally) stand in the text word for word, and no count
is off without a reason, no reason without a count.

    kpksim validate kernel >OUT; tests/kernel-truth/claims.py OUT            # exit status 1 if not
    kpksim validate kernel >OUT; tests/kernel-truth/claims.py --write OUT    # writes them there
"""
import pathlib
import re
import sys

TEXT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "kernel-model.md"
BEGIN, END = "<!-- validate kernel: its last lines -->\n\n", "\n<!-- end -->"


def last_lines(output):
    lines = output.splitlines()
    start = next(i for i, line in enumerate(lines) if line.endswith("outside the real readings:"))
    return "\n".join(("    " + line).rstrip() for line in lines[start:]) + "\n"


def main():
    write, name = "--write" in sys.argv, sys.argv[-1]
    output = pathlib.Path(name).read_text()
    wrong = re.findall(r"^.* for no known reason$|^a reason that explains nothing.*$", output, re.M)
    if wrong:
        sys.exit("tests/validate/reasons.json: " + "; ".join(wrong))
    head, rest = TEXT.read_text().split(BEGIN)
    block, tail = rest.split(END)
    new = last_lines(output)
    if write:
        TEXT.write_text(head + BEGIN + new + END + tail)
    elif block != new:
        sys.exit(f"{TEXT}: not what `kpksim validate kernel` prints now; see {__file__}")


if __name__ == "__main__":
    main()
