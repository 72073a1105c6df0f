"""`revenue up`: database, migrations, demo data, then web, worker and scheduler as children.

Each child is told when its parent dies (its standard input ends), so that a killed parent leaves
nobody behind.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

from sqlalchemy import Engine

from etl import generate, runs
from etl.db import queries, reporting
from etl.db.connect import Database, database
from etl.errors import RevenueError, SettingsError
from etl.settings import PREFIX, Settings

EXIT_WITH_PARENT = f"{PREFIX}EXIT_WITH_PARENT"
_STOP_SECONDS = 15
_READY_SECONDS = 60
_DEMO_SECONDS = 120
_DEMO_SEED = 2023


@dataclass
class Child:
    """One process of the product, started again when it dies."""

    name: str
    arguments: list[str]
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    deaths: list[float] = field(default_factory=list)

    def start(self) -> None:
        # a group of its own: Ctrl-C on the terminal reaches the parent alone, which stops in order
        own_group = (
            {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
            if os.name == "nt"
            else {"start_new_session": True}
        )
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", *self.arguments],
            env=self.environment,
            stdin=subprocess.PIPE,
            **own_group,
        )

    @property
    def has_died(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self, until: float) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def watch_parent() -> None:
    """In a child: end when the parent is gone."""
    if not os.environ.get(EXIT_WITH_PARENT):
        return

    def wait_for_end() -> None:
        with contextlib.suppress(OSError, ValueError):
            while os.read(0, 4096):
                pass
        if os.name == "nt":
            os._exit(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait_for_end, name="parent", daemon=True).start()


def up(settings: Settings, *, demo: bool, browser: bool, say: Callable[[str], None]) -> None:
    """Run everything until Ctrl-C or SIGTERM.

    Raises RevenueError when it cannot start.
    """
    _require_free_port(settings)
    settings.make_folders()
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    with database(settings, name="revenue up", progress=say) as opened:
        environment = {
            **os.environ,
            f"{PREFIX}DATABASE_URL": opened.url,
            f"{PREFIX}HOME": str(settings.home),
            f"{PREFIX}PORT": str(settings.port),
            EXIT_WITH_PARENT: "1",
        }
        readers = {
            f"{PREFIX}{role.upper()}_URL": opened.reader_urls[role]
            for role, given in (
                (reporting.SQL_BOX.name, settings.sql_box_url),
                (reporting.BI_READER.name, settings.bi_reader_url),
            )
            if given is None and role in opened.reader_urls
        }
        children = [
            Child("web", ["web"], {**environment, **readers}),
            *(Child(name, [name], environment) for name in ("worker", "scheduler")),
        ]
        demo_runs = _queue_demo(settings, opened.engine, say) if demo else []
        try:
            for child in children:
                child.start()
            _wait_until_ready(settings, opened.engine, children[0], demo_runs, stop)
            if not stop.is_set():
                _announce(settings, browser=browser, say=say)
            while not stop.wait(1.0):
                _revive_server(opened, say)
                _restart_dead(children, say)
        finally:
            say("stopping")
            for child in children:
                child.stop()
            until = time.monotonic() + _STOP_SECONDS
            for child in children:
                child.wait(until)


def _require_free_port(settings: Settings) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.address, settings.port))
        except OSError as error:
            raise SettingsError(
                f"port {settings.port} on {settings.address} cannot be used ({error.strerror}); "
                "is the app running already? Choose another with --port"
            ) from error


def _queue_demo(settings: Settings, engine: Engine, say: Callable[[str], None]) -> list[int]:
    """On a first start, make demo files and queue their runs; return the runs."""
    with engine.begin() as connection:
        if not queries.value(connection, "queries/reads.is_untouched"):
            return []
    say("first start: making demo data")
    customers = max(100, settings.demo_records // 20)
    for name, records in (("customers", customers), ("sales", settings.demo_records)):
        path = settings.landing / f"demo_{name}.json"
        generate.write(
            name, records=records, seed=_DEMO_SEED, path=path, format="json", customers=customers
        )
    with engine.begin() as connection:
        queued = [
            runs.enqueue(connection, name, actor="demo", trigger="demo")
            for name in ("customers", "sales")
        ]
    return [run_id for run_id in queued if run_id is not None]


def _wait_until_ready(
    settings: Settings, engine: Engine, web: Child, demo_runs: list[int], stop: threading.Event
) -> None:
    until = time.monotonic() + _READY_SECONDS
    while not is_healthy(settings):
        if web.has_died:
            raise RevenueError("the web process ended while starting; see its message above")
        if time.monotonic() > until or stop.wait(0.2):
            break
    until = time.monotonic() + _DEMO_SECONDS
    while demo_runs and time.monotonic() < until:
        with engine.connect() as connection:
            if not queries.value(connection, "queries/reads.any_unfinished", run_ids=demo_runs):
                break
        if stop.wait(0.2):
            break


def is_healthy(settings: Settings) -> bool:
    """Tell whether the web process answers."""
    try:
        with urllib.request.urlopen(  # noqa: S310 - an address of our own
            address(settings) + "/api/health", timeout=2
        ) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def address(settings: Settings) -> str:
    host = "127.0.0.1" if settings.address in {"0.0.0.0", "::"} else settings.address  # noqa: S104
    return f"http://{host}:{settings.port}"


def _announce(settings: Settings, *, browser: bool, say: Callable[[str], None]) -> None:
    say(f"ready: {address(settings)}   (Ctrl-C stops everything)")
    if browser:
        import webbrowser  # noqa: PLC0415 - slow, and only wanted here

        webbrowser.open(address(settings))


def _revive_server(opened: Database, say: Callable[[str], None]) -> None:
    """Start a killed embedded server again; it recovers, and the children connect anew."""
    if opened.embedded is None or opened.embedded.is_running():
        return
    say("the database server ended; starting it again")
    if opened.embedded.start(say) != opened.url:
        raise RevenueError(
            "the database came back on another port; start again, nothing is lost", code="port"
        )


def _restart_dead(children: list[Child], say: Callable[[str], None]) -> None:
    for child in children:
        if not child.has_died:
            continue
        assert child.process is not None
        now = time.monotonic()
        child.deaths = [death for death in child.deaths if now - death < 60] + [now]
        if len(child.deaths) > 5:
            raise RevenueError(
                f"{child.name} died {len(child.deaths)} times in a minute; giving up"
            )
        say(f"{child.name} ended with status {child.process.returncode}; starting it again")
        child.start()
