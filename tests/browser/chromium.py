"""A headless Chromium, driven by the DevTools protocol over a pipe (https://chromedevtools.github.io/devtools-protocol/)."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome-headless-shell")
_SECONDS = 90


def find_chromium() -> str | None:
    """Return the program of CHROMIUM, or the first known name on the path."""
    return os.environ.get("CHROMIUM") or next((path for name in _NAMES if (path := shutil.which(name))), None)


class Page:
    """One tab. `events` has all events of the protocol: console messages, requests, security reports."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._reader, self._writer = reader, writer
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result; events in between are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._writer.write(json.dumps(message).encode() + b"\0")
        self._writer.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])
            self.events.append(answer)

    def open(self, path: Path, width: int, *, is_dark: bool = False) -> None:
        """Open a file at a width in CSS pixels, and wait until it is loaded."""
        self.open_url(path.as_uri(), width, is_dark=is_dark)

    def open_url(self, url: str, width: int, *, is_dark: bool = False) -> None:
        """Open a URL at a width in CSS pixels, and wait until it is loaded."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + _SECONDS
        while self.value("document.readyState") != "complete" or self.value("location.href") != url:
            assert time.monotonic() < deadline, f"{url} was not loaded within {_SECONDS} s"
            time.sleep(0.05)

    def value(self, expression: str) -> Any:
        """Evaluate an expression; the protocol is not subject to the page's security policy."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def _read(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self._reader.read(1)) != b"\0":
            assert byte, "Chromium ended"
            data += byte
        return dict(json.loads(data))


@contextmanager
def open_page(program: str, profile: Path) -> Iterator[Page]:
    """Start Chromium with a new profile, without network, and end it."""
    (to_browser, our_writer), (our_reader, from_browser) = os.pipe(), os.pipe()
    # --remote-debugging-pipe reads from descriptor 3 and writes to descriptor 4.
    command = [
        "bash", "-c", f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}', program, "--headless=new", "--no-sandbox",
        "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--hide-scrollbars",
        "--disable-background-networking", "--no-first-run", f"--user-data-dir={profile}",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(to_browser)
    os.close(from_browser)
    try:
        with os.fdopen(our_reader, "rb") as reader, os.fdopen(our_writer, "wb") as writer:
            yield Page(reader, writer)
    finally:
        process.terminate()
        process.wait(_SECONDS)
