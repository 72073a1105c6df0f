"""The Power BI REST API, as far as refreshes need it: one call, one answer, no waiting.

Written after the documentation of *Refresh Dataset In Group*, *Get Refresh History In Group* and *Get
Refresh Execution Details In Group*. A service principal signs in by its client secret. The secret and
the token go to the configured addresses only (no redirect is followed) and stand in no error. requests
is slow to import, so that happens on first use.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from etl.errors import RevenueError, SettingsError
from etl.masking import mask
from etl.settings import PREFIX, Settings

if TYPE_CHECKING:
    from requests import PreparedRequest

CONNECT_SECONDS = 10.0
READ_SECONDS = 20.0
CALLS = 4  # most requests of one call: token, request, new token, request again
UNDER_WAY_SECONDS = 60.0  # until a refresh that others began is asked about again
THROTTLED_SECONDS = 60.0  # where the service does not say how long
LIMIT_SECONDS = 3600.0  # until the service's own limit of a day is tried again
_LONGEST_SECONDS = 24 * 3600.0
_EARLY_SECONDS = 120.0  # a token is replaced so long before it ends
_ANSWER_BYTES = 1_000_000
_HISTORY = 60  # entries that the service keeps at most
_CHARACTERS = 300
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_MASK = "…"


class Form(StrEnum):
    """Which of both ways to refresh is asked for."""

    STANDARD = "standard"
    ENHANCED = "enhanced"

    @property
    def body(self) -> dict[str, str]:
        """Return the body of the request.

        Shared capacity takes notifyOption alone, and a service principal has nobody to notify; with
        any parameter of the enhanced form notifyOption is refused.
        """
        if self is Form.STANDARD:
            return {"notifyOption": "NoNotification"}
        return {"type": "Full", "commitMode": "transactional"}


class RefusedError(RevenueError):
    """Power BI says no; asking again changes nothing."""

    code = "powerbi"


class NotNowError(RevenueError):
    """Nothing failed: Power BI wants to be asked later; `seconds` from now."""

    code = "powerbi"

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class UnreachableError(RevenueError):
    """Power BI cannot be reached, or is broken; `seconds` from now, None where it does not say."""

    code = "powerbi"

    def __init__(self, message: str, *, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(frozen=True, kw_only=True)
class Access:
    """The service principal, and where the service is."""

    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)
    authority_url: str
    api_url: str
    scope: str


@dataclass(frozen=True, kw_only=True)
class Target:
    """The dataset to refresh."""

    workspace_id: str
    dataset_id: str

    @property
    def path(self) -> str:
        return f"/v1.0/myorg/groups/{self.workspace_id}/datasets/{self.dataset_id}/refreshes"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """How far a refresh is."""

    is_over: bool
    is_known: bool = True  # the service has heard of it; not at once after the request
    error: str | None = None  # why it failed; None while it runs, and when it completed


_DATASET = ("powerbi_workspace_id", "powerbi_dataset_id")
_PRINCIPAL = ("powerbi_tenant_id", "powerbi_client_id", "powerbi_client_secret")


def configured_target(settings: Settings) -> Target:
    """Return the dataset of the settings.

    Raises SettingsError naming what is missing.
    """
    _require(settings, *_DATASET)
    return Target(
        workspace_id=str(settings.powerbi_workspace_id), dataset_id=str(settings.powerbi_dataset_id)
    )


def configured_access(settings: Settings) -> Access:
    """Return the service principal of the settings.

    Raises SettingsError naming all that a refresh misses.
    """
    _require(settings, *_PRINCIPAL, *_DATASET)
    secret = settings.powerbi_client_secret
    return Access(
        tenant_id=str(settings.powerbi_tenant_id),
        client_id=str(settings.powerbi_client_id),
        client_secret=secret.get_secret_value() if secret else "",
        authority_url=settings.powerbi_authority_url,
        api_url=settings.powerbi_api_url,
        scope=settings.powerbi_scope,
    )


def _require(settings: Settings, *names: str) -> None:
    missing = [f"{PREFIX}{name.upper()}" for name in names if not getattr(settings, name)]
    if missing:
        raise SettingsError(
            f"a refresh of Power BI needs {', '.join(missing)}; docs/powerbi.md says where to find "
            f"{'it' if len(missing) == 1 else 'them'}"
        )


@dataclass(frozen=True, kw_only=True)
class _Answer:
    status: int
    headers: Mapping[str, str]  # names in any case
    json: Any

    @property
    def words(self) -> str:
        """Return what the service says of an error, in one line."""
        body = self.json if isinstance(self.json, dict) else {}
        error = body.get("error")
        if isinstance(error, dict):
            found = [error.get("code"), error.get("message")]
        else:  # the token endpoint, and plain messages
            found = [error, body.get("error_description"), body.get("message")]
        return ": ".join(str(part) for part in found if part)

    def seconds(self, now: dt.datetime) -> float | None:
        """Return how long the service wants to be left alone, None where it does not say."""
        return retry_after(self.headers.get("Retry-After"), self.headers.get("Date"), now)


def retry_after(value: str | None, date: str | None, now: dt.datetime) -> float | None:
    """Return the seconds of a Retry-After header (seconds, or a moment), None without a usable one.

    A moment is compared with the service's own clock, which the Date header shows.
    """
    text = (value or "").strip()
    if re.fullmatch(r"\d{1,9}", text):
        seconds = float(text)
    else:
        moment = _moment(text)
        if moment is None:
            return None
        seconds = (moment - (_moment(date or "") or now)).total_seconds()
    return min(max(seconds, 1.0), _LONGEST_SECONDS)


def _moment(text: str) -> dt.datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


class PowerBi:
    """Asks for refreshes and looks how they are; keeps its token, and nothing else."""

    def __init__(self, access: Access, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._access = access
        self._clock = clock
        self._token = ""
        self._token_ends = 0.0

    def start(self, target: Target, form: Form) -> str:
        """Ask for a refresh; return its id at the service, which has confirmed it.

        Raises RefusedError, NotNowError, UnreachableError.
        """
        answer = self._call("POST", target.path, body=form.body)
        if answer.status not in {200, 202}:
            self._refuse_start(answer, form)
        return _request_id(answer, form)

    def look(self, target: Target, form: Form, request_id: str) -> Seen:
        """Return how far a refresh is.

        Raises RefusedError, NotNowError, UnreachableError.
        """
        if form is Form.ENHANCED:
            answer = self._call("GET", f"{target.path}/{quote(request_id, safe='')}")
            if answer.status == 404:
                return Seen(is_over=False, is_known=False)
            found: Mapping[str, Any] = answer.json if isinstance(answer.json, dict) else {}
        else:
            answer = self._call("GET", f"{target.path}?$top={_HISTORY}")
            found = _entry(answer.json, request_id)
        if answer.status == 202:
            return Seen(is_over=False)
        if answer.status != 200:
            self._refuse(answer)
        return self._seen(found)

    def _seen(self, found: Mapping[str, Any]) -> Seen:
        states = {str(found.get(name, "")).lower() for name in ("status", "extendedStatus")}
        words = {
            "timedout": "it took longer than Power BI allows",
            "cancelled": "it was cancelled in Power BI",
            "disabled": "the dataset's refresh is switched off in Power BI: switch it on there",
            "failed": "it failed in Power BI",
        }
        for state, sentence in words.items():
            if state in states:
                said = self._quiet(_service_words(found))
                return Seen(is_over=True, error=f"{sentence}: {said}" if said else sentence)
        return Seen(is_over="completed" in states)

    # One request ------------------------------------------------------------------------

    def _call(self, method: str, path: str, *, body: Mapping[str, str] | None = None) -> _Answer:
        """Return the answer, a token having been got where needed.

        Raises RefusedError when even a new token is not accepted; NotNowError when throttled;
        UnreachableError.
        """
        answer = self._authorised(method, path, body)
        if answer.status == 401:
            self._token = ""
            answer = self._authorised(method, path, body)
        if answer.status == 401:
            said, self._token = self._said(answer), ""  # in this order: no word shows the token
            raise RefusedError(
                "Power BI does not accept the service principal (401), although its token is new: "
                "an administrator allows service principals to call the APIs in the tenant settings; "
                f"check {PREFIX}POWERBI_TENANT_ID and {PREFIX}POWERBI_SCOPE as well{said}"
            )
        self._leave_alone(answer, "Power BI")
        return answer

    def _authorised(self, method: str, path: str, body: Mapping[str, str] | None) -> _Answer:
        token = self._current_token()

        def sign(request: PreparedRequest) -> PreparedRequest:
            request.headers["Authorization"] = f"Bearer {token}"
            return request

        return self._send(method, f"{self._access.api_url}{path}", sign=sign, json=body)

    def _current_token(self) -> str:
        if self._token and self._clock() < self._token_ends:
            return self._token
        access = self._access
        answer = self._send(
            "POST",
            f"{access.authority_url}/{quote(access.tenant_id, safe='')}/oauth2/v2.0/token",
            sign=lambda request: request,
            data={
                "grant_type": "client_credentials",
                "client_id": access.client_id,
                "client_secret": access.client_secret,
                "scope": access.scope,
            },
        )
        self._leave_alone(answer, "Microsoft Entra ID")
        found = answer.json if isinstance(answer.json, dict) else {}
        if answer.status != 200:
            raise RefusedError(
                f"Microsoft Entra ID gives no token ({answer.status}): check "
                f"{PREFIX}POWERBI_TENANT_ID, {PREFIX}POWERBI_CLIENT_ID and "
                f"{PREFIX}POWERBI_CLIENT_SECRET, which may have run out{self._said(answer)}"
            )
        token, lasts = found.get("access_token"), found.get("expires_in")
        if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
            raise UnreachableError("Microsoft Entra ID answers without a token")
        seconds = float(lasts) if isinstance(lasts, int | float) else 0.0
        self._token, self._token_ends = token, self._clock() + max(seconds - _EARLY_SECONDS, 0.0)
        return token

    def _send(
        self,
        method: str,
        url: str,
        *,
        sign: Callable[[PreparedRequest], PreparedRequest],
        **content: Any,
    ) -> _Answer:
        import requests  # noqa: PLC0415 - slow; most processes never ask
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        try:
            # `auth` also keeps requests from looking for passwords in ~/.netrc
            with requests.request(
                method,
                url,
                auth=sign,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                stream=True,
                **content,
            ) as response:
                text = self._read(response)
                return _Answer(
                    status=response.status_code, headers=response.headers, json=_json(text)
                )
        except (requests.RequestException, HTTPError, OSError) as error:
            host = url.split("/")[2]
            raise UnreachableError(f"{host} cannot be reached ({type(error).__name__})") from None

    def _read(self, response: Any) -> bytes:
        until = self._clock() + READ_SECONDS
        text = b""
        # as much as has come: a server that drips is noticed in time
        while part := response.raw.read1(65_536, decode_content=True):
            text += part
            if len(text) > _ANSWER_BYTES or self._clock() > until:
                raise UnreachableError("the answer of Power BI is too long, or comes too slowly")
        return text

    # Words ------------------------------------------------------------------------------

    def _leave_alone(self, answer: _Answer, who: str) -> None:
        """Raise what an answer says that has to do with its server, not with the request."""
        seconds = answer.seconds(dt.datetime.now(dt.UTC))
        if answer.status == 429:
            raise NotNowError(
                f"{who} asks for patience (429): too many requests",
                seconds=THROTTLED_SECONDS if seconds is None else seconds,
            )
        if answer.status >= 500 or answer.status == 408:
            raise UnreachableError(
                f"{who} is out of order ({answer.status}){self._said(answer)}", seconds=seconds
            )
        if 300 <= answer.status < 400:
            raise RefusedError(
                f"{who} wants to be asked at another address ({answer.status}), which is not "
                f"followed: check {PREFIX}POWERBI_AUTHORITY_URL and {PREFIX}POWERBI_API_URL"
            )

    def _refuse_start(self, answer: _Answer, form: Form) -> None:
        said = answer.words.lower()
        if answer.status in {400, 409} and (
            "already executing" in said or "refreshinprogress" in said.replace(" ", "")
        ):
            raise NotNowError(
                "another refresh of the dataset is under way; it may have begun before the data "
                "changed, so it is asked again after it",
                seconds=UNDER_WAY_SECONDS,
            )
        if answer.status == 400 and "exceeded" in said and "limit" in said:
            raise NotNowError(
                "Power BI's own limit of refreshes within 24 hours is used up; scheduled ones and "
                "those by hand count as well",
                seconds=LIMIT_SECONDS,
            )
        advice = (
            f"; on shared capacity {PREFIX}POWERBI_REFRESH must be `standard`"
            if form is Form.ENHANCED and answer.status == 400
            else ""
        )
        self._refuse(answer, advice)

    def _refuse(self, answer: _Answer, advice: str = "") -> None:
        sentence = f"Power BI refuses the request ({answer.status}){advice}"
        if answer.status == 403:
            sentence = (
                "Power BI does not let the service principal in (403): an administrator allows "
                "service principals to call the APIs in the tenant settings, and the service "
                "principal must be a contributor of the workspace, or more"
            )
        elif answer.status == 404:
            said = answer.words.lower()
            if "dataset" in said or "semantic model" in said:
                which = f"{PREFIX}POWERBI_DATASET_ID names no dataset of the workspace"
            elif "group" in said or "workspace" in said:
                which = f"{PREFIX}POWERBI_WORKSPACE_ID names no workspace"
            else:
                which = (
                    f"{PREFIX}POWERBI_WORKSPACE_ID or {PREFIX}POWERBI_DATASET_ID names nothing that "
                    "is there"
                )
            sentence = f"{which}, as far as the service principal may see (404)"
        raise RefusedError(f"{sentence}{self._said(answer)}")

    def _said(self, answer: _Answer) -> str:
        words = self._quiet(answer.words)
        return f" – it says: {words}" if words else ""

    def _quiet(self, text: str) -> str:
        """Return one short line that a table can hold, without secret and token."""
        text = " ".join(text.split()).replace("\x00", "").encode("utf-8", "replace").decode()
        for secret in (self._access.client_secret, self._token):
            if secret:
                text = text.replace(secret, _MASK)
        text = mask(text)  # a source's own message may show how it was signed in to
        # what Entra ID adds for its own support
        text = re.split(r"\s*Trace ID:", text, maxsplit=1)[0]
        return text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 1]}…"


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _request_id(answer: _Answer, form: Form) -> str:
    """Return the id to follow a refresh by.

    An enhanced one is documented to be named by the end of Location. For a standard one the
    documentation names x-ms-request-id, and clients in use go by RequestId: where they differ it is
    both, separated by a space, and whichever the history lists counts.

    Raises RefusedError when there is none.
    """
    at = answer.headers.get("Location", "").split("?", 1)[0].rstrip("/").rpartition("/")[2]
    given = [at, *(answer.headers.get(name, "") for name in ("x-ms-request-id", "RequestId"))]
    found = list(
        dict.fromkeys(one for one in given if _ID.fullmatch(one) and one.lower() != "refreshes")
    )
    if not found:
        raise RefusedError(
            "Power BI took the request, but gave no id by which it could be followed"
        )
    return found[0] if form is Form.ENHANCED else " ".join(found)


def _entry(history: Any, request_id: str) -> Mapping[str, Any]:
    """Return the refresh of this id; nothing while the service does not list it yet."""
    ids = set(request_id.lower().split())
    entries = history.get("value") if isinstance(history, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and str(entry.get("requestId", "")).lower() in ids:
            return entry
    return {}


def _service_words(found: Mapping[str, Any]) -> str:
    """Return why a refresh failed, as the service says it, the most telling first."""
    messages = found.get("messages")
    said = [
        str(one.get("message") or one.get("code") or "")
        for one in (messages if isinstance(messages, list) else [])
        if isinstance(one, dict) and str(one.get("type", "Error")).lower() == "error"
    ]
    detail = _json(str(found.get("serviceExceptionJson") or "").encode(errors="replace"))
    if isinstance(detail, dict):
        said += [str(detail.get("errorDescription") or ""), str(detail.get("errorCode") or "")]
    return "; ".join(dict.fromkeys(one for one in said if one))
