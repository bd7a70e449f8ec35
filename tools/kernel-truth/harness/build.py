# SPDX-License-Identifier: MIT
"""Builds the guest programs, the initramfs and the plugin."""
import gzip
import subprocess

from .errors import HarnessError, need_tool

CROSS = "aarch64-linux-gnu-gcc"
CROSS_PACKAGES = "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
GUEST_FLAGS = ["-std=gnu11", "-O2", "-static", "-Wall", "-Wextra"]
PLUGIN_FLAGS = ["-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra"]


def compile_c(command, log, help):
    done = subprocess.run(command, capture_output=True, text=True)
    log.write_text(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}")
    if done.returncode != 0:
        raise HarnessError(f"tried to compile: {' '.join(command)}", log, help, done.stderr)


def guest(sources, work):
    """The static guest programs: init (all phases) and the child that the exec phases start."""
    need_tool(CROSS, CROSS_PACKAGES)
    files = sorted(str(path) for path in sources.glob("*.c") if path.name != "child.c")
    help = f"the guest needs a cross compiler and a static C library: apt-get install {CROSS_PACKAGES}"
    compile_c([CROSS, *GUEST_FLAGS, "-o", str(work / "init"), *files], work / "guest.log", help)
    compile_c([CROSS, *GUEST_FLAGS, "-o", str(work / "child"), str(sources / "child.c")],
              work / "guest-child.log", help)
    return work / "init", work / "child"


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


def initramfs(init, child, target):
    entries = [("dev", DIRECTORY | 0o755, b"", (0, 0)),
               ("dev/console", CHAR_DEVICE | 0o600, b"", (5, 1)),
               ("init", FILE | 0o755, init.read_bytes(), (0, 0)),
               ("child", FILE | 0o755, child.read_bytes(), (0, 0)),
               ("TRAILER!!!", 0, b"", (0, 0))]
    archive = b"".join(cpio_entry(number, *entry) for number, entry in enumerate(entries, 1))
    target.write_bytes(gzip.compress(archive, 1, mtime=0))
    return target
