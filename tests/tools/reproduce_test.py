#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""scripts/reproduce: it knows every study and figure, and says which name was meant, and what differs."""
import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def reproduce(*names):
    # No program answers "false" with a result: nothing is built, and nothing takes long.
    return subprocess.run([sys.executable, ROOT / "scripts/reproduce", *names], text=True,
                          capture_output=True, env=dict(os.environ, KPKSIM="/bin/false"))


class Reproduce(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.commands = dict(line.split(maxsplit=1) for line in reproduce("--list").stdout.splitlines())

    def test_every_study_is_known_and_every_text_that_a_script_holds(self):
        studies = {path.stem for path in (ROOT / "docs/studies").glob("[0-9]*.md")}
        self.assertGreaterEqual(len(studies), 10)
        self.assertEqual((studies | {"threat-model", "validation"}) - set(self.commands), set())

    def test_every_figure_is_known(self):
        figures = json.loads((ROOT / "figures/figures.json").read_text())["figures"]
        for figure in figures:
            self.assertIn(f"figures/make --check {figure['name']}", self.commands.values())

    def test_what_is_listed_is_there_and_in_the_text(self):
        text = (ROOT / "docs/reproduce.md").read_text()
        for name, commands in self.commands.items():
            self.assertIn(f"| `{name}` |", text)
            for command in commands.split("; "):
                self.assertTrue((ROOT / command.split()[0]).exists(), command)

    def test_a_wrong_name_is_told_with_the_nearest(self):
        for wrong, near in (("treat-model", "threat-model"), ("0010-l3-tlb", "0010-l2-tlb"),
                            ("000", "0001-block-map-and-pba"), ("--lst", "nearest: ")):
            done = reproduce(wrong)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn(f"'{wrong}'", done.stderr)
            self.assertIn(near, done.stderr)

    def test_the_beginning_of_a_name_is_enough_and_what_fails_is_shown(self):
        done = reproduce("0010")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"^0010-l2-tlb +fails ")
        self.assertIn("/bin/false", done.stdout)
        self.assertTrue(done.stdout.endswith("\n0 of 1 agree\n"))


if __name__ == "__main__":
    unittest.main()
