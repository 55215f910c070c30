"""What the engine computes with: qualities, seasons, alarm kinds. Frozen values, no I/O."""

from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum, StrEnum
from typing import Final

MISSING: Final = -(1 << 63)
"""Marks an absent value in an int64 column."""

METHOD_VERSION: Final = 1
"""Of hours and days; stored with every one. Raise it when a formula changes."""

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US


class Commodity(IntEnum):
    """What a facility buys."""

    HEAT = 1
    COOLING = 2


class Quality(IntEnum):
    """How an interval's value came about (EIFS 2014:2 and the letters of the Swedish terms)."""

    MEASURED = 1  # M: readings at both ends
    INTERPOLATED = 2  # I: from true readings at most 90 minutes apart
    PRELIMINARY = 3  # P: a longer gap, its known total spread over the hours
    CALCULATED = 4  # B: the meter was faulty, no true total exists
    REJECTED = 5  # X: readings contradict each other; a value only where the neighbours agree
    CORRECTED = 6  # C: by hand


class Finding(StrEnum):
    """What the engine doubts about a reading."""

    NEGATIVE_STEP = "NEGATIVE_STEP"
    EXCHANGE_SUSPECTED = "EXCHANGE_SUSPECTED"
    STEP_TOO_LARGE = "STEP_TOO_LARGE"


class AlarmKind(StrEnum):
    """The four alarms a customer sets."""

    RETURN_TEMPERATURE = "return_temperature"
    DAILY_POWER = "daily_power"
    HOURLY_POWER = "hourly_power"
    ENERGY_WEIGHTED_RETURN = "energy_weighted_return"


@dataclass(frozen=True, kw_only=True)
class SeasonCalendar:
    """When the seasons begin, from `valid_from` on: (month, day), 00:00 of the metering day."""

    valid_from: date
    winter_from: tuple[int, int]
    summer_from: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How one kind of alarm behaves (domain 5). Delays count valid steps: hours, or days.

    Return temperatures clear at `limit - deadband_cc` (plus, for cooling); powers at
    `limit * clear_ratio_permille / 1000`.
    """

    on_steps: int
    off_steps: int
    deadband_cc: int = 0
    clear_ratio_permille: int = 1000


BEHAVIOUR: Final = {
    AlarmKind.RETURN_TEMPERATURE: Behaviour(on_steps=6, off_steps=6, deadband_cc=200),
    AlarmKind.HOURLY_POWER: Behaviour(on_steps=1, off_steps=3, clear_ratio_permille=950),
    AlarmKind.DAILY_POWER: Behaviour(on_steps=1, off_steps=1, clear_ratio_permille=970),
    AlarmKind.ENERGY_WEIGHTED_RETURN: Behaviour(on_steps=1, off_steps=1, deadband_cc=100),
}
"""Defaults of domain 5; settings may override them per utility."""

DEFAULT_CALENDAR: Final = SeasonCalendar(
    valid_from=date(1970, 1, 1), winter_from=(10, 1), summer_from=(5, 1)
)
"""Winter 1 October to 30 April, summer 1 May to 30 September."""


@dataclass(frozen=True, kw_only=True)
class EngineRules:
    """What a utility may set, handed to the engine; the defaults are those of the settings."""

    metering_offset_us: int = HOUR_US  # normal time, UTC+1 all year
    weight_by_day: bool = False  # the energy-weighted return weighs days instead of hours
    interpolate_max_us: int = 90 * 60_000_000
    exact_us: int = 30_000_000
    gap_max_us: int = 62 * DAY_US  # longer gaps get no hours, and no context is sought beyond them
    cap_k: int = 125  # greatest t1 - t2 of the cap qs * k * (t1 - t2) on an energy step [K]
    old_reading_us: int = 48 * HOUR_US
    poll_s: float = 0.5
    behaviour: dict[AlarmKind, Behaviour] = field(default_factory=lambda: dict(BEHAVIOUR))
    calendars: tuple[SeasonCalendar, ...] = (DEFAULT_CALENDAR,)
