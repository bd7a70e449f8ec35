# SPDX-License-Identifier: MIT
"""Whole programs of the distribution instead of phases: fetches them, packs them with a script as
init that runs each one counted and once more under strace, and reads the recordings."""
import base64
import binascii
import gzip
import json
import os
import re
import stat
import subprocess

import output_file

from . import build, kernel
from .errors import HarnessError, Missing

# Each runs twice counted; what the measurement itself costs is the first.
NOTHING = ("nothing", "a static busybox that runs true: what the measurement itself costs (the end "
           "of the begin marker, fork, exec and exit of the command, fork and exec of the end "
           "marker); subtract it")
PACKAGES = ["bash", "busybox-static", "coreutils", "dash", "diffutils", "findutils", "gawk", "grep",
            "gzip", "lua5.4", "m4", "mawk", "patch", "perl-base", "python3-minimal", "sed",
            "sqlite3", "strace", "tar"]
LEFT_OUT = ("usr/share", "var", "etc/init.d", "usr/lib/python3")  # what no program reads
KERNEL_ARGUMENTS = "kpti=off panic=-1"  # programs lie at random addresses, as in use


def read(directory):
    """[(name, what)] of the programs, from the comment below the first line of each script."""
    found = [NOTHING]
    for script in sorted(directory.glob("*.sh")):
        lines = script.read_text().splitlines()
        found.append((script.stem, lines[1].removeprefix("# ")))
    return found


def fetch(work, mirror, refresh):
    """The root of a system that has the packages, unpacked and not installed."""
    root, note = work / "root", work / "root.json"
    wanted = {"packages": PACKAGES, "mirror": mirror}
    if note.exists() and not refresh and json.loads(note.read_text()) == wanted:
        return root
    suites = kernel.host_suites()
    if mirror:
        suites = [(mirror, suite) for _, suite in suites]
    apt = kernel.PrivateApt(work / "apt", suites)
    update = apt.run("apt-get", "update")
    download = apt.run("apt-get", "-y", "--no-install-recommends", "--download-only",
                       "-o", "Debug::NoLocking=1", "install", *PACKAGES)
    debs = sorted((work / "apt" / "cache" / "archives").glob("*.deb"))
    if download.returncode != 0 or not debs:
        raise Missing("tried to download the programs' packages for arm64", apt.log,
                      "check the network, or give a mirror that has arm64 by --mirror URL",
                      update.stderr + download.stderr)
    subprocess.run(["rm", "-rf", str(root)], check=True)
    root.mkdir()
    for deb in debs:
        kernel.unpack(deb, root)
        deb.unlink()
    for name in ("bin", "sbin", "lib"):
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    shell = root / "bin" / "sh"
    if not shell.is_symlink():
        shell.symlink_to("dash")
    note.write_text(json.dumps(wanted))
    return root


def entries_of(root):
    """A directory tree for the initramfs: [(path, mode, data, device)]."""
    entries = []
    for folder, folders, files in os.walk(root):
        for name in sorted(folders + files):
            path = os.path.join(folder, name)
            inside = os.path.relpath(path, root)
            if inside in LEFT_OUT:
                continue
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                data = os.readlink(path).encode()
            elif stat.S_ISREG(mode):
                with open(path, "rb") as file:
                    data = file.read()
            else:
                data = b""
            if stat.S_ISDIR(mode) or stat.S_ISREG(mode) or stat.S_ISLNK(mode):
                entries.append((inside, mode, data, (0, 0)))
        folders[:] = [name for name in sorted(folders)
                      if os.path.relpath(os.path.join(folder, name), root) not in LEFT_OUT]
    return entries


def initramfs(root, sources, mark, target):
    """The packages' root with the init script, the marker program and the programs' scripts."""
    plain = (0, 0)
    entries = [("dev", build.DIRECTORY | 0o755, b"", plain),
               ("dev/console", build.CHAR_DEVICE | 0o600, b"", (5, 1)),
               ("proc", build.DIRECTORY | 0o755, b"", plain),
               ("sys", build.DIRECTORY | 0o755, b"", plain),
               ("tmp", build.DIRECTORY | 0o755, b"", plain),
               ("programs", build.DIRECTORY | 0o755, b"", plain)]
    entries += [entry for entry in entries_of(root) if entry[0] not in
                ("dev", "dev/console", "proc", "sys", "tmp")]
    entries.append(("init", build.FILE | 0o755, (sources / "init").read_bytes(), plain))
    entries.append(("mark", build.FILE | 0o755, mark.read_bytes(), plain))
    entries += [(f"programs/{script.stem}", build.FILE | 0o755, script.read_bytes(), plain)
                for script in sorted(sources.glob("*.sh"))]
    return build.pack(entries, target)


def recordings(console, names):
    """{name: recording}, which the guest has printed compressed and in base 64."""
    text = console.read_text(errors="replace").replace("\r", "")
    found = {}
    for name, block in re.findall(r"^kernel-truth: recording (\w+)\n(.*?)^kernel-truth: recorded$",
                                  text, re.M | re.S):
        try:
            found[name] = gzip.decompress(base64.b64decode(block, validate=False))
        except (binascii.Error, EOFError, OSError) as error:
            raise HarnessError(f"tried to read the recording of {name}: {error}", console,
                               "the console was disturbed; measure again") from None
    missing = [name for name in names if name not in found]
    if missing:
        raise HarnessError(f"looked for the recordings of {', '.join(missing)}: not there", console,
                           "the console shows why: strace that failed in the guest")
    return found


def write_recordings(found, folder):
    folder.mkdir(exist_ok=True)
    for name, recording in found.items():
        output_file.write(folder / f"{name}.strace.gz", gzip.compress(recording, 9, mtime=0))
