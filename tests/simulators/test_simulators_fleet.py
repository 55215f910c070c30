"""The fleet: exact sums, chance by seed, faults that raise and clear, health that is silent."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
import pytest

from adapters import identity
from simulators.building import Use
from simulators.fleet import NAMED, STATION, Course, Fleet, build_fleet
from simulators.stories import KIND_OF, NORMAL_TIME, Fault
from simulators.weather import HOUR_US, outdoor_temp_c

LIVE = datetime(2026, 1, 31, 23, tzinfo=UTC)
LIVE_US = int(LIVE.timestamp()) * 1_000_000
SUMMER = range(5, 10)


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return build_fleet(7, LIVE_US)


@lru_cache
def beginnings(start_us: int, hours: int) -> list[datetime]:
    start = datetime.fromtimestamp(start_us / 1e6, NORMAL_TIME)
    return [start + timedelta(hours=hour) for hour in range(hours)]


def judged(  # noqa: C901  # slow and obvious: one hour after the other, all four kinds
    fleet: Fleet, course: Course, kind: str, until: int
) -> list[tuple[datetime, bool]]:
    """Slow, obvious alarms by domain 5 over the first `until` hours: (when, raised or cleared)."""
    shown, limits = course.shown(), course.limits[kind]
    sign = -1 if course.meter.use is Use.COOLING and "return" in kind else 1
    out: list[tuple[datetime, bool]] = []
    state = {"raised": False, "over": 0, "under": 0}

    def step(at: datetime, value: float, clear: float, limit: float, on: int, off: int) -> None:
        if not state["raised"]:
            state["over"] = state["over"] + 1 if sign * value > sign * limit else 0
            if state["over"] == on:
                state.update(raised=True, over=0, under=0)
                out.append((at, True))
        else:
            state["under"] = state["under"] + 1 if sign * value < sign * clear else 0
            if state["under"] == off:
                state.update(raised=False, over=0, under=0)
                out.append((at, False))

    steps = zip(
        *(
            np.diff(counter[: until + 1]).tolist()
            for counter in (shown.energy_wh, shown.volume_ml, shown.e9_mlc)
        ),
        strict=True,
    )
    day_wh = weight = weighted = 0.0
    month = 0
    hours = beginnings(fleet.start_us, until + 1)
    for hour, (energy, volume, e9) in enumerate(steps):
        begin, end = hours[hour], hours[hour + 1]
        limit = limits.summer if begin.month in SUMMER else limits.winter
        if begin.month != month and begin.hour == 0:
            month, weight, weighted = begin.month, 0.0, 0.0
        if begin.hour == 0:
            day_wh = 0.0
        day_wh += energy
        if energy > 0 and volume > 0:
            weight += energy
            weighted += energy * e9 / volume
        if kind == "hourly_power":
            step(end, energy, 0.95 * limit + 1e-9, limit, 1, 3)
        elif kind == "return_temperature":
            if volume >= 10 * course.meter.layout.volume_step_ml:
                step(end, 100 * e9 / volume, limit - sign * 200, limit, 6, 6)
        elif begin.hour == 23 and hour >= 23:
            if kind == "daily_power":
                step(end, day_wh / 24, 0.97 * limit + 1e-9, limit, 1, 1)
            elif begin.day >= 3 and weight and month:
                step(end, 100 * weighted / weight, limit - sign * 100, limit, 1, 1)
    return out


def test_every_kind_raises_and_clears_in_both_seasons_and_health_is_silent(fleet: Fleet):
    history = (fleet.live_us - fleet.start_us) // HOUR_US
    seen: set[tuple[str, str]] = set()
    for course in fleet.courses:
        mine = [
            story
            for story in fleet.stories
            if (story.facility, story.use) == (course.facility, course.meter.use)
            and story.start < LIVE
        ]
        for kind in course.limits:
            changes = judged(fleet, course, kind, history)
            expected = [story for story in mine if KIND_OF[story.fault] == kind]
            for story in expected:
                raised = [
                    at
                    for at, up in changes
                    if up and story.start < at <= story.end + timedelta(days=1)
                ]
                assert raised, (fleet.facilities[course.facility].name, story)
                assert any(not up and at > raised[0] for at, up in changes), story
                seen.add((kind, story.season))
            if not mine:
                assert not changes, (fleet.facilities[course.facility].name, kind, changes[:2])
    assert seen == {(kind, season) for kind in KIND_OF.values() for season in ("winter", "summer")}


def test_a_fresh_alarm_raises_within_the_first_live_day(fleet: Fleet):
    live = [story for story in fleet.stories if story.start >= LIVE][:2]
    assert {story.fault for story in live} == {Fault.STUCK_VALVE, Fault.PEAK_HOUR}
    for story in live:
        course = next(
            course
            for course in fleet.courses
            if (course.facility, course.meter.use) == (story.facility, story.use)
        )
        until = (fleet.live_us - fleet.start_us) // HOUR_US + 24
        changes = judged(fleet, course, KIND_OF[story.fault], until)
        assert changes[-1][1] or story.fault is Fault.PEAK_HOUR
        assert any(up and LIVE < at < LIVE + timedelta(days=1) for at, up in changes)


def test_forty_facilities_forty_two_meters(fleet: Fleet):
    assert len(fleet.facilities) == 40
    uses = [tuple(meter.use for meter in facility.meters) for facility in fleet.facilities]
    assert uses.count((Use.HEAT,)) == 32
    assert uses.count((Use.COOLING,)) == 6
    assert uses.count((Use.HEAT, Use.COOLING)) == 2
    assert len({course.meter.identity for course in fleet.courses}) == 42
    assert len({facility.metering_point for facility in fleet.facilities}) == 40
    assert sorted(course.meter.live for course in fleet.courses)[:2] == ["mbus", "modbus"]
    assert len({course.meter.layout.name for course in fleet.courses}) == 3
    assert {facility.name for facility in fleet.facilities} >= set(NAMED)
    assert STATION.isdigit()


def test_counters_are_integers_that_add_up(fleet: Fleet):
    for course in fleet.courses:
        counted = course.registers
        for counter in (counted.energy_wh, counted.volume_ml, counted.e8_mlc, counted.e9_mlc):
            assert counter.dtype == np.int64
            assert counter[0] == 0
            assert (np.diff(counter) >= 0).all()
        cooling_k = counted.e8_mlc - counted.e9_mlc
        if course.meter.use is Use.COOLING:
            cooling_k = -cooling_k
        k = counted.energy_wh[-1] * 1000 / cooling_k[-1]  # kWh/(m3 K), domain 1.1
        assert 1.12 < k < 1.17


def test_yearly_log_is_what_the_display_counted(fleet: Fleet):
    total_kwh = {
        name: {use: sum(years.values()) for use, years in uses.items()}
        for name, uses in fleet.yearly_kwh().items()
    }
    for course in fleet.courses:
        shown = course.shown().energy_wh
        last = fleet.hour_index(fleet.live_us)
        expected_kwh = (shown[last] - shown[0]) / 1000
        name = fleet.facilities[course.facility].name
        assert total_kwh[name][course.meter.use.value] == pytest.approx(expected_kwh, abs=1e-6)


def test_same_seed_same_numbers_another_seed_others(fleet: Fleet):
    again, other = build_fleet(7, LIVE_US), build_fleet(8, LIVE_US)
    for mine, same, theirs in zip(fleet.courses, again.courses, other.courses, strict=True):
        assert np.array_equal(mine.registers.energy_wh, same.registers.energy_wh)
        assert np.array_equal(mine.registers.e9_mlc, same.registers.e9_mlc)
        assert not np.array_equal(mine.registers.energy_wh, theirs.registers.energy_wh)
    assert fleet.yearly_kwh() == again.yearly_kwh()
    assert fleet.yearly_kwh() != other.yearly_kwh()


def test_weather_of_more_hours_begins_alike():
    short, long = outdoor_temp_c(3, 0, 1000), outdoor_temp_c(3, 0, 5000)
    assert np.array_equal(short, long[:1000])
    assert -35 < long.min() < long.max() < 38


def test_identities_print(fleet: Fleet):
    for course in fleet.courses:
        assert identity.parse(identity.text(course.meter.identity)) == course.meter.identity


@pytest.mark.parametrize(
    ("end", "hours"),
    [
        pytest.param("2025-08-15T10:00Z", None, id="ends in summer"),
        pytest.param("2026-03-01T23:00Z", None, id="ends in spring"),
        pytest.param("2024-02-29T23:00Z", None, id="ends on a leap day"),
        pytest.param("2026-01-31T23:00Z", 100 * 24, id="too short a history"),
    ],
)
def test_stories_find_their_place(end: str, hours: int | None):
    live_us = int(datetime.fromisoformat(end).timestamp()) * 1_000_000
    if hours is not None:
        with pytest.raises(ValueError, match="no room"):
            build_fleet(1, live_us, hours)
        return
    fleet = build_fleet(1, live_us)
    told = {
        (KIND_OF[story.fault], story.season)
        for story in fleet.stories
        if story.end.timestamp() * 1e6 < live_us
    }
    assert len(told) == 8
