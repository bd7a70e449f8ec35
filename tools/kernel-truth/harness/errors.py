# SPDX-License-Identifier: MIT
"""Errors say what was tried, where the log is, what to do."""


class HarnessError(Exception):
    status = 2

    def __init__(self, tried, log=None, help=None, detail=None):
        lines = [tried]
        if detail:
            lines += ["  " + line for line in detail.strip().splitlines()[-8:]]
        if log:
            lines.append(f"  log: {log}")
        if help:
            lines.append(f"  {help}")
        super().__init__("\n".join(lines))


class Missing(HarnessError):
    """A tool or package that this machine lacks: nothing is wrong, but nothing can be measured."""
    status = 3


def need_tool(name, package):
    import shutil
    if not shutil.which(name):
        raise Missing(f"looked for {name} in PATH: not found",
                      help=f"install it: apt-get install {package}")
