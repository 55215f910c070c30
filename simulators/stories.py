"""Named faults: when, at which facility, and what they do to its load."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Final

import numpy as np

from simulators.building import F64, Load, Use
from simulators.limits import Limits
from simulators.weather import HOUR_US

NORMAL_TIME: Final = timezone(timedelta(hours=1))
_ROOM_TO_CLEAR: Final = timedelta(days=45)
_LIVE_EVERY: Final = timedelta(days=3)
_LIVE_STORIES: Final = 120
_LIVE_FACILITIES: Final = (1, 21, 8, 16, 22, 4, 13, 25)


class Fault(StrEnum):
    """What goes wrong, and which alarm ought to tell."""

    STUCK_VALVE = "stuck_valve"  # return_temperature
    PEAK_HOUR = "peak_hour"  # hourly_power
    HIGH_DAYS = "high_days"  # daily_power
    POOR_EXCHANGER = "poor_exchanger"  # energy_weighted_return


KIND_OF: Final = {
    Fault.STUCK_VALVE: "return_temperature",
    Fault.PEAK_HOUR: "hourly_power",
    Fault.HIGH_DAYS: "daily_power",
    Fault.POOR_EXCHANGER: "energy_weighted_return",
}


@dataclass(frozen=True, kw_only=True)
class Story:
    """One fault from `start` until `end` (UTC) at one facility's meter for `use`."""

    facility: int
    use: Use
    fault: Fault
    start: datetime
    end: datetime

    @property
    def season(self) -> str:
        """Winter (October to April) or summer, in normal time."""
        return "summer" if 5 <= self.start.astimezone(NORMAL_TIME).month <= 9 else "winter"


# (facility, use, fault, month, day, hour of normal time, length in hours)
_PLAN: Final = (
    (0, Use.HEAT, Fault.STUCK_VALVE, 1, 14, 9, 40),
    (3, Use.HEAT, Fault.STUCK_VALVE, 7, 8, 15, 36),
    (5, Use.HEAT, Fault.PEAK_HOUR, 2, 6, 7, 2),
    (12, Use.HEAT, Fault.PEAK_HOUR, 6, 12, 8, 2),
    (15, Use.HEAT, Fault.HIGH_DAYS, 12, 4, 0, 48),
    (18, Use.HEAT, Fault.HIGH_DAYS, 8, 20, 0, 48),
    (11, Use.HEAT, Fault.POOR_EXCHANGER, 11, 2, 0, 20 * 24),
    (16, Use.HEAT, Fault.POOR_EXCHANGER, 6, 2, 0, 20 * 24),
    (24, Use.HEAT, Fault.STUCK_VALVE, 3, 3, 4, 60),
    (7, Use.HEAT, Fault.PEAK_HOUR, 12, 19, 18, 3),
    (32, Use.COOLING, Fault.STUCK_VALVE, 1, 20, 11, 30),
    (36, Use.COOLING, Fault.STUCK_VALVE, 7, 15, 6, 48),
    (33, Use.COOLING, Fault.PEAK_HOUR, 7, 3, 14, 2),
    (36, Use.COOLING, Fault.PEAK_HOUR, 2, 12, 10, 2),
    (35, Use.COOLING, Fault.HIGH_DAYS, 6, 25, 0, 48),
    (32, Use.COOLING, Fault.HIGH_DAYS, 11, 18, 0, 24),
    (32, Use.COOLING, Fault.POOR_EXCHANGER, 3, 2, 0, 20 * 24),
    (37, Use.COOLING, Fault.POOR_EXCHANGER, 8, 2, 0, 20 * 24),
)


def plan(start_us: int, live_us: int) -> tuple[Story, ...]:
    """The stories of a fleet whose history begins at `start_us` and ends at `live_us`.

    Each fault of the history happens on its calendar day of the last year that leaves it 45 days to
    clear. From `live_us` on a valve sticks somewhere every third day, and the same building has a
    peak hour.

    Raises ValueError when the history is too short to hold every story.
    """
    begin, live = (_moment(at_us) for at_us in (start_us, live_us))
    told = [_last_before(live, begin, row) for row in _PLAN]
    for number in range(_LIVE_STORIES):
        facility = _LIVE_FACILITIES[number % len(_LIVE_FACILITIES)]
        at = live + number * _LIVE_EVERY + timedelta(hours=2)
        told.append(_story(facility, Use.HEAT, Fault.STUCK_VALVE, at, 30))
        told.append(_story(facility, Use.HEAT, Fault.PEAK_HOUR, at + timedelta(hours=2), 2))
    return tuple(told)


def _last_before(
    live: datetime, begin: datetime, row: tuple[int, Use, Fault, int, int, int, int]
) -> Story:
    facility, use, fault, month, day, hour, length_h = row
    for year in range(live.year, live.year - 3, -1):
        at = datetime(year, month, day, hour, tzinfo=NORMAL_TIME)
        story = _story(facility, use, fault, at, length_h)
        if story.end + _ROOM_TO_CLEAR <= live and story.start >= begin + timedelta(days=2):
            return story
    raise ValueError(
        f"{fault} on {month:02}-{day:02}: the history from {begin:%Y-%m-%d} to {live:%Y-%m-%d} "
        "has no room for it and 45 days to clear; give at least 450 days"
    )


def _story(facility: int, use: Use, fault: Fault, at: datetime, length_h: int) -> Story:
    start = at.astimezone(UTC)
    return Story(
        facility=facility, use=use, fault=fault, start=start, end=start + timedelta(hours=length_h)
    )


def apply(story: Story, load: Load, limits: Limits, *, start_us: int) -> Load:
    """The load with the fault in it, bad enough for its alarm by the limits of its season.

    Raises ValueError when the story lies outside the load's hours.
    """
    first, last = (int(at.timestamp()) * 1_000_000 - start_us for at in (story.start, story.end))
    window = slice(first // HOUR_US, last // HOUR_US)
    if window.start < 0 or window.stop > load.power_kw.size:
        raise ValueError(f"{story.fault} from {story.start} lies outside the simulated hours")
    limit = limits[KIND_OF[story.fault]].at(story.start.astimezone(NORMAL_TIME).month)
    if story.fault is Fault.STUCK_VALVE:
        return _shift_return(load, window, limit / 100, story.use, 6.0, 2.2)
    if story.fault is Fault.POOR_EXCHANGER:
        return _shift_return(load, window, limit / 100, story.use, 4.0, 1.5)
    factor = 1.35 if story.fault is Fault.PEAK_HOUR else 1.25
    power_kw = load.power_kw.copy()
    power_kw[window] = np.maximum(power_kw[window], factor * limit / 1000)
    return replace(load, power_kw=power_kw)


def _shift_return(
    load: Load, window: slice, limit_c: float, use: Use, heat_k: float, cooling_k: float
) -> Load:
    """Return water beyond the limit, but never as warm (cold) as what was supplied."""
    return_c: F64 = load.return_temp_c.copy()
    supply_c = load.supply_temp_c[window]
    if use is Use.COOLING:
        bad_c = np.minimum(return_c[window], limit_c - cooling_k)
        return_c[window] = np.maximum(bad_c, supply_c + 1.0)
    else:
        bad_c = np.maximum(return_c[window], limit_c + heat_k)
        return_c[window] = np.minimum(bad_c, supply_c - 4.0)
    return replace(load, return_temp_c=return_c)


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC)
