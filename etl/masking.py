"""Secrets in text become `***`: the one place that decides what a secret looks like.

Three kinds are masked: the password of a URL, the value of a pair such as `password=…`, and every
value that this process was told is secret.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote

MASK = "***"
# a shorter value would take plain words of every message with it
_SHORTEST_WORD = 8  # letters only
_SHORTEST = 5

_URL = re.compile(
    r"(?P<start>\b[a-z][a-z0-9+.\-]{0,30}://[^\s:/@\"']*:)[^\s/\"'][^\s\"']*(?=@)", re.IGNORECASE
)
_NAMES = (
    r"password|passwd|passphrase|pwd|pgpassword|secret|token|api[_\-]?key|access[_\-]?key"
    r"|private[_\-]?key|secret[_\-]?key|authorization"
)
_PAIR = re.compile(
    rf"(?P<start>(?:{_NAMES})\\?[\"']?\s*[=:]\s*)"
    r"(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|\\\"[^\"]*\"|(?:bearer\s+|basic\s+)?[^\s\"',;&)}\]]+)",
    re.IGNORECASE,
)
_KEY = re.compile(_NAMES, re.IGNORECASE)

_lock = threading.Lock()
_known: set[str] = set()


def remember(secret: str | None) -> None:
    """Mask this value from now on, wherever it stands.

    Ignored are values under five characters, and words of letters alone under eight: those are masked
    by their form only, as in a URL.
    """
    if not secret:
        return
    forms = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), unquote(secret)}
    with _lock:
        _known.update(
            form for form in forms if len(form) >= (_SHORTEST_WORD if form.isalpha() else _SHORTEST)
        )


def remember_url(url: str) -> None:
    """Mask the password of a URL from now on, also where only the password stands.

    A password that is also the user, the host or the database is no secret and stays.
    """
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    user, colon, password = credentials.partition(":")
    if separator and at and colon and scheme:
        public = {user, unquote(user), *re.split(r"[:/?]", place)}
        if unquote(password) not in public:
            remember(password)


def mask_known(text: str) -> str:
    """Return the text without the values that this process knows to be secret.

    For data, where `token: gold` is no secret.
    """
    with _lock:
        known = sorted(_known, key=len, reverse=True)
    for secret in known:
        text = text.replace(secret, MASK)
    return text


def mask(text: str) -> str:
    """Return the text without its secrets."""
    text = _URL.sub(rf"\g<start>{MASK}", mask_known(text))
    return _PAIR.sub(rf"\g<start>{MASK}", text)


def mask_values(value: Any) -> Any:
    """Return a JSON-like value with every text in it masked, and what stands under a secret's name."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {
            mask(str(key)): MASK
            if isinstance(item, str) and item and _KEY.search(str(key))
            else mask_values(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [mask_values(item) for item in value]
    return value
