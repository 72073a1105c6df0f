"""A stand-in for Microsoft Entra ID and the Power BI REST API, as their documentation describes them.

It answers what a test tells it to, and refuses what the service would refuse: another scope, a missing
or old token, parameters of the wrong form, a second refresh while one is under way.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TENANT = "11111111-1111-4111-8111-111111111111"
CLIENT = "22222222-2222-4222-8222-222222222222"
WORKSPACE = "33333333-3333-4333-8333-333333333333"
DATASET = "44444444-4444-4444-8444-444444444444"
SECRET = "Pl4nted~s3cret/with=signs"
SCOPE = "https://analysis.windows.net/powerbi/api/.default"
_REFRESHES = f"/v1.0/myorg/groups/{WORKSPACE}/datasets/{DATASET}/refreshes"


@dataclass
class Reply:
    """An answer that a test puts in place of the usual one."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Request:
    """A request as it came."""

    method: str
    path: str
    body: Any


def error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


class Service:
    """The service: `replies` are given first, one a request; `refreshes` are what it works on."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.replies: dict[str, list[Reply]] = {"token": [], "POST": [], "GET": []}
        self.tokens: list[str] = []  # given; only the last is good
        self.expires_in = 3599
        self.is_premium = True
        self.refreshes: list[dict[str, Any]] = []  # newest first
        self.id_header = "RequestId"  # of a standard refresh
        self.ends_at_once = False  # a refresh, as soon as it began
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
                if self.path.endswith("/oauth2/v2.0/token"):
                    self._answer(service.token(self.path, text))
                else:
                    self._answer(service.api("POST", self, text))

            def do_GET(self) -> None:
                self._answer(service.api("GET", self, ""))

            def _answer(self, reply: Reply) -> None:
                body = b"" if reply.body is None else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def settings(self) -> dict[str, Any]:
        """What points the product at this service."""
        return {
            "powerbi_tenant_id": TENANT,
            "powerbi_client_id": CLIENT,
            "powerbi_client_secret": SECRET,
            "powerbi_workspace_id": WORKSPACE,
            "powerbi_dataset_id": DATASET,
            "powerbi_authority_url": self.address,
            "powerbi_api_url": self.address,
        }

    @property
    def posts(self) -> list[Any]:
        """Bodies of the refreshes that were asked for, refused ones included."""
        return [one.body for one in self.requests if one.method == "POST"]

    @property
    def looks(self) -> list[str]:
        return [one.path for one in self.requests if one.method == "GET"]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    # What it does -----------------------------------------------------------------------

    def token(self, path: str, text: str) -> Reply:
        form = {name: values[0] for name, values in parse_qs(text).items()}
        self.requests.append(Request("token", path, form))
        if self.replies["token"]:
            return self.replies["token"].pop(0)
        if path != f"/{TENANT}/oauth2/v2.0/token" or form.get("client_id") != CLIENT:
            return Reply(400, {"error": "invalid_request", "error_description": "AADSTS90002"})
        if form.get("grant_type") != "client_credentials" or form.get("scope") != SCOPE:
            return Reply(400, {"error": "invalid_scope", "error_description": "AADSTS70011"})
        if form.get("client_secret") != SECRET:
            return Reply(401, {"error": "invalid_client", "error_description": "AADSTS7000215"})
        self.tokens.append(f"planted-token-{len(self.tokens) + 1}")
        return Reply(
            200,
            {
                "token_type": "Bearer",
                "expires_in": self.expires_in,
                "access_token": self.tokens[-1],
            },
        )

    def api(self, method: str, handler: BaseHTTPRequestHandler, text: str) -> Reply:
        self.requests.append(Request(method, handler.path, json.loads(text) if text else None))
        if self.replies[method]:
            return self.replies[method].pop(0)
        given = handler.headers.get("Authorization", "")
        if not self.tokens or given != f"Bearer {self.tokens[-1]}":
            return Reply(401, error("TokenExpired", "Access token has expired"))
        at = urlsplit(handler.path)
        if method == "POST" and handler.headers.get("Content-Type") != "application/json":
            return Reply(415, error("UnsupportedMediaType", "JSON is wanted"))
        if method == "POST" and at.path == _REFRESHES:
            return self._start(json.loads(text))
        if method == "GET" and at.path == _REFRESHES:
            top = int(parse_qs(at.query).get("$top", ["60"])[0])
            return Reply(200, {"value": self.refreshes[:top]})
        if method == "GET" and at.path.startswith(f"{_REFRESHES}/"):
            return self._details(at.path.rpartition("/")[2])
        return Reply(404, error("PowerBIEntityNotFound", "nothing there"))

    def _start(self, body: dict[str, Any]) -> Reply:
        is_enhanced = set(body) - {"notifyOption"}
        if is_enhanced and "notifyOption" in body:
            return Reply(400, error("InvalidRequest", "notifyOption is not applicable"))
        if is_enhanced and not self.is_premium:
            return Reply(400, error("InvalidRequest", "only notifyOption on shared capacity"))
        if not is_enhanced and body != {"notifyOption": "NoNotification"}:
            return Reply(400, error("InvalidRequest", "notifyOption of a service principal"))
        if any(one["status"] == "Unknown" for one in self.refreshes):
            return Reply(
                400,
                error(
                    "InvalidRequest",
                    "Invalid dataset refresh request. Another refresh request is already executing",
                ),
            )
        number = len(self.refreshes) + 1
        request_id = f"55555555-5555-4555-8555-{number:012d}"
        kind = "ViaEnhancedApi" if is_enhanced else "ViaApi"
        self.refreshes.insert(
            0,
            {
                "requestId": request_id,
                "refreshType": kind,
                "status": "Completed" if self.ends_at_once else "Unknown",
            },
        )
        if is_enhanced:
            at = f"{self.address}{_REFRESHES}/{request_id}"
            return Reply(202, None, {"Location": at, "x-ms-request-id": request_id})
        return Reply(202, None, {self.id_header: request_id})

    def _details(self, request_id: str) -> Reply:
        for one in self.refreshes:
            if one["requestId"] == request_id:
                running = one["status"] == "Unknown"
                shown = {"type": "Full", "commitMode": "Transactional", **one}
                shown.setdefault("extendedStatus", "InProgress" if running else one["status"])
                return Reply(202 if running else 200, shown)
        return Reply(404, error("PowerBIEntityNotFound", "no such refresh"))

    def finish(self, status: str = "Completed", **more: Any) -> None:
        """Bring the newest refresh to its end."""
        self.refreshes[0] |= {"status": status, **more}

    def begin_other(self) -> None:
        """Let a refresh begin that somebody else asked for."""
        self.refreshes.insert(
            0, {"requestId": "other", "refreshType": "Scheduled", "status": "Unknown"}
        )


@contextlib.contextmanager
def service() -> Iterator[Service]:
    opened = Service()
    try:
        yield opened
    finally:
        opened.close()
