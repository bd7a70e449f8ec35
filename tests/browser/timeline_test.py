#!/usr/bin/env python3
"""A timeline in a viewer: speedscope (npm), in headless Chromium, draws every slice of every track as long as
the file says. Usage: timeline_test.py KPKSIM VIEWER [SCREENSHOT]; VIEWER is the folder of the npm package.
Exit status 77 (skipped): there is no Chromium or no such folder."""

import base64
import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import chromium

# What its own "Export" saves is what it has understood.
CATCH = """(() => { const make = URL.createObjectURL;
  URL.createObjectURL = (blob) => { blob.text().then((t) => { window.exported = t; }); return make.call(URL, blob); };
  HTMLAnchorElement.prototype.click = () => {};
  [...document.querySelectorAll('div')].filter((d) => d.childElementCount <= 1 && /Export$/.test(d.textContent))
      .pop().dispatchEvent(new MouseEvent('click', {bubbles: true})); })()"""
# Its notes on ends whose arguments their beginnings do not have, as the format allows; and on the host's graphics.
HARMLESS = ("instead.", "WebGL", "GL Driver")


def expected(trace):
    """Track → list of (name, begin, end), in nanoseconds."""
    names, tracks, stack = {}, collections.defaultdict(list), collections.defaultdict(list)
    for event in trace["traceEvents"]:
        if event["ph"] == "M" and event["name"] == "thread_name":
            names[event["tid"]] = event["args"]["name"]
        elif event["ph"] == "B":
            stack[event["tid"]].append((event["name"], round(event["ts"] * 1000)))
        elif event["ph"] == "E":
            name, begin = stack[event["tid"]].pop()
            tracks[names[event["tid"]]].append((name, begin, round(event["ts"] * 1000)))
    return {track: joined(slices) for track, slices in tracks.items()}


def joined(slices):
    """As the viewer draws them: from the beginning of the track's first, and neighbours of one name as one."""
    result = []
    start = min(begin for _, begin, _ in slices)
    for name, begin, end in sorted((name, begin - start, end - start) for name, begin, end in slices):
        if result and result[-1][0] == name and result[-1][2] == begin:
            result[-1] = (name, result[-1][1], end)
        else:
            result.append((name, begin, end))
    return result


def drawn(exported):
    frames = [frame["name"] for frame in exported["shared"]["frames"]]
    tracks = {}
    for profile in exported["profiles"]:
        assert profile["unit"] == "microseconds", profile["unit"]
        stack, slices = [], []
        for event in profile["events"]:
            # Arguments are part of the name that it shows.
            name, at = frames[event["frame"]].split(" {")[0], round(event["at"] * 1000)
            if event["type"] == "O":
                stack.append((name, at))
            else:
                opened, begin = stack.pop()
                assert opened == name, (opened, name)
                slices.append((name, begin, at))
        track = profile["name"].rsplit(", ", 1)[1].rsplit(" (tid", 1)[0]
        tracks[track] = joined(slices)
    return tracks


def main():
    kpksim, viewer = sys.argv[1], pathlib.Path(sys.argv[2])
    page = viewer / "dist/release/index.html"
    if chromium.program() is None or not page.exists():
        print(f"skipped: needs Chromium and speedscope in {viewer}")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([kpksim, "run", "-q", "--cores", "2", "--timeline", folder / "timeline.json",
                        "--timeline-window", "0..1500000", "tlb-shootdown"], check=True, stdout=subprocess.DEVNULL)
        text = (folder / "timeline.json").read_bytes()
        (folder / "load.js").write_text(f"speedscope.loadFileFromBase64('timeline.json', '{base64.b64encode(text).decode()}')")
        with chromium.Page() as browser:
            browser.look(1400)
            browser.go_to(page, f"#localProfilePath={folder}/load.js")
            browser.wait("document.title.startsWith('timeline.json') && /Export/.test(document.body.innerText)")
            time.sleep(1)  # for the picture alone: it draws after it has loaded
            if len(sys.argv) > 3:
                pathlib.Path(sys.argv[3]).parent.mkdir(parents=True, exist_ok=True)
                browser.screenshot(sys.argv[3])
            browser.run(CATCH)
            browser.wait("window.exported !== undefined")
            exported = json.loads(browser.run("window.exported"))
            problems = [p for p in browser.problems if not any(word in p for word in HARMLESS)]
        wanted, found = expected(json.loads(text)), drawn(exported)
        assert not problems, problems[:5]
        assert set(found) == set(wanted), (sorted(found), sorted(wanted))
        for track, slices in wanted.items():
            assert found[track] == slices, (track, len(found[track]), len(slices),
                                            [s for s in slices if s not in found[track]][:3])
        print(", ".join(f"{track}: {len(slices)}" for track, slices in sorted(wanted.items())))


main()
