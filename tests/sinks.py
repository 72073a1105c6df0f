"""What the tests of alerts need: a receiver of messages, and alert rules that no test keeps."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sqlalchemy import Engine, text


class Sink:
    """A local HTTP receiver; its port is taken even while it is down."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.status = 200
        self.arrived = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.arrived.set()
                sink.may_answer.wait(10)
                if sink.status == 200:
                    sink.messages.append(json.loads(body))
                    sink.paths.append(self.path)
                self.send_response(sink.status)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"json://user:planted@127.0.0.1:{self.server.server_port}/hook"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def sink() -> Iterator[Sink]:
    opened = Sink()
    try:
        yield opened
    finally:
        opened.close()


@contextlib.contextmanager
def rules_put_back(engine: Engine) -> Iterator[None]:
    """Restore the alert rules as they were."""
    with engine.connect() as connection:
        before = [
            dict(row) for row in connection.execute(text("select * from etl.alert_rule")).mappings()
        ]
    yield
    with engine.begin() as connection:
        for table in ("delivery", "incident", "alert_rule"):
            connection.execute(text(f"delete from etl.{table}"))
        for row in before:
            connection.execute(
                text(
                    f"insert into etl.alert_rule ({', '.join(row)}) overriding system value "
                    f"values ({', '.join(f':{name}' for name in row)})"
                ),
                row,
            )
