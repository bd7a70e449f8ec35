"""Headless Chromium over its DevTools pipe (https://chromedevtools.github.io/devtools-protocol): requests
and events are JSON texts that end in a null byte, on descriptors 3 and 4. Nothing beside Python is needed."""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time


def program():
    """The browser's path, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """One page of a browser of its own. What goes wrong on it is in `problems`."""

    PATIENCE = 120  # seconds for an answer; a busy machine is slow

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="kpksim-chromium-")
        self.problems, self.requests = [], []
        self._number, self._received = 0, b""
        to_browser, self._to = os.pipe()
        self._from, from_browser = os.pipe()

        def descriptors():  # in the child: 3 and 4 are what Chromium expects
            a, b = os.dup(to_browser), os.dup(from_browser)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            [program(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--hide-scrollbars", "--allow-file-access-from-files",
             f"--user-data-dir={self.folder}", "--remote-debugging-pipe", "about:blank"],
            preexec_fn=descriptors, close_fds=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        target = self._send("Target.createTarget", {"url": "about:blank"}, session=False)["targetId"]
        self._session = self._send("Target.attachToTarget", {"targetId": target, "flatten": True},
                                   session=False)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._send(domain + ".enable")

    _session = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        os.close(self._to)
        os.close(self._from)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _send(self, method, params=None, session=True):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + self.PATIENCE
        while time.monotonic() < end:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
        raise RuntimeError(f"{method}: no answer")

    def _next(self):
        while b"\0" not in self._received:
            some = os.read(self._from, 1 << 20)
            if not some:
                raise RuntimeError("Chromium has ended")
            self._received += some
        text, self._received = self._received.split(b"\0", 1)
        message = json.loads(text)
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.problems.append("exception: " + json.dumps(params["exceptionDetails"])[:600])
        if message.get("method") == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.problems.append("console: " + json.dumps(params["args"])[:600])
        if message.get("method") == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.problems.append("log: " + params["entry"]["text"])
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        return message

    def look(self, width, height=900, dark=False):
        """The window's size, and what the system asks for."""
        self._send("Emulation.setDeviceMetricsOverride",
                   {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
        self._send("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})

    def go_to(self, path, fragment=""):
        self._send("Page.navigate", {"url": pathlib.Path(path).resolve().as_uri() + fragment})

    def open(self, path, fragment=""):
        """A report: it says itself when it is drawn."""
        self.go_to(path, fragment)
        self.wait("document.documentElement?.dataset.drawn === 'true'")

    def run(self, script):
        """The value of a JavaScript expression."""
        result = self._send("Runtime.evaluate",
                            {"expression": script, "returnByValue": True, "awaitPromise": True})
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, condition):
        end = time.monotonic() + self.PATIENCE
        while time.monotonic() < end:
            if self.run(condition):
                return
            time.sleep(0.05)
        raise RuntimeError(f"never: {condition}; {self.problems}")

    def click(self, script):
        """A real click of the mouse in the middle of the element that the expression gives."""
        x, y = self.run(f"(() => {{ const e = {script}; e.scrollIntoView({{block: 'center'}});"
                        " const r = e.getBoundingClientRect();"
                        " return [r.x + r.width / 2, r.y + r.height / 2]; })()")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self._send("Input.dispatchMouseEvent",
                       {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1})

    def screenshot(self, path, whole=True):
        shot = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self._send("Page.getLayoutMetrics")["cssContentSize"]
            shot["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        data = self._send("Page.captureScreenshot", shot)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def print(self, path):
        data = self._send("Page.printToPDF", {"printBackground": True, "paperWidth": 8.27, "paperHeight": 11.7})
        pathlib.Path(path).write_bytes(base64.b64decode(data["data"]))
