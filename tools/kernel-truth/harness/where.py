# SPDX-License-Identifier: MIT
"""Tells which of the kernel's functions execute what is counted (run --where)."""
import bisect
import csv
import io
import re
import subprocess

import output_file

from . import boot, build
from .errors import HarnessError

# Addresses are the same in each boot of a kernel that does not randomise its own.
ARGUMENT = " nokaslr"
CALLS = "calls"  # executions of a function's first instruction
COLUMNS = ["cpu", "phase", "function", "counter"]


def functions(kernel, source, include, work):
    """[(address, name)], sorted: printed once by the kernel itself and kept."""
    kept = work / f"functions-{kernel.release}"
    if not kept.exists():
        init = build.program(source, include, work / "symbols-init")
        initrd = build.initramfs([("/init", init)], work / "symbols.gz")
        command = [boot.QEMU, *boot.MACHINE, "-cpu", boot.CPUS["max"], "-kernel", str(kernel.image),
                   "-initrd", str(initrd), "-append", boot.KERNEL_ARGUMENTS + ARGUMENT]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=300)
        lines = re.findall(r"^([0-9a-f]{16}) (\S+)\r?$", done.stdout, re.M)
        if not any(name == "schedule" for _, name in lines):
            log = work / "symbols.console.log"
            log.write_text(done.stdout + done.stderr)
            raise HarnessError(f"booted {kernel.release} for the names of its functions: "
                               "/proc/kallsyms was not printed", log,
                               "a kernel without CONFIG_KALLSYMS cannot be asked where")
        kept.write_text("".join(f"{address} {name}\n" for address, name in lines))
    pairs = (line.split() for line in kept.read_text().splitlines())
    return sorted((int(address, 16), name) for address, name in pairs)


def rows(cpu, file, names, known):
    """{(cpu, phase, function, counter): [count per repetition]}"""
    starts = [address for address, _ in names]
    table = {}
    for line in file.read_text().splitlines():
        repetition, phase, counter, address, executed, count = line.split()
        k = bisect.bisect_right(starts, int(address, 16)) - 1
        phase, function = known[int(phase)][0], names[k][1]
        key = cpu, phase, function
        amounts = {counter: int(count)}
        if counter == "kernel_instructions" and starts[k] == int(address, 16):
            amounts[CALLS] = int(executed)
        for counter, amount in amounts.items():
            entry = table.setdefault((*key, counter), [0, 0])
            entry[int(repetition)] += amount
    return table


def write(tables, selected, path):
    """Tab-separated, the largest counts of a phase first."""
    lines = [(*key, *counts) for table in tables for key, counts in table.items()
             if not selected or key[1] in selected]
    order = {name: k for k, name in enumerate(dict.fromkeys(line[1] for line in lines))}
    lines.sort(key=lambda line: (line[0], order[line[1]], line[3], -max(line[4:]), line[2]))
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow([*COLUMNS, "first", "second"])
    writer.writerows(lines)
    output_file.write(path, text.getvalue())
