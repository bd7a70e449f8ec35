#!/usr/bin/env python3
"""The packages that cpack makes: the example builds against kpksim-dev and runs, and kpksim installs in a
clean Debian 12 and 13, where it writes the same bytes as the build that it was made from.

package_test.py BUILD [SUITE ...]: BUILD is a built tree. The clean systems need root, debootstrap, and the
archive that this machine's own apt is configured for; without the first two they are skipped (status 77).
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

RUN = ["run", "mixed", "-p", "kpkeys-poe+lazy,pba,block", "--format", "json"]


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def archive():
    """Where apt of this machine gets Debian's main archive from."""
    sites = run("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages")
    for line in sites.splitlines():
        site, release = line.split()
        if re.fullmatch(r"[a-z]+", release) and "security" not in site:
            return site
    sys.exit("apt of this machine has no archive of Debian")


def example(packages, folder):
    """Built outside the tree, against the unpacked packages alone."""
    root = folder / "root"
    for package in packages:
        run("dpkg", "-x", package, root)
    source = root / "usr/share/doc/kpksim/examples/allocator"
    run("cmake", "-S", source, "-B", folder / "example", f"-DCMAKE_PREFIX_PATH={root}/usr",
        "-DCMAKE_BUILD_TYPE=Release")
    run("cmake", "--build", folder / "example")
    printed = run(folder / "example/own_allocator", root / "usr/share/kpksim")
    calls = [int(n) for n in re.findall(r"(\d+) calls of set_memory_pkey", printed)]
    stale = [int(n) for n in re.findall(r"(\d+) stale", printed)]
    if len(calls) != 2 or not calls[1] * 100 < calls[0] or stale != [0, 0]:
        sys.exit(f"the example's own allocator should key few pages, and leave nothing stale:\n{printed}")
    print(printed, end="")


def clean_system(suite, package, folder, expected):
    root = folder / suite
    run("debootstrap", "--variant=minbase", suite, root, archive())
    shutil.copy(package, root / "kpksim.deb")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C", HOME="/root")
    environment.pop("KPKSIM_DATA", None)

    def there(*command):  # with a /proc, which a program needs to find where it lies
        return run("unshare", "--mount", "--pid", "--fork", f"--root={root}", "--mount-proc", *command,
                   env=environment)

    there("apt-get", "install", "--no-install-recommends", "-y", "/kpksim.deb")
    version = there("kpksim", "--version")
    if there("kpksim", *RUN) != expected:
        sys.exit(f"in {suite} the package writes other bytes than the build")
    there("kpksim", "compare", "compile")
    print(f"{suite}: {version.splitlines()[0]}")


def main():
    build, suites = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:] or ["bookworm", "trixie"]
    with tempfile.TemporaryDirectory(prefix="kpksim-package-") as name:
        folder = pathlib.Path(name)
        run("cpack", "--config", build / "CPackConfig.cmake", "-B", folder, cwd=folder)
        packages = {p.name.split("_")[0]: p for p in folder.glob("*.deb")}
        if set(packages) != {"kpksim", "kpksim-dev"}:
            sys.exit(f"other packages than kpksim and kpksim-dev: {sorted(packages)}")
        example(packages.values(), folder)
        able = os.geteuid() == 0 and shutil.which("debootstrap") is not None
        if not able or subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"]).returncode != 0:
            print("skipped: clean systems need root, debootstrap and the right to mount")
            sys.exit(77)
        environment = {k: v for k, v in os.environ.items() if k != "KPKSIM_DATA"}
        expected = run(build / "kpksim", *RUN, env=environment)
        for suite in suites:
            clean_system(suite, packages["kpksim"], folder, expected)


main()
