# SPDX-License-Identifier: MIT
"""Fetches the distribution's arm64 kernel package and unpacks it, without installing anything.

apt runs with a private configuration (arm64 only, own lists, own cache, empty dpkg status), so the
machine's own apt state, and its list of foreign architectures, stay as they are. The mirrors are
those of the machine, plus the release's backports.
"""
import functools
import json
import os
import re
import subprocess
from pathlib import Path

from .errors import HarnessError, Missing, need_tool

# Tried in this order; of several versions the newest. Cloud flavours have what this machine needs
# built in, and they are what the reference counts were measured with.
PREFERRED = [
    r"linux-image-6\.12\.[0-9.]+.*-cloud-arm64(-unsigned)?",
    r"linux-image-6\.12\.[0-9.]+.*-arm64(-unsigned)?",
    r"linux-image-[0-9.]+.*-cloud-arm64(-unsigned)?",
    r"linux-image-[0-9.]+-[0-9]+-generic",  # Ubuntu
]


class Kernel:
    """An unpacked kernel: its image, and what its configuration says about it."""

    def __init__(self, package, version, root):
        self.package, self.version = package, version
        images = sorted(root.glob("boot/vmlinuz-*"))
        if not images:
            raise HarnessError(f"looked for boot/vmlinuz-* in {package} {version}: not there",
                               help="fetch it again: --refresh, or another: --kernel PACKAGE")
        self.image = images[0]
        self.release = self.image.name.removeprefix("vmlinuz-")
        config = root / "boot" / f"config-{self.release}"
        self.options = {}
        if config.exists():
            pairs = re.findall(r"^CONFIG_(\w+)=(.*)$", config.read_text(), re.M)
            self.options = {name: value.strip('"') for name, value in pairs}

    def describe(self):
        has = lambda name: self.options.get(name) == "y"
        facts = [f"{size} KB pages" for size in (4, 16, 64)
                 if has(f"ARM64_{size}K_PAGES") or has(f"HAVE_PAGE_SIZE_{size}KB")][:1]
        for option, fact in [("RODATA_FULL_DEFAULT_ENABLED", "linear map at PTE granularity"),
                             ("ARM64_CONTPTE", "contpte"), ("TRANSPARENT_HUGEPAGE", "large folios"),
                             ("VMAP_STACK", "VMAP_STACK"),
                             ("INIT_ON_ALLOC_DEFAULT_ON", "init_on_alloc")]:
            if has(option):
                facts.append(fact)
        if "HZ" in self.options:
            facts.append(f"HZ={self.options['HZ']}")
        return f"Linux {self.release} (package {self.package} {self.version}; {', '.join(facts)})"


def host_suites():
    """(mirror, suite) of this machine's Debian or Ubuntu sources."""
    need_tool("apt-get", "apt (the harness needs Debian, Ubuntu or a relative)")
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(ORIGIN)",
         "Created-By: Packages"], capture_output=True, text=True)
    suites = []
    for line in listing.stdout.splitlines():
        site, suite, *origin = line.split()
        if origin in (["Debian"], ["Ubuntu"]) and (site, suite) not in suites:
            suites.append((site, suite))
    return suites


def with_backports(suites):
    main = [(site, suite) for site, suite in suites if "-" not in suite]
    extra = [(site, suite + "-backports") for site, suite in main]
    return suites + [entry for entry in extra if entry not in suites]


class PrivateApt:
    def __init__(self, directory, suites):
        self.directory = directory
        for sub in ("lists/partial", "cache/archives/partial"):
            (directory / sub).mkdir(parents=True, exist_ok=True)
        (directory / "status").touch()
        keys = [str(key) for key in sorted(Path("/usr/share/keyrings").glob("*-archive-keyring.gpg"))
                if key.name.startswith(("debian-archive", "ubuntu-archive"))]
        signed = f" signed-by={','.join(keys)}" if keys else ""
        (directory / "sources.list").write_text("".join(
            f"deb [arch=arm64{signed}] {site} {suite} main\n" for site, suite in suites))
        lines = ['APT::Architecture "arm64";', 'APT::Architectures { "arm64"; };',
                 f'Dir::State "{directory}";', f'Dir::State::lists "{directory}/lists";',
                 f'Dir::State::status "{directory}/status";', f'Dir::Cache "{directory}/cache";',
                 f'Dir::Etc::sourcelist "{directory}/sources.list";', 'Dir::Etc::sourceparts "-";',
                 'Acquire::Languages "none";']
        if os.geteuid() == 0:  # the unprivileged user _apt cannot write into a private directory
            lines.append('APT::Sandbox::User "root";')
        (directory / "apt.conf").write_text("\n".join(lines) + "\n")
        self.log = directory / "apt.log"
        self.log.write_text("")

    def run(self, *command, cwd=None):
        environment = dict(os.environ, APT_CONFIG=str(self.directory / "apt.conf"), LC_ALL="C")
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd)
        with self.log.open("a") as log:
            log.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}")
        return done

    def versions(self, package):
        """Candidates of a package, as (version, package)."""
        done = self.run("apt-cache", "madison", package)
        return [(fields[1].strip(), package) for fields in
                (line.split("|") for line in done.stdout.splitlines()) if len(fields) >= 3]

    def choose(self, wanted):
        names = self.run("apt-cache", "pkgnames", "linux-image").stdout.split()
        patterns = [re.escape(wanted)] if wanted else PREFERRED
        for pattern in patterns:
            found = [candidate for name in names if re.fullmatch(pattern, name)
                     for candidate in self.versions(name)]
            if found:
                return max(found, key=functools.cmp_to_key(compare_candidates))
        return None


def compare_candidates(a, b):
    """Newer version first; of the same version the shorter name (the signed package)."""
    if a[0] == b[0]:
        return len(b[1]) - len(a[1])
    newer = subprocess.run(["dpkg", "--compare-versions", a[0], "gt", b[0]]).returncode == 0
    return 1 if newer else -1


def unpack(deb, root):
    need_tool("dpkg-deb", "dpkg")
    done = subprocess.run(["dpkg-deb", "-x", str(deb), str(root)], capture_output=True, text=True)
    if done.returncode != 0:
        raise HarnessError(f"tried to unpack {deb}", detail=done.stderr,
                           help="fetch it again: --refresh")


def fetch(work, wanted=None, mirror=None, refresh=False):
    """The kernel to measure. One that was fetched before is used again unless refresh is set."""
    note = work / "kernel.json"
    if note.exists() and not refresh:
        known = json.loads(note.read_text())
        if wanted in (None, known["package"]) and mirror == known["mirror"]:
            return Kernel(known["package"], known["version"], work / "kernel")
    suites = host_suites()
    if mirror:
        suites = [(mirror, suite) for _, suite in suites]
    suites = with_backports(list(dict.fromkeys(suites)))
    apt = PrivateApt(work / "apt", suites)
    where = ", ".join(f"{site} {suite}" for site, suite in suites) or "no Debian or Ubuntu source"
    hint = ("check the network, name the package by --kernel PACKAGE, or give a mirror that has "
            "arm64 by --mirror URL (Ubuntu keeps arm64 on a mirror of its own)")
    update = apt.run("apt-get", "update")
    choice = apt.choose(wanted)
    if not choice:
        raise Missing(f"looked for an arm64 kernel package ({wanted or 'linux-image-*'}) in "
                      f"{where}: none", apt.log, hint, update.stderr)
    version, package = choice
    root = work / "kernel"
    subprocess.run(["rm", "-rf", str(root)], check=True)
    root.mkdir(parents=True)
    for old in work.glob("linux-image-*.deb"):
        old.unlink()
    download = apt.run("apt-get", "download", f"{package}={version}", cwd=work)
    debs = list(work.glob("linux-image-*.deb"))
    if download.returncode != 0 or len(debs) != 1:
        raise Missing(f"tried to download {package} {version} from {where}", apt.log, hint,
                      download.stderr)
    unpack(debs[0], root)
    debs[0].unlink()
    kernel = Kernel(package, version, root)
    note.write_text(json.dumps({"package": package, "version": version, "mirror": mirror}))
    return kernel
