"""Seasons of metering dates."""

from datetime import date

import pytest

from engine.metering_day import day_of
from engine.seasons import Season, season_of, seasons
from engine.types import DEFAULT_CALENDAR, SeasonCalendar
from tests.engine.plant import us

LATER = SeasonCalendar(valid_from=date(2024, 9, 15), winter_from=(9, 15), summer_from=(5, 15))
SOUTH = SeasonCalendar(valid_from=date(1970, 1, 1), winter_from=(5, 1), summer_from=(10, 1))


@pytest.mark.parametrize(
    ("day", "calendars", "season"),
    [
        pytest.param("2024-04-30", [DEFAULT_CALENDAR], Season.WINTER, id="last day of winter"),
        pytest.param("2024-05-01", [DEFAULT_CALENDAR], Season.SUMMER, id="first day of summer"),
        pytest.param("2024-09-30", [DEFAULT_CALENDAR], Season.SUMMER, id="last day of summer"),
        pytest.param("2024-10-01", [DEFAULT_CALENDAR], Season.WINTER, id="first day of winter"),
        pytest.param("2024-12-31", [DEFAULT_CALENDAR], Season.WINTER, id="year's end"),
        pytest.param("2024-02-29", [DEFAULT_CALENDAR], Season.WINTER, id="leap day"),
        pytest.param("2024-09-14", [LATER, DEFAULT_CALENDAR], Season.SUMMER, id="old calendar"),
        pytest.param("2024-09-15", [LATER, DEFAULT_CALENDAR], Season.WINTER, id="new calendar"),
        pytest.param("2025-05-14", [DEFAULT_CALENDAR, LATER], Season.WINTER, id="any order"),
        pytest.param("2024-07-01", [SOUTH], Season.WINTER, id="winter in July"),
        pytest.param("2024-01-01", [SOUTH], Season.SUMMER, id="summer over the year's end"),
    ],
)
def test_season(day: str, calendars: list[SeasonCalendar], season: Season):
    assert season_of(date.fromisoformat(day), calendars) is season


def test_no_calendar_is_an_error():
    with pytest.raises(ValueError, match="no season calendar is valid on 2024-09-14"):
        season_of(date(2024, 9, 14), [LATER])


def test_switch_is_at_midnight_of_normal_time():
    first = day_of(us("2024-04-30T22:59"), 3_600_000_000)
    assert seasons(first, 2, [DEFAULT_CALENDAR]).tolist() == [Season.WINTER, Season.SUMMER]
    assert day_of(us("2024-04-30T23:00"), 3_600_000_000) == first + 1
