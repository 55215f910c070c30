"""Now, as an argument: every role asks its clock, never the operating system."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from config.settings import Clock

NowUs = Callable[[], int]
"""The present in UTC microseconds since 1970."""


def make_clock(clock: Clock) -> NowUs:
    """The clock the settings describe; the real one when they name no start."""
    if clock.start is None:
        return lambda: time.time_ns() // 1000
    start_us = to_us(clock.start)
    anchor_us = to_us(clock.anchor) if clock.anchor is not None else time.time_ns() // 1000
    return lambda: start_us + int((time.time_ns() // 1000 - anchor_us) * clock.speed)


def to_us(moment: datetime) -> int:
    """UTC microseconds since 1970; a moment without zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1_000_000)
