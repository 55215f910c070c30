"""The engine's rules as the settings have them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from config.settings import Alarm, Engine, Season, Settings
from engine.types import BEHAVIOUR, AlarmKind, Behaviour, EngineRules, SeasonCalendar

_MINUTE_US: Final = 60_000_000
_HOUR_US: Final = 60 * _MINUTE_US


def engine_rules(settings: Settings) -> EngineRules:
    """What the engine is handed.

    Raises ValueError when the metering zone's offset changes over the year.
    """
    engine = settings.engine
    return EngineRules(
        metering_offset_us=metering_offset_us(engine),
        weight_by_day=engine.weight_step == "day",
        interpolate_max_us=engine.interpolate_max_min * _MINUTE_US,
        exact_us=engine.exact_s * 1_000_000,
        old_reading_us=engine.old_reading_h * _HOUR_US,
        poll_s=engine.poll_s,
        behaviour={
            kind: _behaviour(getattr(engine, kind.value), BEHAVIOUR[kind]) for kind in AlarmKind
        },
        calendars=calendars(settings.seasons),
    )


def metering_offset_us(engine: Engine) -> int:
    """How far the metering zone is ahead of UTC. [µs]

    Raises ValueError when that changes over the year: the metering day has 24 hours, always.
    """
    zone = ZoneInfo(engine.metering_tz)
    offsets = {
        datetime(year, month, 1, tzinfo=UTC).astimezone(zone).utcoffset()
        for year in (1980, 2000, 2020)
        for month in range(1, 13)
    }
    first = offsets.pop()
    if offsets or first is None:
        raise ValueError(
            f"{engine.metering_tz} changes its offset; the metering day needs a fixed one, "
            "like Etc/GMT-1 for Swedish normal time"
        )
    return int(first.total_seconds()) * 1_000_000


def calendars(seasons: tuple[Season, ...]) -> tuple[SeasonCalendar, ...]:
    """The season calendars, by the day they hold from."""
    return tuple(
        SeasonCalendar(
            valid_from=season.valid_from,
            winter_from=_month_day(season.winter_from),
            summer_from=_month_day(season.summer_from),
        )
        for season in sorted(seasons, key=lambda season: season.valid_from)
    )


def _month_day(text: str) -> tuple[int, int]:
    month, day = text.split("-")
    return int(month), int(day)


def _behaviour(alarm: Alarm, default: Behaviour) -> Behaviour:
    """The default with what was set laid over it."""
    given = {
        "on_steps": alarm.on_steps,
        "off_steps": alarm.off_steps,
        "deadband_cc": None if alarm.deadband_c is None else round(alarm.deadband_c * 100),
        "clear_ratio_permille": (
            None if alarm.clear_ratio is None else round(alarm.clear_ratio * 1000)
        ),
    }
    return replace(default, **{name: value for name, value in given.items() if value is not None})
