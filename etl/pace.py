"""How fast a step is, and how long it still takes."""

from __future__ import annotations

from dataclasses import dataclass

_TOO_SHORT = 0.5  # seconds: a rate taken over less is noise


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What is known of a step's speed; None is not known."""

    rate: float | None  # records a second
    seconds_left: float | None


def pace(*, before: int, reached: int, total: int | None, seconds: float | None) -> Pace:
    """Return the pace of an attempt that began with `before` records done and is at `reached`.

    `seconds` are those of this attempt alone, so that a resumed step is neither too fast (by what
    was done before) nor too slow (by the time in which nobody worked).
    """
    done = reached - before
    if seconds is None or seconds < _TOO_SHORT or done <= 0:
        return Pace(rate=None, seconds_left=None)
    rate = done / seconds
    if total is None or total <= reached:
        return Pace(rate=rate, seconds_left=None)
    return Pace(rate=rate, seconds_left=(total - reached) / rate)
