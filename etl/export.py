"""Files for people: cells that no spreadsheet takes for a formula."""

from __future__ import annotations

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def defused(text: str) -> str:
    """Return the text with a leading quote where a spreadsheet would run it (OWASP CSV injection).

    A plain number keeps its sign. Half characters and NUL are shown as a replacement mark.
    """
    safe = text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    if safe.startswith(_FORMULA) and not _is_number(safe):
        return "'" + safe
    return safe


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
