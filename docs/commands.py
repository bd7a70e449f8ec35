#!/usr/bin/env python3
"""Runs the commands that a text shows, and holds what is printed to what the text says.

    docs/commands.py README.md docs/tutorial.md ...        run and compare; exit status 1 where they differ
    docs/commands.py --write docs/tutorial.md              put what is printed into the text
    docs/commands.py --links                               only look whether what texts point to is there

A block that is fenced as ```console has commands ("$ ...") and below each what it prints, whole. A line that
is indented by four columns and begins with kpksim or scripts/run is run for its exit status alone. The
commands of one text run in order in one empty folder, so that what one writes another can read. KPKSIM names
the program (build/release/kpksim if it is not set).
"""
import argparse
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import output_file  # noqa: E402

PROGRAM = pathlib.Path(os.environ.get("KPKSIM", ROOT / "build/release/kpksim")).resolve()
LINKED = ["sweeps", "workloads", "traces", "classes", "tests", "profiles", "cluster"]

# Commands whose exit status says something else than "done", and what.
FOUND = {"--inject": 1, "validate published": 1}
# Long commands that a test of its own runs; commands that need what a reader has and we have not.
ELSEWHERE = re.compile(r"^scripts/run( +#|$)|validate (kernel|published|apps)|--refit|--leave-one-out|strace -f|\.\.\.|sbatch|mpirun|--shard")


def stand_ins(folder):
    """What the texts call the reader's own files."""
    shutil.copy(ROOT / "workloads/thp.json", folder / "my.json")
    shutil.copy(ROOT / "workloads/schema.json", folder / "schema.json")
    # A recording is read as it is or compressed, whatever its name: no zstd is needed here.
    shutil.copy(ROOT / "traces/compile.strace.zst", folder / "my.strace")
    with gzip.open(ROOT / "tests/golden/walks.jsonl.gz") as walks:
        vectors = [next(walks) for _ in range(20)]
    (folder / "my-vectors.jsonl").write_bytes(b"".join(vectors))
    (folder / "vector.json").write_bytes(vectors[0].rstrip())
    for name in ("before", "after"):
        run(f"kpksim compare --quiet -o {name}.json mixed", folder)
    run("kpksim validate kernel --quiet --phase fork_64m --max-off 143 -o validation.json", folder)


def run(command, folder):
    environment = dict(os.environ, PATH=f"{folder}/bin:{os.environ['PATH']}", COLUMNS="100", NO_COLOR="1")
    for name in ("KPKSIM_DATA", "KPKSIM"):
        environment.pop(name, None)
    return subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)


def workplace(folder):
    (folder / "bin").mkdir()
    (folder / "scripts").mkdir()
    for place in ("bin/kpksim", "scripts/run"):
        (folder / place).symlink_to(PROGRAM)
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)


def parts(text):
    """The text cut into (kind, lines): `console` blocks without their fences, and everything else."""
    kind, lines = "text", []
    for line in text.splitlines():
        if kind == "text" and line == "```console":
            yield kind, lines + [line]
            kind, lines = "console", []
        elif kind == "console" and line == "```":
            yield kind, lines
            kind, lines = "text", [line]
        else:
            lines.append(line)
    yield kind, lines


def console(lines):
    """(command, what the text says it prints) of a block."""
    commands, document = [], None
    for line in lines:
        if document:  # a file that is written with <<'END'
            commands[-1] = (commands[-1][0] + "\n" + line, [])
            document = None if line == document else document
        elif line.startswith("$ "):
            commands.append((line[2:], []))
            document = (re.findall(r"<<'(\w+)'", line) or [None])[0]
        elif commands and commands[-1][0].endswith("\\") and not commands[-1][1]:
            commands[-1] = (commands[-1][0] + "\n" + line, [])
        else:
            commands[-1][1].append(line)
    return commands


def indented(lines):
    """Commands in blocks that are indented, with their continuation lines."""
    command = ""
    for line in lines:
        if command or re.match(r"    (\$ )?(kpksim|scripts/run|build/release/kpksim)( |$)", line):
            command += line.strip().removeprefix("$ ")
            if command.endswith("\\"):
                command = command[:-1]
                continue
            yield command.replace("build/release/kpksim", "kpksim")
            command = ""


def wanted_status(command):
    return next((status for words, status in FOUND.items() if words in command), 0)


def check(path, write):
    """What is wrong with the text at `path`; with `write` the text is mended instead."""
    wrong, made = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        workplace(folder)
        stand_ins(folder)
        for kind, lines in parts(path.read_text()):
            if kind == "text":
                made += lines
                for command in indented(lines):
                    if ELSEWHERE.search(command):
                        continue
                    done = run(command, folder)
                    if done.returncode == 3 and "install python3-matplotlib" in done.stderr:
                        print(f"left out, for want of matplotlib: {command}")
                    elif done.returncode != wanted_status(command):
                        wrong.append(f"{path.name}: exit status {done.returncode}: {command}\n{done.stderr}")
                continue
            for command, said in console(lines):
                done = run(command, folder)
                printed = [line.rstrip() for line in (done.stdout + done.stderr).splitlines()]
                made += [f"$ {command}"] + printed
                if done.returncode not in (0, wanted_status(command)):
                    wrong.append(f"{path.name}: exit status {done.returncode}: {command}\n{done.stderr}")
                elif printed != said and not write:
                    wrong.append(f"{path.name}: {command}\nprints\n" + "\n".join(printed) +
                                 "\nand the text says\n" + "\n".join(said))
    if write and not wrong:
        output_file.write(path, "\n".join(made) + "\n")
    return wrong


def anchors(path):
    """The names that a browser gives to the headings of a text."""
    names = set()
    for heading in re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE):
        heading = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        names.add(re.sub(r"[^\w\- ]", "", heading).replace(" ", "-"))
    return names


def texts():
    """All of the project, but what is built or hidden."""
    paths = sorted(ROOT.rglob("*.md"))
    return [p for p in paths if not re.match(r"build/|\.", str(p.relative_to(ROOT)))]


def broken_links(paths):
    wrong = []
    for path in paths:
        text = re.sub(r"```.*?```|`[^`]*`", "", path.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            place, _, anchor = target.partition("#")
            other = (path.parent / place).resolve() if place else path
            if not other.exists():
                wrong.append(f"{path.relative_to(ROOT)}: {target} is not there")
            elif anchor and other.suffix == ".md" and anchor not in anchors(other):
                wrong.append(f"{path.relative_to(ROOT)}: {place or path.name} has no heading #{anchor}")
    return wrong


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("texts", nargs="*", type=pathlib.Path)
    options.add_argument("--write", action="store_true", help="put what is printed into the texts")
    options.add_argument("--links", action="store_true", help="look at the links of all texts of the project")
    given = options.parse_args()
    wrong = []
    if given.links:
        wrong += broken_links(texts())
    for text in given.texts:
        wrong += check(text.resolve(), given.write)
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
