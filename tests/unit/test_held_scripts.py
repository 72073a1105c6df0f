"""Streamlit's scripts come from memory, and nothing else does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app import server

NAME = min(server._NAMES)


def ask(held: server.HeldScripts, path: str, method: str = "GET") -> list[Any]:
    """Return what was sent."""
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path, "method": method, "headers": []}
    asyncio.run(held(scope, receive, send))
    return sent


@pytest.fixture
def held() -> server.HeldScripts:
    async def streamlit(scope: Any, receive: Any, send: Any) -> None:
        del receive
        await send({"type": "passed on", "path": scope["path"]})

    return server.HeldScripts(streamlit)


def test_a_script_is_answered_and_then_held(held: server.HeldScripts) -> None:
    first, again = (ask(held, f"/static/js/{NAME}") for _ in range(2))
    assert first == again
    assert first[1]["body"] == (server._STATIC / NAME).read_bytes()
    assert (b"cache-control", b"public, immutable, max-age=31536000") in first[0]["headers"]
    assert list(held.held) == [NAME]


@pytest.mark.parametrize(
    "path",
    [
        f"/static/js/./{NAME}",
        f"/static/js//host/share/{NAME}",
        f"/static/js/x/{NAME}",
        f"/static/js/x\x00/{NAME}",
        f"/static/js/../js/{NAME}",
        "/static/js/no_such_script.js",
        "/static/js/",
        "/dashboard",
    ],
)
def test_whatever_is_no_plain_name_is_streamlits_matter(
    held: server.HeldScripts, path: str
) -> None:
    assert ask(held, path) == [{"type": "passed on", "path": path}]
    assert not held.held


def test_only_reading_is_answered(held: server.HeldScripts) -> None:
    assert ask(held, f"/static/js/{NAME}", "POST")[0]["type"] == "passed on"
