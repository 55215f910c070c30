"""Metering days as numbers since 1970-01-01 in normal time, and their months. No kernels."""

from datetime import date
from typing import Final

from engine.types import DAY_US

_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()


def day_of(at_us: int, offset_us: int) -> int:
    """Number of the metering day that holds this time."""
    return (at_us + offset_us) // DAY_US


def day_start_us(day: int, offset_us: int) -> int:
    """When metering day number `day` begins, UTC [µs]."""
    return day * DAY_US - offset_us


def date_of(day: int) -> date:
    """The date of metering day number `day`."""
    return date.fromordinal(day + _EPOCH_ORDINAL)


def month_first(day: int, *, years: int = 0) -> int:
    """Number of the first day of a day's month, `years` later."""
    here = date_of(day)
    return date(here.year + years, here.month, 1).toordinal() - _EPOCH_ORDINAL
