"""Slow, obvious answers for one heat meter read on every whole hour; knows nothing of the engine.

Registers are Python integers [J, ml, ml·°C], index i belongs to hour i; temperatures are Fractions.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from typing import NamedTuple

NORMAL_TIME = timezone(timedelta(hours=1))


class Hour(NamedTuple):
    """What one hour's registers say."""

    start: datetime
    energy_j: int
    volume_ml: int
    return_mlc: int

    @property
    def return_c(self) -> Fraction:
        return Fraction(self.return_mlc, self.volume_ml)


class Event(NamedTuple):
    """An alarm raised or cleared at the end of an hour."""

    what: str
    at: datetime


def hours_of(
    start: datetime, energy_j: Sequence[int], volume_ml: Sequence[int], return_mlc: Sequence[int]
) -> list[Hour]:
    return [
        Hour(
            start + timedelta(hours=i),
            energy_j[i + 1] - energy_j[i],
            volume_ml[i + 1] - volume_ml[i],
            return_mlc[i + 1] - return_mlc[i],
        )
        for i in range(len(energy_j) - 1)
    ]


def is_winter(moment: datetime) -> bool:
    """Winter is 1 October to 30 April of the metering date."""
    return moment.astimezone(NORMAL_TIME).month in (10, 11, 12, 1, 2, 3, 4)


def return_alarms(
    hours: Iterable[Hour], winter_c: int, summer_c: int, volume_step_ml: int
) -> list[Event]:
    """domain 5: > limit in 6 valid hours in a row raises, < limit - 2 K in 6 clears."""
    events: list[Event] = []
    active, above, below = False, 0, 0
    for hour in hours:
        if hour.volume_ml < 10 * volume_step_ml:
            continue  # hardly any flow: the pipe's temperature, not the building's
        limit = winter_c if is_winter(hour.start) else summer_c
        above = above + 1 if hour.return_c > limit else 0
        below = below + 1 if hour.return_c < limit - 2 else 0
        if not active and above == 6:
            active = True
            events.append(Event("raise", hour.start + timedelta(hours=1)))
        elif active and below == 6:
            active = False
            events.append(Event("clear", hour.start + timedelta(hours=1)))
    return events


def window_h(limit_w: int, energy_step_j: int) -> int:
    """domain 1.2 a: the smallest window whose power resolution is a tenth of the limit."""
    for hours in (1, 2, 3, 4, 6, 8, 12, 24):
        if Fraction(energy_step_j, 3600 * hours) <= Fraction(limit_w, 10):
            return hours
    raise ValueError("no window is wide enough")


def power_alarms(
    hours: Sequence[Hour], winter_w: int, summer_w: int, energy_step_j: int
) -> list[Event]:
    """domain 5: > limit once raises, <= 0.95 limit in 3 steps clears; mean over the window."""
    events: list[Event] = []
    active, below = False, 0
    for index, hour in enumerate(hours):
        limit = winter_w if is_winter(hour.start) else summer_w
        width = window_h(limit, energy_step_j)
        if index + 1 < width:
            continue
        total_j = sum(one.energy_j for one in hours[index + 1 - width : index + 1])
        power_w = Fraction(total_j, 3600 * width)
        below = below + 1 if power_w <= limit * Fraction(95, 100) else 0
        if not active and power_w > limit:
            active, below = True, 0
            events.append(Event("raise", hour.start + timedelta(hours=1)))
        elif active and below == 3:
            active = False
            events.append(Event("clear", hour.start + timedelta(hours=1)))
    return events


def day_of(hours: Iterable[Hour], day: date) -> list[Hour]:
    return [hour for hour in hours if hour.start.astimezone(NORMAL_TIME).date() == day]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
