"""Winter or summer of a metering date, by calendars with validity dates. domain.md 5."""

from collections.abc import Sequence
from datetime import date
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from engine.metering_day import date_of
from engine.types import SeasonCalendar


class Season(IntEnum):
    """Which limit holds."""

    WINTER = 1
    SUMMER = 2


def season_of(day: date, calendars: Sequence[SeasonCalendar]) -> Season:
    """The season of a metering day; it switches at 00:00 normal time.

    Of the calendars valid on the day the latest counts. Raises ValueError when there is none.
    """
    valid = [calendar for calendar in calendars if calendar.valid_from <= day]
    if not valid:
        raise ValueError(
            f"no season calendar is valid on {day}: give one with an earlier valid_from"
        )
    calendar = max(valid, key=lambda calendar: calendar.valid_from)
    here = (day.month, day.day)
    winter, summer = calendar.winter_from, calendar.summer_from
    if winter < summer:  # the year's end lies in summer: the southern hemisphere
        return Season.WINTER if winter <= here < summer else Season.SUMMER
    return Season.SUMMER if summer <= here < winter else Season.WINTER


def seasons(first_day: int, count: int, calendars: Sequence[SeasonCalendar]) -> NDArray[np.uint8]:
    """Season of `count` metering days from day number `first_day`. uint8 (count,)"""
    return np.fromiter(
        (season_of(date_of(first_day + k), calendars) for k in range(count)), np.uint8, count
    )
