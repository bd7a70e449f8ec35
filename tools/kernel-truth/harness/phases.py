# SPDX-License-Identifier: MIT
"""The list of phases, from the one place where it stands: the guest's phases.def files."""
import difflib
import re

from .errors import HarnessError


def programs(sources):
    """The guest's programs, in the order in which they run: directories with a phases.def."""
    return sorted(path.parent for path in sources.glob("*/phases.def"))


def read_one(directory):
    """[(name, what)] of one program."""
    text = (directory / "phases.def").read_text()
    phases = re.findall(r'^PHASE\((\w+),\s*"((?:[^"\\]|\\.)*)"\)', text, re.M)
    return [(name, what.replace('\\"', '"')) for name, what in phases]


def read(sources):
    """[(name, what)] of all programs, a phase's number being its position."""
    return [phase for directory in programs(sources) for phase in read_one(directory)]


def select(phases, wanted):
    """The names asked for; an unknown one is an error that names the nearest."""
    names = [name for name, _ in phases]
    for name in wanted:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            raise HarnessError(f"--phases: there is no phase '{name}'"
                               + (f"; nearest: {near[0]}" if near else ""),
                               help="all of them: run --list")
    return wanted
