"""Where alerts go: one message to one address. The only module that knows Apprise.

An address is a secret: whoever has it can write to the channel, and often it holds a password. It is
shown `masked` and never stands in an error. Apprise is slow to import, so that happens on first use.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

from etl.errors import RevenueError
from etl.settings import Settings

ADDRESS_CHARACTERS = 2000
SEND_SECONDS = 30  # longest that one message may take; below the lease of etl/alerts.py
_READ_SECONDS = 20.0
_ERROR_CHARACTERS = 300

_FILE = re.compile(r"file:([A-Za-z0-9][A-Za-z0-9._-]{0,99}\.jsonl)")
_VARIABLE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]{0,99})")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31})://")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?")
# only of these the part behind :// is a host; of others (slack, tgram, …) it is a token
_WITH_HOST = frozenset(
    {"json", "jsons", "xml", "xmls", "form", "forms", "http", "https", "mailto", "mailtos"}
)
_ADVICE = (
    "use jsons://host/path for a webhook, mailtos://user:password@host?to=address for e-mail, "
    "slack://…, the address that Teams or Slack shows for a webhook, file:NAME.jsonl for a file in "
    "logs/, or env:NAME where an environment variable holds the address"
)

Tone = Literal["error", "warning", "resolved", "test"]


class DeliveryError(RevenueError):
    """A message did not arrive; the message of the error holds no secret."""

    code = "delivery"


class AddressError(RevenueError):
    """An address leads nowhere."""

    code = "address"


@dataclass(frozen=True, kw_only=True)
class Message:
    """What is sent: plain text, and the facts for a file."""

    title: str
    body: str
    tone: Tone
    facts: dict[str, Any]


def masked(address: str) -> str:
    """Return what may be shown of an address: its kind, and the host where that is no secret.

    Stricter than Apprise's own privacy, which shows headers and paths of webhooks.
    """
    if _FILE.fullmatch(address) or _VARIABLE.fullmatch(address):
        return address
    found = _SCHEME.match(address)
    if found is None:
        return "…"
    scheme = found[1].lower()
    host = _host(address) if scheme in _WITH_HOST else None
    return f"{scheme}://{host}/…" if host else f"{scheme}://…"


def _host(address: str) -> str | None:
    """Return the host, None when it cannot be told for sure from a user or a password."""
    rest = address.partition("://")[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in rest[len(authority) :]:
        return None
    host = authority.rpartition("@")[2]
    return host if _HOST.fullmatch(host) else None


def check(address: str) -> None:
    """Pass an address that messages can be sent to; what a variable holds is checked where it is set.

    Raises AddressError.
    """
    if len(address) > ADDRESS_CHARACTERS:
        raise AddressError(f"an address has at most {ADDRESS_CHARACTERS} characters")
    if address.startswith("file:"):
        if not _FILE.fullmatch(address):
            raise AddressError(
                "a file is named file:NAME.jsonl, NAME of letters, digits, dot, dash and underscore"
            )
        return
    if address.startswith("env:"):
        name = _VARIABLE.fullmatch(address)
        if name is None:
            raise AddressError("an environment variable is named env:NAME")
        value = os.environ.get(name[1])
        if value is not None:
            _service(value)
        return
    _service(address)


def send(address: str, message: Message, settings: Settings) -> None:
    """Send one message; return once the receiver has taken it.

    Raises DeliveryError.
    """
    try:
        resolved = _resolved(address)
        if found := _FILE.fullmatch(resolved):
            _append(settings, found[1], message)
        else:
            _notify(resolved, message)
    except AddressError as error:
        raise DeliveryError(error.message) from None
    except OSError as error:
        raise DeliveryError(f"the file cannot be written: {error.strerror}") from None


def _resolved(address: str) -> str:
    found = _VARIABLE.fullmatch(address)
    if found is None:
        return address
    value = os.environ.get(found[1], "").strip()
    if not value:
        raise AddressError(f"the environment variable {found[1]} is not set in this process")
    return value


def _append(settings: Settings, name: str, message: Message) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    line = json.dumps({"title": message.title, "message": message.body, **message.facts})
    with os.fdopen(os.open(settings.logs / name, flags, 0o600), "a", encoding="utf-8") as file:
        file.write(line + "\n")


# Apprise --------------------------------------------------------------------------------


def _asset() -> Any:
    import apprise  # noqa: PLC0415 - slow; most commands never send

    # its log would go to the terminal, with addresses in it; what we need comes with the result
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return apprise.AppriseAsset(
        app_id="Customer Revenue Analytics Platform",
        async_mode=False,
        service_timeout=SEND_SECONDS,
        allow_templates=False,  # text from data is no template
        http_redirects=False,  # a message goes where the admin said, nowhere else
    )


def _service(address: str) -> tuple[Any, Any]:
    """Return the asset and the service behind an address.

    Raises AddressError.
    """
    import apprise  # noqa: PLC0415 - slow; most commands never send

    asset = _asset()
    service = None
    if _SCHEME.match(address):
        try:
            service = apprise.Apprise.instantiate(address, asset=asset)
        except Exception as error:  # noqa: BLE001 - plugins raise what they like, even with the address
            raise AddressError(
                f"the address is not understood ({type(error).__name__}); {_ADVICE}"
            ) from None
    if service is None:
        raise AddressError(f"the address is not understood; {_ADVICE}")
    return asset, service


def _notify(address: str, message: Message) -> None:
    import apprise  # noqa: PLC0415 - slow; most commands never send

    asset, service = _service(address)
    if "rto=" not in address:
        # an answer that comes late must not make the same message go out twice
        service.socket_read_timeout = _READ_SECONDS
    sender = apprise.Apprise(asset=asset)
    sender.add(service)
    types = {
        "error": apprise.NotifyType.FAILURE,
        "warning": apprise.NotifyType.WARNING,
        "resolved": apprise.NotifyType.SUCCESS,
        "test": apprise.NotifyType.INFO,
    }
    try:
        result = sender.notify(
            title=_quiet(message.title),
            body=_quiet(message.body),
            notify_type=types[message.tone],
            body_format=apprise.NotifyFormat.TEXT,
        )
    except Exception as error:  # noqa: BLE001 - plugins raise what they like, even with the address
        raise DeliveryError(without_secrets(f"{type(error).__name__}: {error}", address)) from None
    if not result:
        said = [entry.message for entry in result.logs() if entry.level in {"WARNING", "ERROR"}]
        text = " ".join(said) or "the receiver did not take the message in time"
        raise DeliveryError(without_secrets(text, address))


def _quiet(text: str) -> str:
    """Return text from data so that it calls nobody (@everyone)."""
    return text.replace("@", "@\u200b")


def without_secrets(text: str, address: str) -> str:
    """Return one line of text in which no part of the address stands, except kind and host."""
    text = " ".join(text.split())
    for secret in sorted(set(_secrets(address)), key=len, reverse=True):
        pattern = re.escape(secret)
        if len(secret) < 4:
            pattern = rf"(?<!\w){pattern}(?!\w)"
        text = re.sub(pattern, "…", text, flags=re.IGNORECASE)
    return text[:_ERROR_CHARACTERS]


def _secrets(address: str) -> Iterator[str]:
    scheme, separator, rest = address.partition("://")
    if not separator:
        scheme, rest = "", address
    host = (_host(address) or "") if scheme.lower() in _WITH_HOST else ""
    shown = {"", *re.split(r"[:]", host.lower())}
    decode: tuple[Callable[[str], str], ...] = (str, unquote)
    for form in decode:
        for part in re.split(r"[/?&#=:@]", form(rest)):
            for word in (part, unquote(part), part.strip("+- ")):
                if word.lower() not in shown:
                    yield word
    # a password may itself hold what separates
    user_info = rest.rpartition("@")[0]
    for form in decode:
        whole = form(user_info)
        yield from (text for text in (whole, whole.partition(":")[2]) if text)
