#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which paths tools/fit-paths fits, and what the others are."""
import importlib.util
import sys
import unittest
from importlib.machinery import SourceFileLoader
from pathlib import Path

sys.dont_write_bytecode = True
PATH = Path(__file__).resolve().parent.parent.parent / "tools/fit-paths/run"
LOADER = SourceFileLoader("fit_paths", str(PATH))
fit_paths = importlib.util.module_from_spec(importlib.util.spec_from_loader("fit_paths", LOADER))
LOADER.exec_module(fit_paths)

NONE = {name: 0 for name in fit_paths.MEASURED}


class FittedPaths(unittest.TestCase):
    def fit(self, rows, start, base):
        rows = [(target, {**NONE, **times}) for target, times in rows]
        return fit_paths.fit_what_shows(rows, {**NONE, **start}, {**NONE, **base})

    def test_a_path_that_is_nowhere_more_than_2_percent_is_as_in_the_base(self):
        # 1,000 times "much" with 100 each, and once "little", which takes what is over.
        rows = [(100000, {"much": 1000, "little": 0}), (101500, {"much": 1000, "little": 1})]
        x, fixed = self.fit(rows, {"much": 90, "little": 900}, {"much": 50, "little": 700})
        self.assertIn("little", fixed)
        self.assertEqual(x["little"], 700)
        self.assertNotIn("much", fixed)
        self.assertAlmostEqual(x["much"], 100, delta=1)

    def test_one_phase_of_which_it_is_more_suffices(self):
        rows = [(100000, {"much": 1000, "little": 0}), (41000, {"much": 400, "little": 1})]
        x, fixed = self.fit(rows, {"much": 90, "little": 900}, {"much": 50, "little": 700})
        self.assertNotIn("little", fixed)
        self.assertGreater(x["little"], 900)

    def test_what_no_phase_takes_is_as_in_the_base(self):
        x, fixed = self.fit([(1000, {"much": 10, "none": 0})], {"much": 90, "none": 5},
                            {"much": 90, "none": 7})
        self.assertIn("none", fixed)
        self.assertEqual(x["none"], 7)

    def test_a_profile_has_its_own_entries_and_those_of_its_bases(self):
        own, whole = fit_paths.read_profile("linux-6.17")
        _, first = fit_paths.read_profile("linux-6.12")
        self.assertEqual(own["base"], "linux-6.12-port-6.16")
        self.assertEqual(whole["path"].keys(), first["path"].keys())
        self.assertTrue(whole["behaviour"]["kernel_range_tlbi"]["value"])
        self.assertEqual(whole["path"]["stat"], first["path"]["stat"])


if __name__ == "__main__":
    unittest.main()
