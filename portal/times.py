"""Instants and days in requests and on pages. Metering goes by normal time, UTC+1 all year."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final

from fastapi import Query

from notify.wording import MONTHS, NORMAL, clock
from portal.problems import invalid

_LOST_PLUS: Final = re.compile(r" (?=\d\d:?\d\d$)")

MONTH_SHORT: Final = {
    "sv": ("jan", "feb", "mars", "apr", "maj", "juni", "juli", "aug", "sep", "okt", "nov", "dec"),
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
}

From = Annotated[
    str | None,
    Query(
        alias="from",
        description="First instant, included. ISO 8601 with offset, or a date: 00:00 normal time.",
        examples=["2018-01-03", "2018-01-02T23:00:00Z"],
    ),
]
To = Annotated[
    str | None,
    Query(
        alias="to",
        description="First instant after the interval, not included. Written as `from`.",
        examples=["2018-01-04"],
    ),
]


@dataclass(frozen=True)
class Interval:
    """Half-open [start, end), UTC."""

    start: datetime
    end: datetime

    @property
    def first_day(self) -> date:
        """The metering day of the start."""
        return self.start.astimezone(NORMAL).date()

    @property
    def end_day(self) -> date:
        """The first metering day that begins at or after the end."""
        end = self.end.astimezone(NORMAL)
        return end.date() if end.time() == time(0) else end.date() + timedelta(days=1)


def instant(text: str, *, field: str) -> datetime:
    """An instant of a request, in UTC. Raises Problem 422."""
    try:
        if len(text) == len("2018-01-03"):
            return datetime.combine(date.fromisoformat(text), time(0), NORMAL).astimezone(UTC)
        # An unescaped + in an address arrives as a space.
        moment = datetime.fromisoformat(_LOST_PLUS.sub("+", text))
    except ValueError:
        raise invalid(
            f"{field}: expected ISO 8601 like 2018-01-03 or 2018-01-03T00:00:00+01:00, "
            f"got {text!r}",
            field=field,
        ) from None
    if moment.tzinfo is None:
        raise invalid(
            f"{field}: {text!r} names no offset; add Z or +01:00, or give a date alone", field=field
        )
    return moment.astimezone(UTC)


def interval(
    from_: str | None, to: str | None, now: datetime, *, default: timedelta, longest: timedelta
) -> Interval:
    """What a request asks for; without `to` until now, without `from` the `default` before `to`.

    Raises Problem 422 for an instant that is none, an empty interval, or one over `longest`.
    """
    end = instant(to, field="to") if to else now
    start = instant(from_, field="from") if from_ else end - default
    if start >= end:
        raise invalid(
            f"from must lie before to; got {start.isoformat()} and {end.isoformat()}", field="from"
        )
    if end - start > longest:
        raise invalid(
            f"at most {longest.days} days at a time; asked for {(end - start).days}", field="from"
        )
    return Interval(start, end)


def stamp(at: datetime, language: str) -> str:
    """`12 nov 09.00` in normal time."""
    local = at.astimezone(NORMAL)
    return f"{day_short(local.date(), language)} {clock(local, language)}"


def stamp_year(at: datetime, language: str) -> str:
    """`12 nov 2026 09.00` in normal time."""
    local = at.astimezone(NORMAL)
    return f"{day_short(local.date(), language)} {local.year} {clock(local, language)}"


def day_short(day: date, language: str) -> str:
    """`12 nov`."""
    return f"{day.day} {MONTH_SHORT[language][day.month - 1]}"


def day_long(day: date, language: str) -> str:
    """`12 november 2026`."""
    return f"{day.day} {MONTHS[language].split()[day.month - 1]} {day.year}"
