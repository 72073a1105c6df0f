"""What machines ask the worker: `/healthz` and Prometheus `/metrics`, on this machine only.

Everything is read from the database when it is asked for, so that a restart loses nothing.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from app import health
from etl import monitor
from etl.db import queries
from etl.errors import RevenueError
from etl.settings import Settings

ADDRESS = "127.0.0.1"
PREFIX = "revenue"
_TIMEOUT_MS = 10_000


class Warehouse(Collector):
    """Reads the metrics from the database at scrape time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        """Return every metric; without a database only that there is none."""
        found: list[Metric] = []
        with contextlib.suppress(SQLAlchemyError, RevenueError), _reading(self._engine) as reader:
            found = _metrics(reader)
        return [_gauge("database_up", "1 while the database answers", {(): bool(found)}), *found]


@contextlib.contextmanager
def _reading(engine: Engine) -> Iterator[Connection]:
    with engine.begin() as connection:
        queries.execute(connection, "queries/checks.be_modest", milliseconds=_TIMEOUT_MS)
        yield connection


def _gauge(
    name: str, meaning: str, values: dict[tuple[str, ...], float], *labels: str, unit: str = ""
) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", meaning, labels=labels, unit=unit)
    for key, value in values.items():
        family.add_metric(key, float(value))
    return family


def _metrics(connection: Connection) -> list[Metric]:
    def ask(name: str) -> list[dict[str, Any]]:
        return queries.rows(connection, f"queries/checks.{name}")

    status = health.status(connection)
    verdicts = ask("records_by_verdict")
    last_runs = ask("last_runs")
    return [
        _gauge("well", "1 while `revenue status` finds no problem", {(): status["is_well"]}),
        _gauge(
            "runs",
            "Runs by feed and status",
            {(row["dataset"], row["status"]): row["runs"] for row in ask("runs_by_status")},
            "dataset",
            "status",
        ),
        _gauge(
            "queued_runs",
            "Runs that wait for a worker",
            {(): status["queued_runs"] + status["lost_runs"]},
        ),
        _gauge(
            "last_run_duration_seconds",
            "How long the newest finished run of a feed took",
            {(row["dataset"], row["status"]): row["seconds"] for row in last_runs},
            "dataset",
            "status",
        ),
        _gauge(
            "last_run_end_timestamp_seconds",
            "When the newest finished run of a feed ended, Unix time",
            {(row["dataset"], row["status"]): row["ended_at"].timestamp() for row in last_runs},
            "dataset",
            "status",
        ),
        _gauge(
            "records",
            "Records of loaded batches by feed and verdict",
            {
                (row["dataset"], verdict): row[verdict]
                for row in verdicts
                for verdict in ("valid", "invalid", "superseded")
            },
            "dataset",
            "verdict",
        ),
        _gauge(
            "open_invalid_records",
            "Invalid records that wait for a decision",
            {(row["dataset"],): row["open_invalid"] for row in verdicts},
            "dataset",
        ),
        _gauge(
            "heartbeat_age_seconds",
            "Seconds since the newest sign of life of a kind of process",
            {(row["kind"],): row["seconds"] for row in ask("silence")},
            "kind",
        ),
        _gauge(
            "freshness_age_seconds",
            "Seconds since a layer took data or was found complete; absent: never",
            {
                (age.dataset, age.layer): age.age_seconds
                for age in status["freshness"]
                if age.age_seconds is not None
            },
            "dataset",
            "layer",
        ),
        _gauge(
            "layer_state",
            "1 for the state that a layer is in",
            {
                (age.dataset, age.layer, state.value): age.state is state
                for age in status["freshness"]
                for state in monitor.Freshness
            },
            "dataset",
            "layer",
            "state",
        ),
        _gauge(
            "ledger_balanced",
            "1 where the newest check of all layers found a leg balanced",
            {(row["dataset"], row["leg"]): row["is_balanced"] for row in status["findings"]},
            "dataset",
            "leg",
        ),
    ]


def healthz(engine: Engine) -> tuple[bool, dict[str, Any]]:
    """Tell whether the worker can work, and what `revenue status` says of the whole.

    Healthy is the process: the database answers and the worker beats. A broken ledger or an old
    layer is told in `problems`, because starting the worker again would not mend it.
    """
    try:
        with _reading(engine) as connection:
            beats = health.beats_here(connection, "worker")
            status = health.status(connection)
    except (SQLAlchemyError, RevenueError):
        return False, {"status": "error", "reason": "the database does not answer"}
    return beats, {
        "status": "ok" if beats else "error",
        **({} if beats else {"reason": "the worker shows no sign of life"}),
        "is_well": status["is_well"],
        "problems": status["problems"],
        "warnings": status["warnings"],
    }


def application(engine: Engine) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    """Return the WSGI application of both addresses."""
    registry = CollectorRegistry()
    registry.register(Warehouse(engine))
    metrics = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return metrics(environ, start_response)  # type: ignore[no-any-return]
        if path != "/healthz":
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"/healthz or /metrics\n"]
        is_healthy, body = healthz(engine)
        start_response(
            "200 OK" if is_healthy else "503 Service Unavailable",
            [("Content-Type", "application/json"), ("Cache-Control", "no-store")],
        )
        return [json.dumps(body).encode() + b"\n"]

    return answer


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Write no traceback: a client that went away is no error of ours."""
        del request, client_address


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's word
        """Log nothing."""


@contextlib.contextmanager
def serving(
    engine: Engine, settings: Settings, *, warn: Callable[[str], None]
) -> Iterator[int | None]:
    """Serve meanwhile; yields the port. A port that is taken is a warning, not an error.

    Yields None when nothing is served.
    """
    if not settings.metrics_port:
        yield None
        return
    try:
        server = make_server(
            ADDRESS,
            settings.metrics_port,
            application(engine),
            server_class=_Server,
            handler_class=_Quiet,
        )
    except OSError as error:
        words = (
            f"port {settings.metrics_port} cannot be used ({error.strerror}): this worker serves no "
            "/healthz and /metrics; set REVENUE_METRICS_PORT to a free port, or 0"
        )
        warn(words)
        monitor.log(engine, "warning", words)
        yield None
        return
    thread = threading.Thread(target=server.serve_forever, name="exporter", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
