"""The real app in a real browser: starting `revenue up`, and waiting until a page has settled."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page, expect, sync_playwright

PAGES = (
    "overview",
    "upload",
    "runs",
    "schedules",
    "logs",
    "alerts",
    "invalid_records",
    "repairs",
    "rules",
    "dashboard",
    "explain",
    "explore",
    "powerbi",
    "health",
)


@dataclass
class App:
    """A running `revenue up`."""

    home: Path
    port: int
    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def family(self) -> list[psutil.Process]:
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def wait_until_ready(self, seconds: float) -> float:
        """Return how long it took.

        Raises AssertionError with what it said when it took longer.
        """
        began = time.monotonic()
        while not any("ready:" in line for line in self.said):
            assert self.process.poll() is None, "".join(self.said)
            assert time.monotonic() - began < seconds, "".join(self.said)
            time.sleep(0.05)
        return time.monotonic() - began

    def interrupt(self, seconds: float = 30) -> int:
        """Press Ctrl-C and return the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(seconds)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def a_home() -> Iterator[Path]:
    """A home folder that the database's account may enter."""
    folder = Path(tempfile.mkdtemp(prefix="revenue-home-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def up(home: Path, *options: str, ready: float | None = 90) -> Iterator[App]:
    """Start `revenue up`; stopped at the end if it still runs."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("REVENUE_")
    }
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "up", "--no-browser", "--port", str(port), *options],
        env={
            **environment,
            "REVENUE_HOME": str(home),
            "REVENUE_METRICS_PORT": str(free_port()),
            "PYTHONUNBUFFERED": "1",
        },
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    app = App(home, port, process)

    def listen() -> None:
        assert process.stdout is not None
        app.said.extend(process.stdout)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        if ready is not None:
            app.wait_until_ready(ready)
        yield app
    finally:
        if process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                app.interrupt()
        if process.poll() is None:
            process.kill()
            process.wait()
        listener.join(5)
        assert process.stdout is not None
        process.stdout.close()


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or the one that PLAYWRIGHT_CHROMIUM names."""
    path = (
        os.environ.get("PLAYWRIGHT_CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        try:
            yield browser
        finally:
            browser.close()


def settle(page: Page) -> None:
    """Wait until the page's script has ended and nothing is drawn any more."""
    app = page.locator("[data-testid=stApp]")
    expect(app).to_have_attribute("data-test-connection-state", "CONNECTED", timeout=30_000)
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=30_000)
    expect(page.locator("[data-testid=stSkeleton]")).to_have_count(0, timeout=30_000)
    page.wait_for_timeout(300)
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=30_000)
