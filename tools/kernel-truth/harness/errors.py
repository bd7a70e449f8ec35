# SPDX-License-Identifier: MIT
"""One kind of error: what was tried, where the log is, what to do."""


class HarnessError(Exception):
    def __init__(self, tried, log=None, help=None, detail=None):
        lines = [tried]
        if detail:
            lines += ["  " + line for line in detail.strip().splitlines()[-8:]]
        if log:
            lines.append(f"  log: {log}")
        if help:
            lines.append(f"  {help}")
        super().__init__("\n".join(lines))


def need_tool(name, package):
    import shutil
    if not shutil.which(name):
        raise HarnessError(f"looked for {name} in PATH: not found",
                           help=f"install it: apt-get install {package}")
