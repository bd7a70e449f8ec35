#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files that the tools write: the same rules as kpksim's own (tests/base/output_file_test.cc)."""
import os
import stat
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import output_file  # noqa: E402


class OutputFile(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_a_regular_file_is_replaced_and_keeps_its_mode(self):
        path = self.folder / "a"
        path.write_text("old text, longer than the new one")
        path.chmod(0o604)
        before = path.stat().st_ino
        output_file.write(path, "new")
        self.assertEqual(path.read_text(), "new")
        self.assertNotEqual(path.stat().st_ino, before)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o604)
        self.assertEqual(os.listdir(self.folder), ["a"])

    def test_a_new_file_has_the_mode_that_the_mask_leaves(self):
        before = os.umask(0o027)
        self.addCleanup(os.umask, before)
        output_file.write(self.folder / "a", b"bytes")
        self.assertEqual(stat.S_IMODE((self.folder / "a").stat().st_mode), 0o640)

    @unittest.skipIf(os.geteuid() != 0, "needs root")
    def test_the_owner_stays(self):
        path = self.folder / "a"
        path.write_text("old")
        os.chown(path, 1234, 2345)
        output_file.write(path, "new")
        self.assertEqual((path.stat().st_uid, path.stat().st_gid), (1234, 2345))

    def test_links_stay_and_their_targets_are_the_files(self):
        (self.folder / "far").mkdir()
        (self.folder / "link").symlink_to("far/target")
        output_file.write(self.folder / "link", "made")
        output_file.write(self.folder / "link", "again")
        self.assertTrue((self.folder / "link").is_symlink())
        self.assertEqual((self.folder / "far/target").read_text(), "again")

    def test_a_file_of_several_names_keeps_them(self):
        (self.folder / "a").write_text("old")
        os.link(self.folder / "a", self.folder / "b")
        output_file.write(self.folder / "a", "a longer text")
        self.assertEqual((self.folder / "b").read_text(), "a longer text")

    def test_a_users_temporary_file_is_not_ours(self):
        (self.folder / "a.tmp").write_text("a user's")
        output_file.write(self.folder / "a", "text")
        self.assertEqual((self.folder / "a.tmp").read_text(), "a user's")

    def test_a_fifo_is_written_through(self):
        path, seen = self.folder / "fifo", []
        os.mkfifo(path)
        reader = threading.Thread(target=lambda: seen.append(path.read_text()))
        reader.start()
        output_file.write(path, "through")
        reader.join()
        self.assertEqual(seen, ["through"])
        self.assertTrue(stat.S_ISFIFO(path.stat().st_mode))

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_what_does_not_fit_is_an_error(self):
        with self.assertRaisesRegex(OSError, "/dev/full"):
            output_file.write("/dev/full", "text")
        self.assertTrue(stat.S_ISCHR(os.stat("/dev/full").st_mode))

    def test_what_cannot_be_written_is_told_before_too(self):
        for path in (self.folder, self.folder / "no/such", self.folder / ("x" * 300)):
            with self.assertRaises(OSError):
                output_file.write(path, "text")
        for path in (self.folder, self.folder / "no/such"):
            with self.assertRaises(OSError):
                output_file.check(path)
        output_file.check(self.folder / "new")
        self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    unittest.main()
