# SPDX-License-Identifier: MIT
"""Boots the guest in QEMU with the plugin and reads what the plugin wrote."""
import re
import subprocess

from . import build
from .errors import HarnessError, Missing, need_tool

QEMU = "qemu-system-aarch64"
CPUS = {"max": "max,lpa2=off,pauth-impdef=on", "a76": "cortex-a76"}
MACHINE = ["-M", "virt,gic-version=3", "-smp", "1", "-m", "4G", "-nographic", "-nic", "none",
           "-no-reboot"]
KERNEL_ARGUMENTS = "kpti=off norandmaps panic=-1"
PLUGIN_APIS = (1, 3)  # the versions that plugin/qemu_plugin_api.h can be built for


def qemu_version():
    need_tool(QEMU, "qemu-system-arm")
    first = subprocess.run([QEMU, "--version"], capture_output=True, text=True).stdout
    match = re.search(r"version (\d+)\.(\d+)[.\d]*", first)
    if not match or (int(match[1]), int(match[2])) < (7, 2):
        raise Missing(f"asked {QEMU} for its version: {first.splitlines()[:1]}",
                      help="7.2 or newer is needed: apt-get install qemu-system-arm")
    return match[0].removeprefix("version ")


def loadable_plugin(source, work):
    """Builds the plugin for the interface version that this QEMU accepts: asked by loading it into
    a machine without CPUs, which is told to quit at once."""
    log = work / "plugin-probe.log"
    messages = []
    for api in PLUGIN_APIS:
        plugin = build.plugin(source, work, api)
        out = work / "plugin-probe.out"
        out.unlink(missing_ok=True)
        done = subprocess.run(
            [QEMU, "-M", "none", "-display", "none", "-serial", "none", "-monitor", "stdio",
             "-plugin", f"{plugin},out={out}"], input="quit\n", capture_output=True, text=True,
            timeout=60)
        messages.append(f"version {api}: {done.stderr.strip() or 'loaded'}")
        log.write_text("\n".join(messages) + "\n")
        if done.returncode == 0 and out.exists() and out.read_text().startswith("api "):
            return plugin
    raise HarnessError(
        f"tried to load the plugin into {QEMU} for the plugin interface versions "
        f"{', '.join(map(str, PLUGIN_APIS))}: none fits", log,
        "QEMU must be built with TCG plugins and accept one of these versions (7.2 to 10): "
        "apt-get install qemu-system-arm", "\n".join(messages))


def tail(path, lines=8):
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

MOST_INIT_ARGUMENTS = 24  # of the kernel's 32 (MAX_INIT_ARGS), in 2,048 bytes (COMMAND_LINE_SIZE)


def console_of(work, cpu):
    return work / f"{cpu}.console.log"


def boot(cpu, kernel, initrd, plugin, phases, work, seconds, key,
         kernel_arguments=KERNEL_ARGUMENTS, where=None):
    """Runs the guest once. Returns {(repetition, phase number): {counter: value}}. where: a file
    for the counts by address."""
    counts, console = work / f"{cpu}.counts", console_of(work, cpu)
    counts.unlink(missing_ok=True)
    # More than a command line holds: all are run, and the reader picks.
    few = 0 < len(phases) <= MOST_INIT_ARGUMENTS
    arguments = kernel_arguments + (" -- " + " ".join(phases) if few else "")
    command = [QEMU, *MACHINE, "-cpu", CPUS[cpu], "-kernel", str(kernel.image),
               "-initrd", str(initrd), "-append", arguments,
               "-plugin", f"{plugin},out={counts},key={key}"
               + (f",where={where}" if where else "")]
    tried = f"booted {kernel.release} with -cpu {CPUS[cpu]}"
    with console.open("wb") as log:
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=subprocess.STDOUT, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise HarnessError(f"{tried}: not finished after {seconds} s ({progress(console)})",
                               console, "a slow machine needs a longer --time-limit SECONDS; "
                               "a kernel that does not boot, another one: --kernel PACKAGE",
                               tail(console)) from None
    if done.returncode != 0:
        raise HarnessError(f"{tried}: QEMU ended with status {done.returncode}", console,
                           f"the command was: {' '.join(command)}", tail(console))
    return read_counts(counts, tried, console)


def progress(console):
    text = console.read_text(errors="replace") if console.exists() else ""
    steps = re.findall(r"kernel-truth: (repetition \d+, \w+)", text)
    if steps:
        return f"the guest was at {steps[-1]}"
    return "the kernel had not started the guest program" if text else "the console stayed empty"


def read_counts(counts, tried, console):
    records, ended, done = {}, set(), False
    for line in counts.read_text().splitlines() if counts.exists() else []:
        kind, *fields = line.split()
        if kind == "count":
            key = int(fields[0]), int(fields[1])
            records.setdefault(key, {})[fields[2]] = int(fields[3])
        elif kind == "end":
            ended.add((int(fields[0]), int(fields[1])))
        elif kind == "error":
            raise HarnessError(f"{tried}: the plugin saw markers out of order: {line}", console,
                               "this is a defect of a phase: see docs/kernel-truth.md",
                               tail(console))
        elif kind == "done":
            done = True
    if not done:
        raise HarnessError(f"{tried}: the guest ended early ({progress(console)})", console,
                           "the console shows why: a panic of the kernel, or a call that failed "
                           "in a phase", tail(console))
    return {key: record for key, record in records.items() if key in ended}
