"""Columns and limits without a database."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from engine.types import DEFAULT_CALENDAR, SeasonCalendar
from portal import limits, series
from portal.pages.act import number
from portal.pages.views import _round_up
from portal.times import Interval, instant
from store.portal_alarms import LimitSpan
from store.readings import register_quality


def test_no_rows_are_no_columns():
    start, columns, letters = series.hours([], 1)
    assert start.size == 0
    assert letters == []
    assert all(values.size == 0 for values in columns.values())
    assert series.days([], 1)[0] == []
    assert series.months([], 1)[0] == []


def test_cooling_is_positive_when_it_works():
    row = (0, 3_600_000, 1_000_000, 6_000_000, 15_000_000, 1, None)
    assert series.hours([row], 2)[1]["cooling_k"][0] == 9
    assert series.hours([row], 1)[1]["cooling_k"][0] == -9


def test_ratio_where_there_is_nothing_to_divide_by():
    out = series.ratio(np.array([1.0, 1.0, np.nan]), np.array([0.0, 2.0, np.nan]))
    assert np.array_equal(out, [np.nan, 0.5, np.nan], equal_nan=True)


def test_register_quality_follows_the_column_order():
    quality = register_quality(1 << 0 | 2 << 14 | 3 << 22)
    assert quality["energy_j"] == "meter_error"
    assert quality["supply_temp_cc"] == "out_of_range"
    assert quality["info_code"] == "invalid"
    assert quality["volume_ml"] == "ok"


def span(kind: str, day: str, winter: int, summer: int, *, enabled: bool = True) -> LimitSpan:
    at = datetime.fromisoformat(f"{day}T00:00:00Z")
    return LimitSpan(
        kind=kind, valid_from=at, enabled=enabled, winter_limit=winter, summer_limit=summer
    )


def test_limits_are_cut_by_season_and_by_change():
    stored = [
        span("daily_power", "2025-01-01", 100, 40),
        span("daily_power", "2026-06-01", 110, 50),
        span("daily_power", "2026-10-15", 0, 0, enabled=False),
        span("hourly_power", "2026-07-01", 200, 90),
    ]
    year = Interval(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    held = limits.in_force(stored, year, [DEFAULT_CALENDAR])
    assert [(h.kind, f"{h.start:%m-%d %H}", f"{h.end:%m-%d %H}", h.limit) for h in held] == [
        ("daily_power", "01-01 00", "04-30 23", 100),  # 1 May 00:00 normal time
        ("daily_power", "04-30 23", "06-01 00", 40),
        ("daily_power", "06-01 00", "09-30 23", 50),
        ("daily_power", "09-30 23", "10-15 00", 110),
        ("hourly_power", "07-01 00", "09-30 23", 90),
        ("hourly_power", "09-30 23", "01-01 00", 200),
    ]


def test_seasons_change_with_their_validity():
    later = SeasonCalendar(valid_from=date(2026, 1, 1), winter_from=(11, 1), summer_from=(4, 1))
    both = [DEFAULT_CALENDAR, later]
    assert limits.season_name(datetime(2025, 10, 15, tzinfo=UTC), both) == "winter"
    assert limits.season_name(datetime(2026, 10, 15, tzinfo=UTC), both) == "summer"
    assert limits.season_dates(date(2026, 2, 1), both) is later


@pytest.mark.parametrize(("typed", "value"), [
    ("55,5", 55.5), ("55.5", 55.5), (" 1 200 ", 1200), ("1\u00a0200,5", 1200.5), ("\u22125", -5),
    ("", None), ("varm", None), ("nan", None), ("inf", None), ("1e400", None), ("1,2,3", None),
])  # fmt: skip
def test_numbers_as_people_type_them(typed, value):
    assert number(typed) == value


@pytest.mark.parametrize(("value", "end"), [(0.7, 0.8), (1, 1), (61, 80), (140, 150), (1150, 1500)])
def test_gauge_ends_read_easily(value, end):
    assert _round_up(value) == pytest.approx(end)


@pytest.mark.parametrize(("text", "utc"), [
    pytest.param("2018-01-03", "2018-01-02T23:00", id="a date is its metering day"),
    pytest.param("2018-07-03", "2018-07-02T23:00", id="also in summer"),
    pytest.param("2018-01-03T00:00:00+01:00", "2018-01-02T23:00", id="with offset"),
    pytest.param("2018-01-03T00:00:00Z", "2018-01-03T00:00", id="UTC"),
])  # fmt: skip
def test_instants(text, utc):
    assert f"{instant(text, field='from'):%Y-%m-%dT%H:%M}" == utc
