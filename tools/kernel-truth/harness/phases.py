# SPDX-License-Identifier: MIT
"""The list of phases, from the one place where it stands: guest/phases.def."""
import difflib
import re

from .errors import HarnessError


def read(path):
    """[(name, what)], a phase's number being its position."""
    phases = re.findall(r'^PHASE\((\w+),\s*"((?:[^"\\]|\\.)*)"\)', path.read_text(), re.M)
    return [(name, what.replace('\\"', '"')) for name, what in phases]


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
