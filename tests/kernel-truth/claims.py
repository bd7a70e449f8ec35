#!/usr/bin/python3
"""Holds docs/kernel-model.md and README.md to what `kpksim validate kernel` prints: its last lines (counts that
are within tolerance and yet far off, and the tally) stand in the text word for word, and no count
is off without a reason, no reason without a count.

    kpksim validate kernel >OUT; tests/kernel-truth/claims.py OUT            # exit status 1 if not
    kpksim validate kernel >OUT; tests/kernel-truth/claims.py --write OUT    # writes them there
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = ROOT / "docs" / "kernel-model.md"
BEGIN, END = "<!-- validate kernel: its last lines -->\n\n", "\n<!-- end -->"


def last_lines(output):
    lines = output.splitlines()
    start = next(i for i, line in enumerate(lines) if line.endswith("outside the real readings:"))
    return "\n".join(("    " + line).rstrip() for line in lines[start:]) + "\n"


def readme_says(output):
    """The parts of README.md's sentence on agreement, by the tally and the far counts."""
    exact, whole, within, off = re.search(
        r"^(\d+) of (\d+) counts exact, (\d+) within tolerance, (\d+) off$", output, re.M).groups()
    far = re.search(r"^(\d+) TLBI counts are within tolerance", output, re.M).group(1)
    parts = [f"of {int(whole):,} counts that are not 0 on both sides {int(exact):,} are exact",
             f"{int(within):,} within their rule's room and {off} off", f"{far} TLBI counts within"]
    if re.search(r"^  tlbi\..* OFF ", output, re.M) is None:
        parts.append("none of these of TLBI")
    return parts


def main():
    write, name = "--write" in sys.argv, sys.argv[-1]
    output = pathlib.Path(name).read_text()
    wrong = re.findall(r"^.* for no known reason$|^a reason that explains nothing.*$", output, re.M)
    if wrong:
        sys.exit("tests/validate/reasons.json: " + "; ".join(wrong))
    readme = " ".join((ROOT / "README.md").read_text().split())
    for part in readme_says(output):
        if part not in readme:
            sys.exit(f"README.md: the validation says '{part}'; the text does not")
    head, rest = TEXT.read_text().split(BEGIN)
    block, tail = rest.split(END)
    new = last_lines(output)
    if write:
        TEXT.write_text(head + BEGIN + new + END + tail)
    elif block != new:
        sys.exit(f"{TEXT}: not what `kpksim validate kernel` prints now; see {__file__}")


if __name__ == "__main__":
    main()
