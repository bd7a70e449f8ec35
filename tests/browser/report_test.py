#!/usr/bin/env python3
"""Reports in headless Chromium: they render without a word on the console, ask for nothing but themselves,
sort and toggle, and text of an input stays text. Usage: report_test.py KPKSIM [FOLDER-FOR-SCREENSHOTS].
Exit status 77 (skipped): there is no Chromium."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import chromium

HOSTILE = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\"><!--</script>"
KPKSIM = sys.argv.pop(1) if len(sys.argv) > 1 else "kpksim"
SHOTS = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 else None
WORKLOAD = {"phases": [
    {"name": "map", "ops": [{"op": "spawn", "task": "p"},
                            {"op": "mmap", "task": "p", "region": "h", "size": "4M", "prot": "rw"},
                            {"op": "touch", "task": "p", "region": "h", "access": "write"}]},
    {"name": "fork", "ops": [{"op": "fork", "task": "p", "child": "c"}, {"op": "exit", "task": "c"}]}]}
SWEEP = {"name": "tlb", "base": {"workload": "small.json"},
         "space": [{"grid": {"core:/tlb/l2_sets": [256, 512], "policy": ["none,buddy,pte", "kpkeys-poe,per-page,pte"]}}]}


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.write("small.json", {"name": "small", **WORKLOAD})
        cls.write("hostile.json", {"name": HOSTILE, **WORKLOAD})
        cls.write("sweep.json", SWEEP)
        cls.kpksim("compare", "-q", "-o", "result.json", "--uncertainty", "5", "small.json")
        cls.kpksim("compare", "-q", "-o", "hostile-result.json", "hostile.json")
        cls.kpksim("run", "-q", "-o", "run.json", "--interval", "10000", "small.json")
        cls.kpksim("attack", "-q", "-o", "attack.json", "-p", "none,buddy,pte", "-p", "kpkeys-poe,per-page,pte")
        cls.kpksim("keys", "-q", "-o", "keys.json", "--budget", "8,16", "small.json")
        cls.kpksim("sweep", "-q", "-o", "tlb.sqlite", "sweep.json")
        cls.kpksim("validate", "apps", "-q", "-o", "apps.json", "--program", "shell_loop", "--max-off", "1000")
        subprocess.run([KPKSIM, "validate", "published", "-q", "-o", "published.json"], cwd=cls.folder, stdout=subprocess.DEVNULL)
        cls.kpksim("report", "-o", "all.html", "result.json", "run.json", "attack.json", "keys.json", "tlb.sqlite",
                   "apps.json", "published.json")
        cls.kpksim("report", "-o", "hostile.html", "hostile-result.json")
        cls.page = chromium.Page()
        cls.page.look(1200)

    @classmethod
    def tearDownClass(cls):
        cls.page.__exit__()
        cls.temporary.cleanup()

    @classmethod
    def write(cls, name, document):
        (cls.folder / name).write_text(json.dumps(document))

    @classmethod
    def kpksim(cls, *arguments):
        subprocess.run([KPKSIM, *arguments], cwd=cls.folder, check=True, stdout=subprocess.DEVNULL)

    def open(self, name="all.html", fragment=""):
        self.page.open(self.folder / name, fragment)

    def setUp(self):
        self.page.problems.clear()
        self.page.requests.clear()

    def tearDown(self):
        self.assertEqual(self.page.problems, [])
        others = [url for url in self.page.requests if not url.startswith(("file:", "data:", "blob:"))]
        self.assertEqual(others, [], "a report asks nobody for anything")

    def test_each_width_and_theme_renders_whole(self):
        for width in (1200, 400):
            for dark in (False, True):
                with self.subTest(width=width, dark=dark):
                    self.page.look(width, dark=dark)
                    self.open()
                    self.assertEqual(self.page.run("document.documentElement.dataset.theme"), "dark" if dark else "light")
                    blocks = self.page.run("page.chapters.flatMap((c) => c.blocks)"
                                           ".filter((b) => b.block === 'chart' || b.block === 'explorer').length")
                    self.assertEqual(self.page.run("document.querySelectorAll('.chart .main-svg').length > 0 &&"
                                                   " document.querySelectorAll('.chart.js-plotly-plot').length"), blocks)
                    self.assertLessEqual(self.page.run("document.documentElement.scrollWidth"), width,
                                         "the page itself never scrolls sideways")
                    if SHOTS:
                        SHOTS.mkdir(parents=True, exist_ok=True)
                        self.page.screenshot(SHOTS / f"report-{width}-{'dark' if dark else 'light'}.png")
        self.page.look(1200)

    # Boxes of the texts that match, of each chart on its own.
    BOXES = """[...document.querySelectorAll('.chart')].map((chart) => ({
        right: chart.getBoundingClientRect().right,
        texts: [...chart.querySelectorAll('%s')].map((text) => [text.textContent, text.getBoundingClientRect()])
            .filter(([, box]) => box.width > 0).map(([text, box]) => ({text, left: box.left, right: box.right}))
            .sort((a, b) => a.left - b.left)}))"""

    def test_names_and_numbers_have_room_on_a_narrow_page(self):
        self.page.look(400)
        self.open()
        for chart in self.page.run(self.BOXES % ".legendtext"):
            for name in chart["texts"]:
                self.assertLessEqual(name["right"], chart["right"], name["text"])
        for chart in self.page.run(self.BOXES % ".xtick text"):
            for one, next in zip(chart["texts"], chart["texts"][1:]):
                self.assertLess(one["right"], next["left"] + 1, f"{one['text']} and {next['text']}")
        self.page.look(1200)

    def test_text_of_an_input_stays_text(self):
        self.open("hostile.html")
        self.assertEqual(self.page.run("document.getElementById('title').textContent"), HOSTILE)
        self.assertEqual(self.page.run("document.title"), HOSTILE)
        self.assertEqual(self.page.run("document.scripts.length"), 3)
        self.assertEqual(self.page.run("document.querySelectorAll('img').length"), 0)

    TABLE = "[...document.querySelectorAll('h3')].find((h) => h.textContent === 'Policies side by side').closest('.block')"

    def column(self, of):
        return self.page.run(f"[...{self.TABLE}.querySelectorAll('tbody tr')].map((r) => r.children[{of}].textContent)")

    def test_a_click_on_a_heading_sorts(self):
        self.open()
        as_it_came = self.column(1)
        head = f"{self.TABLE}.querySelectorAll('thead button')[1]"
        numbers = lambda: [int(text.replace(",", "")) for text in self.column(1)]
        self.page.click(head)
        self.assertEqual(numbers(), sorted(numbers(), reverse=True))
        self.assertNotEqual(self.column(1), as_it_came)
        self.assertEqual(self.page.run(f"{head}.closest('th').getAttribute('aria-sort')"), "descending")
        self.page.click(head)
        self.assertEqual(numbers(), sorted(numbers()))
        self.page.click(head)
        self.assertEqual(self.column(1), as_it_came)

    def test_the_legend_shows_and_hides_series(self):
        self.open()
        chart = "document.querySelector('.chart')"
        shown = lambda: self.page.run(f"{chart}.data.filter((t) => t.visible === true).map((t) => t.name)")
        self.assertEqual(shown(), ["total"])
        self.page.click(f"{chart}.querySelectorAll('.legendtoggle')[1]")
        self.page.wait(f"{chart}.data.filter((t) => t.visible === true).length === 2")
        self.assertEqual(shown(), ["total", "map"])

    def test_a_button_makes_an_axis_logarithmic(self):
        self.open()
        block = "[...document.querySelectorAll('.block')].find((b) => b.querySelector('[aria-pressed]'))"
        kind = lambda: self.page.run(f"{block}.querySelector('.chart').layout.xaxis.type")
        self.assertEqual(kind(), "log")
        self.page.click(f"{block}.querySelector('[aria-pressed]')")
        self.assertEqual(kind(), "linear")

    def test_a_number_leads_to_its_place(self):
        self.open()
        self.page.click(f"{self.TABLE}.querySelector('tbody tr').children[1].querySelector('a')")
        text = self.page.run("document.getElementById('inspector').innerText")
        total = json.loads((self.folder / "result.json").read_text())["runs"][0]["total"]["cycles"]["total"]
        self.assertIn("/runs/0/total/cycles/total", text)
        self.assertIn(str(total), text)
        self.assertIn("jq '.runs[0].total.cycles.total' result.json", text)

    def test_an_address_leads_there_too(self):
        self.open("hostile.html", "#0/runs/1/total/cycles/total")
        self.page.wait("document.getElementById('inspector').open")
        self.assertIn("/runs/1/total/cycles/total", self.page.run("document.getElementById('inspector').innerText"))

    def test_the_switch_changes_the_theme_of_charts_too(self):
        self.open("hostile.html")
        paper = lambda: self.page.run("document.querySelector('.chart').layout.paper_bgcolor")
        before = paper()
        self.page.click("document.getElementById('theme')")
        self.assertNotEqual(paper(), before)
        self.page.click("document.getElementById('theme')")
        self.assertEqual(paper(), before)

    def test_what_happened_over_time_is_drawn(self):
        self.open()
        for title in ("Exposure over time", "Page-table pages over time", "What happened over time"):
            with self.subTest(title=title):
                block = f"[...document.querySelectorAll('h3')].find((h) => h.textContent === '{title}').closest('.block')"
                x = self.page.run(f"{block}.querySelector('.chart').data[0].x")
                self.assertGreater(len(x), 8)
                self.assertEqual(x, sorted(x))

    def test_the_explorer_draws_any_total(self):
        self.open()
        block = ("[...document.querySelectorAll('h3')].find((h) => h.textContent === 'Explorer').closest('.block')")
        self.assertEqual(self.page.run(f"{block}.querySelector('.chart').layout.yaxis.title.text"), "cycles.total")
        self.page.run(f"(() => {{ const s = {block}.querySelectorAll('select')[1];"
                      " s.value = [...s.options].find((o) => o.text === 'events.walk.total').value;"
                      " s.dispatchEvent(new Event('change')); })()")
        self.assertEqual(self.page.run(f"{block}.querySelector('.chart').layout.yaxis.title.text"), "events.walk.total")

    def test_it_prints_on_light_paper(self):
        self.page.look(1200, dark=True)
        self.open()
        self.page.print(self.folder / "report.pdf")
        self.assertGreater((self.folder / "report.pdf").stat().st_size, 20000)
        self.assertEqual(self.page.run("document.documentElement.dataset.theme"), "dark", "and goes on as it was")
        self.page.look(1200)


if __name__ == "__main__":
    if chromium.program() is None:
        print("skipped: no Chromium (Debian's package 'chromium')")
        sys.exit(77)
    unittest.main(verbosity=2)
