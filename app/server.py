"""The web process: pages, `/api/health` and security headers on one ASGI app."""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import auth, context
from etl import settings as settings_module
from etl.db import queries
from etl.errors import RevenueError, SettingsError
from etl.settings import Settings

_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"SAMEORIGIN",
    b"referrer-policy": b"same-origin",
    b"content-security-policy": (
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
        b"style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        b"connect-src 'self' ws: wss:; worker-src 'self' blob:; frame-ancestors 'self'"
    ),
}
# imported before the first visitor comes, then frozen: a page otherwise pays for both
_WARM = (
    "pandas",
    "plotly.graph_objects",
    "plotly.io",
    "psycopg2",
    "sqlalchemy",
    "streamlit.elements.plotly_chart",
)


_SCRIPTS = "/static/js/"
_STATIC = Path(st.__file__).parent / "static" / "static" / "js"
_NAMES = frozenset(file.name for file in _STATIC.glob("*.js"))


class SecurityHeaders:
    """Adds the headers that keep data from being framed, sniffed or sent elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(item for item in _HEADERS.items() if item[0] not in present),
                ]
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class HeldScripts:
    """Answers Streamlit's own scripts from memory: their names change with what they hold.

    A browser that comes for the first time asks for 130 of them, 10 MB, while its page is made.
    Streamlit reads each in slices, in threads that the page then waits for.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.held: dict[str, Response] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if not path.startswith(_SCRIPTS) or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        name = path.removeprefix(_SCRIPTS)
        found = self.held.get(name)
        if found is None and name in _NAMES:  # whatever else is asked for is Streamlit's matter
            found = self.held[name] = Response(
                (_STATIC / name).read_bytes(),
                media_type="text/javascript",
                headers={"cache-control": "public, immutable, max-age=31536000"},
            )
        await (found or self.app)(scope, receive, send)


def health(request: Request) -> JSONResponse:
    """Answer 200 while the database can be asked, 503 otherwise."""
    del request
    try:
        with context.engine().connect() as connection:
            version = queries.value(connection, "queries/reads.data_version")
    except RevenueError as error:
        return JSONResponse({"status": "error", "reason": error.code}, status_code=503)
    except Exception:  # noqa: BLE001 - whatever it is, the process is not healthy
        return JSONResponse({"status": "error", "reason": "database"}, status_code=503)
    return JSONResponse({"status": "ok", "data_version": version})


@contextlib.asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    del app
    for module in _WARM:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    yield


app = st.App(
    Path(__file__).with_name("main.py"),
    lifespan=lifespan,
    routes=[Route("/api/health", health)],
    middleware=[Middleware(SecurityHeaders), Middleware(HeldScripts)],
)


def guard(settings: Settings) -> None:
    """Refuse to serve the network while nobody signs in.

    Raises SettingsError.
    """
    if settings.address in auth.LOOPBACK or settings.allow_unauthenticated_network_access:
        return
    raise SettingsError(
        f"REVENUE_ADDRESS is {settings.address}, but nobody signs in: anyone on the network could "
        "change data. Keep 127.0.0.1, or put an authenticating proxy before it and set "
        "REVENUE_ALLOW_UNAUTHENTICATED_NETWORK_ACCESS=true"
    )


def _configured() -> Path:
    """Return the folder of `.streamlit/config.toml`: the checkout, or the installed package."""
    here = Path(__file__).resolve().parent
    return here.parent if (here.parent / ".streamlit" / "config.toml").exists() else here


def serve(settings: Settings) -> None:
    """Serve until the process is told to stop."""
    guard(settings)
    sys.argv = [str(_configured() / "server.py")]  # App.run looks beside it for .streamlit/
    app.run(
        config={
            "server.port": settings.port,
            "server.address": settings.address,
            "server.headless": True,
            "server.allowedHosts": settings.allowed_hosts.split(),
            "server.maxUploadSize": settings.upload_limit_mb,
            "server.fileWatcherType": "none",
        }
    )


if __name__ == "__main__":
    serve(settings_module.load())
