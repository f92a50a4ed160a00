"""A real browser, driven over a pipe with the DevTools protocol: nothing to install but Chromium itself."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--remote-debugging-pipe"),
    *("--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update"),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),  # WebGL 2 without a graphics card
    "--disable-gpu-rasterization",  # which takes a third more there
    "--disable-features=Translate,MediaRouter,OptimizationHints",
)
PATIENCE_S = 240.0  # of a machine that does other things too


VIEWER = "viewers[0]"
"""The page's first viewer, as its script knows it."""


class Browser:
    """A headless Chromium; its DevTools protocol is spoken over file descriptors 3 and 4 of the child."""

    def __init__(self, program: str, profile: Path) -> None:
        """Start it."""
        here_in, there_out = os.pipe()
        there_in, here_out = os.pipe()
        read, write = (fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (there_in, there_out))

        def place() -> None:
            os.dup2(read, 3)
            os.dup2(write, 4)

        self.process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(3, 4),
            preexec_fn=place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for fd in (there_in, there_out, read, write):
            os.close(fd)
        self._in, self._out, self._buffer, self._numbers = here_in, here_out, b"", count(1)
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; events that come meanwhile are kept."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            self.events.append(answer)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return dict(answer["result"])

    def wait_for(self, method: str, session: str) -> None:
        """Return when an event has come."""
        while not any(e.get("method") == method and e.get("sessionId") == session for e in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            part = os.read(self._in, 1 << 20)
            assert part, "the browser has gone"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))

    def tab(self, size: tuple[int, int], dark: bool = False, scale: float = 1) -> Tab:
        """Open a page."""
        return Tab(self, size, dark, scale)

    def close(self) -> None:
        """End it and wait for its end."""
        self.process.kill()
        self.process.wait(PATIENCE_S)
        os.close(self._in)
        os.close(self._out)


class Tab:
    """One page in the browser, with everything it complained of or asked the network for."""

    def __init__(self, browser: Browser, size: tuple[int, int], dark: bool = False, scale: float = 1) -> None:
        """Open an empty page of a size in CSS pixels; narrow ones are phones."""
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        width, height = size
        self.phone = phone = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )  # fmt: skip
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command to this page."""
        return self.browser.call(method, self.session, **params)

    def open(self, address: str) -> None:
        """Load a page and wait until its viewers show their volumes."""
        self.call("Page.navigate", url=address)
        self.browser.wait_for("Page.loadEventFired", self.session)
        self.wait("[...document.querySelectorAll('[data-testid=viewer]')].every((v) => v.dataset.ready)")

    def js(self, expression: str) -> Any:
        """Return the value of an expression, awaited where it is a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Look at a condition at every frame until it holds."""
        look = f"(function look() {{ if ({condition}) ok(true); else if (performance.now() > end) "
        look += "no(new Error('waited in vain')); else requestAnimationFrame(look); })()"
        self.js(f"new Promise((ok, no) => {{ const end = performance.now() + {1000 * PATIENCE_S}; {look}; }})")

    def drawn(self) -> None:
        """Wait until the picture is as the controls say."""
        self.js("new Promise((ok) => requestAnimationFrame(() => requestAnimationFrame(ok)))")

    def choose(self, testid: str, value: str) -> None:
        """Choose an option, or put a slider somewhere, as a person's hand would."""
        self.js(
            f"(() => {{ const c = document.querySelector('[data-testid={testid}]'); c.value = '{value}'; "
            "for (const kind of ['input', 'change']) c.dispatchEvent(new Event(kind, {bubbles: true})); })()"
        )
        self.drawn()

    def key(self, name: str) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name)
        self.drawn()

    def mouse(self, kind: str, x: float, y: float, button: str = "none", **more: Any) -> None:
        """Move, press, release or turn the wheel at a place in the window."""
        held = {"none": 0, "left": 1, "right": 2, "middle": 4}[button] if kind != "mouseReleased" else 0
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=held, clickCount=1, **more)

    def drag(self, start: tuple[float, float], right: float, down: float, button: str = "left") -> None:
        """Press, move in two steps and release."""
        x, y = start
        self.mouse("mousePressed", x, y, button)
        for part in (0.5, 1.0):
            self.mouse("mouseMoved", x + part * right, y + part * down, button)
        self.mouse("mouseReleased", x + right, y + down, button)
        self.drawn()

    def touch(self, *steps: list[tuple[float, float]]) -> None:
        """Put fingers down, move them, lift them."""
        for kind, points in zip(
            ("touchStart", *["touchMove"] * (len(steps) - 1), "touchEnd"), (*steps, []), strict=True
        ):
            at = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=at)
        self.drawn()

    def place(self, selector: str, across: float = 0.5, down: float = 0.5) -> tuple[float, float]:
        """Scroll to an element and return a point in it, in the window."""
        box = self.js(
            f"(() => {{ const e = document.querySelector(`{selector}`); "
            "e.scrollIntoView({block: 'center', behavior: 'instant'}); "
            "const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()"
        )
        return box[0] + across * box[2], box[1] + down * box[3]

    def pixels(self) -> str:
        """Return a fingerprint of the picture."""
        return str(
            self.js(
                f"(() => {{ {VIEWER}.paint(); const small = new OffscreenCanvas(160, 120).getContext('2d', "
                f"{{willReadFrequently: true}}); small.drawImage({VIEWER}.picture.canvas, 0, 0, 160, 120); "
                "return small.getImageData(0, 0, 160, 120).data.join(); })()"
            )
        )

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return str(self.js(f"document.querySelector(`{selector}`).textContent"))

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Write what is seen as PNG."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def problems(self, allowed: tuple[str, ...] = ("file:", "data:")) -> list[str]:
        """Return everything on the console that is worse than a remark, and all requests beyond the file itself."""
        self.drawn()
        found = []
        for event in (e for e in self.browser.events if e.get("sessionId") == self.session):
            params = event["params"]
            match event["method"]:
                case "Runtime.exceptionThrown":
                    found.append(str(params["exceptionDetails"]))
                case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                    found.append(str(params["args"]))
                case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                    found.append(params["entry"]["text"])
                case "Network.requestWillBeSent" if not params["request"]["url"].startswith(allowed):
                    found.append(f"asks for {params['request']['url']}")
        return found

    def close(self) -> None:
        """Close the page."""
        self.browser.call("Target.closeTarget", targetId=self.target)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start Chromium once, or skip."""
    program = next((path for name in NAMES if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    started = Browser(program, tmp_path_factory.mktemp("browser"))
    yield started
    started.close()
