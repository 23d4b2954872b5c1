"""A headless Chromium, which opens a page and evaluates JavaScript in it, by the DevTools protocol over two pipes."""

import itertools
import json
import os
import shutil
import subprocess
import tempfile

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (Debian's package)")

_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--remote-debugging-pipe"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
_PIPES = 'exec "$@" 3<&{} 4>&{}'  # Chromium reads from 3 and writes to 4; sh knows no numbers above 9, bash does.
_HELPERS = """
const wrong = [];
addEventListener("error", (event) => wrong.push(event.message));
addEventListener("unhandledrejection", (event) => wrong.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => wrong.push("blocked: " + event.blockedURI));
const all = (selector) => [...document.querySelectorAll(selector)];
const texts = (selector) => all(selector).filter((one) => one.checkVisibility()).map((one) => one.textContent);
const wait = async (condition) => {
  for (let tries = 0; !condition(); tries++) {
    if (tries === 500) throw new Error(`never: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};
const picture = async (place) => {
  place.scrollIntoView();
  await wait(() => place.querySelector("svg.marks"));
};
"""


class Browser:
    """A running Chromium; a context manager."""

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        command = ["bash", "-c", _PIPES.format(theirs_in, theirs_out), "bash", CHROMIUM, *_OPTIONS]
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={self._folder.name}"],
            pass_fds=(theirs_in, theirs_out),
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._write, self._read = os.fdopen(ours_out, "wb"), os.fdopen(ours_in, "rb")
        self._numbers, self._rest = itertools.count(1), b""
        return self

    def __exit__(self, *error):
        self._write.close()
        self._read.close()
        self._process.wait(timeout=20)
        self._folder.cleanup()

    def evaluate(self, address, script, width=1200):
        """Opens a page; returns what the body of a JavaScript function returns in it, and what went wrong in the page.

        Args:
            address: Of the page.
            script: May use `all(selector)`, `texts(selector)` (of what can be seen), `await wait(condition)` and
                `await picture(place)`.
            width: Of the page, in pixels.
        """
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", session, **size)
        self._call("Page.enable", session)
        self._call("Page.addScriptToEvaluateOnNewDocument", session, source=_HELPERS)
        self._call("Page.navigate", session, url=address)
        expression = (
            f'(async () => {{ await wait(() => document.readyState === "complete"); {script} }})()'
            ".catch((error) => { wrong.push(String(error)); return null; }).then((value) => ({ value, wrong }))"
        )
        found = self._call("Runtime.evaluate", session, expression=expression, awaitPromise=True, returnByValue=True)
        self._call("Target.closeTarget", targetId=target)
        return found["result"]["value"]["value"], found["result"]["value"]["wrong"]

    def _call(self, method, session=None, **parameters):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        self._write.write(json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        self._write.flush()
        while (answer := self._message()).get("id") != number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _message(self):
        while b"\0" not in self._rest:
            part = os.read(self._read.fileno(), 65536)
            assert part, "the browser has ended"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)
