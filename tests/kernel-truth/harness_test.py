#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the harness says when something is wrong: one message with what was tried, the log and what
to do, and never a file. A script plays QEMU, so that each fault comes at once."""
import base64
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

RUN = Path(__file__).resolve().parents[2] / "tools" / "kernel-truth" / "run"
TOOLS = ["gcc", "aarch64-linux-gnu-gcc"]

# Answers --version and the question which plugin it loads, then "boots" as $1 says.
QEMU = """#!/bin/sh
case "$*" in
  *--version*) echo "QEMU emulator version {version}"; exit 0;;
esac
for argument; do
  case "$argument" in *,out=*) out=${{argument#*,out=}}; out=${{out%%,*}};; esac
done
case "$*" in
  *"-M none"*) {probe};;
  *) {boot};;
esac
"""
LOADS = 'echo "api 1" > "$out"; exit 0'


class Harness(unittest.TestCase):
    def setUp(self):
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        self.work, self.bin = self.directory / "work", self.directory / "bin"
        self.output = self.directory / "counts.json"
        self.bin.mkdir()
        boot = self.work / "kernel" / "boot"
        boot.mkdir(parents=True)
        (boot / "vmlinuz-6.12.0-test").write_text("no kernel")
        (self.work / "kernel.json").write_text(json.dumps(
            {"package": "linux-image-test", "version": "1", "mirror": None}))

    def qemu(self, boot="exit 0", probe=LOADS, version="7.2.0"):
        script = self.bin / "qemu-system-aarch64"
        script.write_text(QEMU.format(version=version, probe=probe, boot=boot))
        script.chmod(0o755)

    def only(self, *tools):
        """A PATH with these tools alone, besides what is in `bin`."""
        for tool in tools:
            (self.bin / tool).symlink_to(shutil.which(tool))
        return str(self.bin)

    def run_harness(self, *options, path=None):
        if path is None:
            path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [sys.executable, str(RUN), "--work", str(self.work), "-o", str(self.output), "--cpu",
             "a76", *options], capture_output=True, text=True, env={**os.environ, "PATH": path})

    def expect(self, done, status, *texts):
        self.assertEqual(done.returncode, status, done.stderr)
        for text in texts:
            self.assertIn(text, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        left = [p.name for p in self.directory.iterdir() if p.name not in ("work", "bin")]
        self.assertEqual(left, [], "no file, not even a partial one")

    def need_compilers(self):
        for tool in TOOLS:
            if not shutil.which(tool):
                self.skipTest(f"looked for {tool}: not found")

    def test_no_qemu(self):
        self.expect(self.run_harness(path=str(self.bin)), 3, "looked for qemu-system-aarch64",
                    "apt-get install qemu-system-arm")

    def test_qemu_too_old(self):
        self.qemu(version="6.2.0")
        self.expect(self.run_harness(), 3, "version 6.2.0", "7.2 or newer")

    def test_no_compiler(self):
        self.qemu()
        self.expect(self.run_harness(path=self.only("sh")), 3, "looked for gcc",
                    "apt-get install gcc")

    def test_plugin_interface_that_does_not_fit(self):
        self.need_compilers()
        self.qemu(probe='echo "plugin: version 9 is needed" >&2; exit 1')
        self.expect(self.run_harness(), 2, "plugin interface versions 1, 3: none fits",
                    "version 9 is needed", f"log: {self.work}/plugin-probe.log")

    def test_no_kernel_package(self):
        self.need_compilers()
        if not shutil.which("apt-get"):
            self.skipTest("looked for apt-get: not found")
        self.qemu()
        mirror = (self.directory / "work" / "nowhere").as_uri()
        self.expect(self.run_harness("--mirror", mirror), 3, "looked for an arm64 kernel package",
                    "apt.log", "--mirror URL")

    def test_package_without_a_kernel(self):
        self.need_compilers()
        self.qemu()
        shutil.rmtree(self.work / "kernel" / "boot")
        self.expect(self.run_harness(), 2, "looked for boot/vmlinuz-* in linux-image-test 1",
                    "--refresh")

    def test_kernel_that_does_not_boot(self):
        self.need_compilers()
        self.qemu(boot="exec sleep 60")
        self.expect(self.run_harness("--time-limit", "1"), 2, "booted 6.12.0-test",
                    "not finished after 1 s (the console stayed empty)",
                    f"log: {self.work}/a76.console.log", "--kernel PACKAGE")

    def test_qemu_that_fails(self):
        self.need_compilers()
        self.qemu(boot='echo "no such machine" >&2; exit 1')
        self.expect(self.run_harness(), 2, "QEMU ended with status 1", "no such machine",
                    "the command was:")

    def test_guest_that_ends_early(self):
        self.need_compilers()
        self.qemu(boot='echo "kernel-truth: repetition 1, fork_64m"; echo "Kernel panic"; '
                       'echo "count 0 0 isb 5" > "$out"; echo "end 0 0" >> "$out"; exit 0')
        self.expect(self.run_harness(), 2,
                    "the guest ended early (the guest was at repetition 1, fork_64m)",
                    "Kernel panic", f"log: {self.work}/a76.console.log")

    def test_markers_out_of_order(self):
        self.need_compilers()
        self.qemu(boot='echo "error 0 3 end without begin" > "$out"; exit 0')
        self.expect(self.run_harness(), 2, "markers out of order", "error 0 3")

    def test_unknown_phase(self):
        self.expect(self.run_harness("--phases", "fork_64n"), 2, "no phase 'fork_64n'",
                    "nearest: fork_64m")

    def programs(self, console):
        """The whole programs' part, with packages that are there; the guest ran `nothing`."""
        self.need_compilers()
        sys.path[:0] = [str(RUN.parent), str(RUN.parents[1])]
        from harness import programs
        (self.work / "root" / "bin").mkdir(parents=True)
        (self.work / "root.json").write_text(
            json.dumps({"packages": programs.PACKAGES, "mirror": None}))
        counts = "".join(f"count {r} 0 eret 5\nend {r} 0\n" for r in range(2)) + "done\n"
        (self.work / "said").write_text(console)
        (self.work / "counted").write_text(counts)
        self.qemu(boot=f'cat {self.work}/said; cat {self.work}/counted > "$out"; exit 0')
        return self.run_harness("--programs", "--phases", "nothing")

    def test_unknown_program(self):
        self.expect(self.run_harness("--programs", "--phases", "perl_word"), 2,
                    "no phase 'perl_word'", "nearest: perl_words")

    def test_program_without_its_recording(self):
        self.expect(self.programs("strace: not found\n"), 2,
                    "looked for the recordings of nothing: not there", "a76.console.log")

    def test_recording_that_is_disturbed(self):
        self.expect(self.programs("kernel-truth: recording nothing\nAAAA\n"
                                  "kernel-truth: recorded\n"), 2,
                    "tried to read the recording of nothing", "measure again")

    def test_recordings_lie_beside_the_counts(self):
        line = b"7 1.5 exit_group(0) = ?\n"
        block = base64.encodebytes(gzip.compress(line)).decode()
        done = self.programs(f"booted\nkernel-truth: recording nothing\n{block}"
                             "kernel-truth: recorded\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        recording = self.directory / "traces" / "nothing.strace.gz"
        self.assertEqual(gzip.decompress(recording.read_bytes()), line)
        phases = json.loads(self.output.read_text())["phases"]
        self.assertEqual([(p["name"], p["cpu"]["a76"]["eret"]) for p in phases],
                         [("nothing", [5, 5])])

    def test_output_that_cannot_be_written(self):
        done = self.run_harness("-o", str(self.directory / "missing" / "x.json"))
        self.expect(done, 2, "cannot be written as a file")


if __name__ == "__main__":
    unittest.main()
