# SPDX-License-Identifier: MIT
"""Builds the guest programs, the initramfs and the plugin."""
import gzip
import re
import subprocess

from . import phases
from .errors import HarnessError, need_tool

CROSS = "aarch64-linux-gnu-gcc"
CROSS_PACKAGES = "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
# .text starts at a page of its own: which 64 KB windows a forked child must fault in again depends
# on where the C library's functions lie, and small changes of main() are not to move them.
GUEST_FLAGS = ["-std=gnu11", "-O2", "-static", "-Wall", "-Wextra",
               "-Wl,--gc-sections,--section-start=.text=0x401000"]
PLUGIN_FLAGS = ["-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra"]


def compile_c(command, log, help):
    done = subprocess.run(command, capture_output=True, text=True)
    log.write_text(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}")
    if done.returncode != 0:
        raise HarnessError(f"tried to compile: {' '.join(command)}", log, help, done.stderr)


def guests(sources, work):
    """One static program for each directory that has a phases.def: [(path in the guest, file)].
    The first is the guest's init; each, when its phases are done, executes the next one."""
    need_tool(CROSS, CROSS_PACKAGES)
    help = f"the guest needs a cross compiler and a static C library: apt-get install {CROSS_PACKAGES}"
    directories = phases.programs(sources)
    names = ["/init"] + [f"/phases-{d.name}" for d in directories[1:]]
    first = 0  # number of the program's first phase
    programs = []
    for k, directory in enumerate(directories):
        defines = [f'-DKT_SELF="{names[k]}"', f"-DKT_FIRST={first}"]
        if k + 1 < len(names):
            defines.append(f'-DKT_NEXT="{names[k + 1]}"')
        target = work / f"guest-{directory.name}"
        files = sorted(map(str, [*(sources / "common").glob("*.c"), *directory.glob("*.c")]))
        compile_c([CROSS, *GUEST_FLAGS, f"-I{directory}", f"-I{sources / 'common'}", *defines,
                   "-o", str(target), *files], work / f"guest-{directory.name}.log", help)
        programs.append((names[k], target))
        first += len(phases.read_one(directory))
    return programs


def program(source, include, target):
    need_tool(CROSS, CROSS_PACKAGES)
    compile_c([CROSS, *GUEST_FLAGS, f"-I{include}", "-o", str(target), str(source)],
              target.with_suffix(".log"), f"apt-get install {CROSS_PACKAGES}")
    return target


def toolchain():
    """Compiler and C library of the guest, which decide how many pages a fork's two sides write."""
    macros = subprocess.run([CROSS, "-E", "-dM", "-include", "features.h", "-x", "c", "/dev/null"],
                            capture_output=True, text=True).stdout
    define = lambda name: re.search(rf"^#define {name} \"?([\w.]+)", macros, re.M)[1]
    return f"gcc {define('__VERSION__')}, glibc {define('__GLIBC__')}.{define('__GLIBC_MINOR__')}"


def plugin(source, work, api):
    need_tool("gcc", "gcc libc6-dev")
    target = work / f"counts-api{api}.so"
    compile_c(["gcc", *PLUGIN_FLAGS, f"-DKT_PLUGIN_API={api}", "-o", str(target), str(source)],
              work / "plugin.log", "the plugin needs a C compiler: apt-get install gcc libc6-dev")
    return target


DIRECTORY, FILE, CHAR_DEVICE = 0o040000, 0o100000, 0o020000


def cpio_entry(number, name, mode, data=b"", device=(0, 0)):
    """One entry of the kernel's initramfs format ("newc"), written here because device nodes can
    then be made without root and no cpio program is needed."""
    path = name.encode() + b"\0"
    fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def initramfs(programs, target):
    entries = [("dev", DIRECTORY | 0o755, b"", (0, 0)),
               ("dev/console", CHAR_DEVICE | 0o600, b"", (5, 1))]
    entries += [(name.lstrip("/"), FILE | 0o755, file.read_bytes(), (0, 0))
                for name, file in programs]
    return pack(entries, target)


def pack(entries, target):
    entries = [*entries, ("TRAILER!!!", 0, b"", (0, 0))]
    archive = b"".join(cpio_entry(number, *entry) for number, entry in enumerate(entries, 1))
    target.write_bytes(gzip.compress(archive, 1, mtime=0))
    return target
