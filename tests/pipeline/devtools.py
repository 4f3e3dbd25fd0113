"""A browser without a driver: the system's Chromium over its DevTools port, for tests that look at a page."""

import base64
import contextlib
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


class Page:
    """One tab."""

    def __init__(self, socket: Any):
        self._socket, self._number = socket, 0
        self.complaints: list[str] = []

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            self._hear(answer)
            if answer.get("id") == self._number:
                return answer.get("result", answer)

    def _hear(self, message: dict[str, Any]) -> None:
        """Keep what the page's console complains of: exceptions, errors, warnings, loads that failed."""
        parameters = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.complaints.append(str(details.get("exception", {}).get("description", details["text"])))
        elif message.get("method") == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.complaints.append(str(parameters["entry"]["text"]))
        elif message.get("method") == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(parameters["args"]))

    def go(self, url: str) -> None:
        self.send("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        return self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True).get("result", {}).get("value")

    def wait(self, script: str, seconds: float = 60) -> Any:
        """Until the script gives something true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.run(script)
            if found:
                return found
            time.sleep(0.3)
        raise TimeoutError(f"{script} stayed false for {seconds} s; the page says {self.text()[:500]!r}")

    def text(self) -> str:
        return str(self.run("document.body.innerText") or "")

    def key(self, key: str, code: str, modifiers: int = 0) -> None:
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=ord(key.upper()[0]), modifiers=modifiers
            )

    def click(self, text: str, tag: str = "button") -> bool:
        """Click the first visible element of a tag that holds exactly this text."""
        script = f"""(() => {{ const e = [...document.querySelectorAll({tag!r})].find(b => b.innerText.trim() === {text!r} && b.offsetParent);
                     if (!e) return false; e.click(); return true; }})()"""
        return bool(self.run(script))

    def screenshot(self, path: Path, selector: str | None = None) -> None:
        """The whole window, or one element."""
        options: dict[str, Any] = {}
        if selector:
            box = f"(() => {{ const b = document.querySelector({selector!r}).getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; }})()"
            x, y, width, height = self.run(box)
            options["clip"] = {"x": x, "y": y, "width": width, "height": height, "scale": 1}
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png", **options)["data"]))

    def scheme(self, name: str) -> None:
        """light or dark"""
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])


@contextlib.contextmanager
def browser(profile: Path, width: int = 1600, height: int = 900) -> Iterator[Page]:
    from websockets.sync.client import connect

    command = [
        chromium() or "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={profile}",
        f"--window-size={width},{height}", "about:blank",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        marker = profile / "DevToolsActivePort"
        end = time.monotonic() + 60
        while not marker.exists() or not marker.read_text():
            if time.monotonic() > end:
                raise TimeoutError("Chromium did not open its DevTools port")
            time.sleep(0.2)
        port = marker.read_text().splitlines()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=30) as answer:
            target = next(tab for tab in json.load(answer) if tab["type"] == "page")
        with connect(target["webSocketDebuggerUrl"], max_size=None) as socket:
            page = Page(socket)
            for domain in ("Page", "Runtime", "Log"):
                page.send(f"{domain}.enable")
            page.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
            yield page
    finally:
        process.terminate()
        process.wait(timeout=30)
