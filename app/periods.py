"""Periods of days, and the periods that they are compared with."""

from __future__ import annotations

import calendar
import datetime as dt
from dataclasses import dataclass
from typing import Literal

Compare = Literal["previous", "year_before"]
Level = Literal["year", "month", "day"]
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Period:
    """Days from the first to the last, both inclusive, UTC."""

    start: dt.date
    end: dt.date

    @classmethod
    def within(cls, start: dt.date, end: dt.date) -> Period | None:
        """Return the period, None when it ends before it starts."""
        return cls(start=start, end=end) if start <= end else None

    @classmethod
    def of(cls, start: dt.date, level: Level) -> Period:
        """Return the year, month or day that starts on a day."""
        if level == "year":
            return cls(start=start, end=start.replace(month=12, day=31))
        return cls(start=start, end=month_end(start) if level == "month" else start)

    @property
    def days(self) -> int:
        return (self.end - self.start).days + 1

    @property
    def is_whole_months(self) -> bool:
        return self.start.day == 1 and self.end == month_end(self.end)

    @property
    def words(self) -> str:
        """Return `2024`, `Mar 2024`, `1 Jan – 15 Mar 2024` or `5 Mar 2024`."""
        start, end = self.start, self.end
        if self.is_whole_months:
            if (start.month, end.month) == (1, 12):
                return f"{start:%Y}" if start.year == end.year else f"{start:%Y} – {end:%Y}"
            first = f"{start:%b}" if start.year == end.year else f"{start:%b %Y}"
            same = month_start(start) == month_start(end)
            return f"{end:%b %Y}" if same else f"{first} – {end:%b %Y}"
        last = f"{end.day} {end:%b %Y}"
        if start == end:
            return last
        year = "" if start.year == end.year else f" {start:%Y}"
        return f"{start.day} {start:%b}{year} – {last}"

    def rest_of(self, whole: Period) -> list[Period]:
        """Return the days of a period around this one, which lies in it: none, one or two periods."""
        ends = (
            (whole.start, self.start - _DAY) if self.start > whole.start else None,
            (self.end + _DAY, whole.end) if self.end < whole.end else None,
        )
        return [Period(start=one[0], end=one[1]) for one in ends if one is not None]

    def before(self, compare: Compare) -> Period:
        """Return the period just before, or the same a year before.

        Whole months are compared with as many whole months, whatever their days.
        """
        if compare == "year_before":
            return _moved(self, -12)
        if self.is_whole_months:
            months = 12 * (self.end.year - self.start.year) + self.end.month - self.start.month + 1
            return _moved(self, -months)
        length = dt.timedelta(days=self.days)
        return Period(start=_later(self.start, -length), end=_later(self.end, -length))


def month_start(day: dt.date) -> dt.date:
    return day.replace(day=1)


def month_end(day: dt.date) -> dt.date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _moved(period: Period, months: int) -> Period:
    start, end = (_by_months(day, months) for day in (period.start, period.end))
    return Period(start=start, end=month_end(end) if period.is_whole_months else end)


def _by_months(day: dt.date, months: int) -> dt.date:
    """Return the same day of another month, or its last day where it has no such day."""
    year, month = divmod(12 * day.year + day.month - 1 + months, 12)
    if year < dt.MINYEAR:
        return dt.date.min
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _later(day: dt.date, by: dt.timedelta) -> dt.date:
    try:
        return day + by
    except OverflowError:
        return dt.date.min
