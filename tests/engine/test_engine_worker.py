"""The worker on a real database: batching, order, late readings, alarms judged again."""

import csv
import threading
from datetime import date
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import worker
from engine.lifecycle import Event, moves
from engine.types import DAY_US, HOUR_US, MISSING, EngineRules
from store import engine as store
from store import occurrences
from store.connection import connect
from tests.engine import naive
from tests.engine.naive import Limits, Reading
from tests.engine.plant import (
    RULES,
    add_facility,
    add_meter,
    add_rule,
    alarms_of,
    days_of,
    deliver,
    hourly_us,
    hours_of,
    settle,
    steady,
    us,
)
from tests.engine.test_engine_hours import LETTERS, streams

pytestmark = pytest.mark.db


def test_hours_and_days_of_a_steady_week(conn: psycopg.Connection):
    facility = add_facility(conn)
    meter = add_meter(conn, facility)
    at = hourly_us("2024-01-09T23:00", 7 * 24)
    registers = steady(7 * 24, energy_j=36_000_000, volume_ml=200_000, supply_c=80, return_c=[40])
    deliver(conn, facility, meter, at, registers)
    turns = settle(conn)
    assert [(turn.entries, turn.hours, turn.days) for turn in turns] == [(1, 168, 7)]
    hours = hours_of(conn, facility)
    assert len(hours) == 168
    assert set(hours) == {
        (int(start), 36_000_000, 200_000, 16_000_000, 8_000_000, 1) for start in at[:-1]
    }
    days = days_of(conn, facility)
    assert [day[0] for day in days] == [date(2024, 1, d) for d in range(10, 17)]
    assert days[0][1:] == (
        864_000_000, 4_800_000, 384_000_000, 192_000_000, 864_000_000, 864_000_000 * 40,
        24, 24, None, 1,
    )  # fmt: skip


def test_computing_again_without_a_change_writes_nothing(conn: psycopg.Connection):
    facility = add_facility(conn)
    meter = add_meter(conn, facility)
    at = hourly_us("2024-01-09T23:00", 48)
    registers = steady(48, energy_j=1, volume_ml=1, supply_c=1, return_c=[1])
    deliver(conn, facility, meter, at, registers)
    settle(conn)
    store.enqueue(conn, [facility], int(at[0]), int(at[-1]))
    assert settle(conn) == [worker.Work(entries=1)]


def test_a_facility_without_meters_is_done_at_once(conn: psycopg.Connection):
    facility = add_facility(conn)
    store.enqueue(conn, [facility], us("2024-01-01T00:00"), us("2024-01-01T01:00"))
    assert settle(conn) == [worker.Work(entries=1)]
    assert worker.run_once(conn, RULES, lambda: 0) == worker.Work()


def test_a_live_hour_appears_when_it_is_complete(conn: psycopg.Connection):
    facility = add_facility(conn)
    meter = add_meter(conn, facility)
    for k in range(13):  # every ten minutes
        at = np.array([us("2024-01-10T10:00") + k * 600_000_000])
        deliver(conn, facility, meter, at, np.full((4, 1), k * 3600, np.int64))
        settle(conn)
        assert len(hours_of(conn, facility)) == k // 6
    assert [hour[1] for hour in hours_of(conn, facility)] == [6 * 3600, 6 * 3600]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(streams(faults=True), st.randoms(use_true_random=False), st.booleans())
def test_any_order_and_any_batching_end_in_the_same_rows(
    conn: psycopg.Connection,
    readings: list[Reading],
    random: Random,
    shuffled: bool,
):
    facility = add_facility(conn)
    meter = add_meter(conn, facility)
    rule = add_rule(conn, facility, "hourly_power", 3000, 3000)
    order = list(range(len(readings)))
    if shuffled:
        random.shuffle(order)
    while order:
        size = random.randint(1, 8)
        batch, order = order[:size], order[size:]
        at = np.array([readings[i].at for i in batch])
        rows = [[MISSING if v is None else v for v in readings[i].registers] for i in batch]
        deliver(conn, facility, meter, at, np.array(rows, np.int64).T)
        if random.random() < 0.7:
            settle(conn)
    settle(conn)
    bare = [Reading(r.at, r.registers) for r in readings]  # deliver stores no temperatures
    expected = naive.hours(bare, Limits())
    got = {
        start: ([e, v, e8, e9], LETTERS[quality])
        for start, e, v, e8, e9, quality in hours_of(conn, facility)
    }
    assert got == {start: (hour.values, hour.quality) for start, hour in expected.items()}
    found = conn.execute("select count(*) from finding where meter_id = %s", (meter,)).fetchone()
    verdict = naive.verdicts(bare, Limits(), RULES.gap_max_us)
    assert found == (sum(len(v & {"negative", "exchanged"}) for v in verdict),)
    before = (hours_of(conn, facility), days_of(conn, facility), alarms_of(conn, rule))
    conn.execute("delete from hour where facility_id = %s", (facility,))
    conn.execute("delete from day where facility_id = %s", (facility,))
    conn.execute("delete from alarm_checkpoint where rule_id = %s", (rule,))
    store.enqueue(conn, [facility], readings[0].at, readings[-1].at)
    settle(conn)
    assert (hours_of(conn, facility), days_of(conn, facility), alarms_of(conn, rule)) == before


@pytest.mark.concurrent
def test_two_workers_and_a_late_reading_between(conn: psycopg.Connection, dsn: str):
    """One worker holds the shard with its entries read; a reading comes; neither loses it."""
    facility = add_facility(conn)
    meter = add_meter(conn, facility)
    at = hourly_us("2024-01-10T00:00", 5)
    registers = steady(5, energy_j=3600, volume_ml=10, supply_c=80, return_c=[40])
    keep = [0, 1, 2, 4, 5]
    deliver(conn, facility, meter, at[keep], registers[:, keep])
    registers[0, 3] += 1800
    with connect(dsn) as slow, connect(dsn) as other:
        with slow.transaction():
            shards = store.take_shards(slow, 16)
            entries = store.entries(slow, shards, 100)
            assert shards == [1]
            deliver(conn, facility, meter, at[3:4], registers[:, 3:4])
            assert worker.run_once(other, RULES, lambda: 0) == worker.Work()
            worker._turn(slow, entries, RULES, 0)
            store.remove_entries(slow, [entry.entry_id for entry in entries])
        assert worker.run_once(other, RULES, lambda: 0).entries == 1
        assert worker.run_once(slow, RULES, lambda: 0) == worker.Work()
    assert [hour[1] for hour in hours_of(conn, facility)] == [3600, 3600, 5400, 1800, 3600]


@pytest.mark.concurrent
def test_workers_side_by_side_do_all_the_work_once(conn: psycopg.Connection, dsn: str):
    facilities = [add_facility(conn, shard=shard) for shard in range(40)]
    at = hourly_us("2024-01-10T00:00", 24)
    registers = steady(24, energy_j=3600, volume_ml=10, supply_c=80, return_c=[40])
    for facility in facilities:
        meter = add_meter(conn, facility)
        for part in (slice(0, 10), slice(10, 25)):
            deliver(conn, facility, meter, at[part], registers[:, part])
    done: list[worker.Work] = []

    def work() -> None:
        with connect(dsn) as own:
            done.extend(settle(own))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settle(conn)
    assert sum(one.entries for one in done) == 80
    assert sum(one.hours for one in done) == 40 * 24
    assert conn.execute("select count(*), sum(energy_j) from hour").fetchone() == (960, 960 * 3600)


# Alarms -------------------------------------------------------------------------------------------


def transitions(conn: psycopg.Connection, rule: int) -> list[tuple[str, str, str, bool | None]]:
    return conn.execute(
        "select t.event, t.from_state, t.to_state, o.portal_only from alarm_transition t"
        " join alarm_occurrence a using (occurrence_id) left join outbox o using (transition_id)"
        " where a.rule_id = %s order by t.transition_id",
        (rule,),
    ).fetchall()


class House:
    """One facility with a return temperature told hour by hour, and a rule on it."""

    def __init__(self, conn: psycopg.Connection, *, start: str = "2024-01-10T00:00") -> None:
        self.conn = conn
        self.facility = add_facility(conn)
        self.meter = add_meter(conn, self.facility)
        self.rule = add_rule(conn, self.facility, "return_temperature", 5000, 6000)
        self.at = hourly_us(start, 0)
        self.registers = np.zeros((4, 1), np.int64)
        self.send(0)

    def run(self, returns: list[float], *, settled: bool = True, now: int = 0) -> None:
        """So many more hours with these return temperatures. [°C]"""
        for one in returns:
            step = np.array([36_000_000, 200_000, 16_000_000, round(200_000 * one)])
            self.registers = np.column_stack([self.registers, self.registers[:, -1] + step])
            self.at = np.append(self.at, self.at[-1] + HOUR_US)
            if settled:
                self.send(-1)
        if settled:
            settle(self.conn, now=now)

    def send(self, k: int) -> None:
        at, row = self.at[[k]], self.registers[:, [k]]
        deliver(self.conn, self.facility, self.meter, at, row)

    def spans(self) -> list[tuple[int, int | None]]:
        """Alarms as hours since the start."""
        first = int(self.at[0])
        return [
            ((since - first) // HOUR_US, None if until is None else (until - first) // HOUR_US)
            for since, until, *_ in alarms_of(self.conn, self.rule)
        ]


def test_tv_22_through_the_database(conn: psycopg.Connection):
    house = House(conn)
    house.run([51] * 5 + [49.5] + [51] * 5)
    assert house.spans() == []
    house.run([51])
    assert house.spans() == [(12, None)]
    house.run([47] * 6)
    assert house.spans() == [(12, 18)]
    assert transitions(conn, house.rule) == [
        ("raise", "normal", "unacknowledged", False),
        ("clear", "unacknowledged", "returned_unacknowledged", False),
    ]
    facts = alarms_of(conn, house.rule)[0]
    assert facts[2:] == ("winter", 5000, 5100, 5100, 1)


def test_old_readings_give_a_notice_only(conn: psycopg.Connection):
    house = House(conn)
    house.run([51] * 6, now=int(house.at[0]) + 6 * HOUR_US + 48 * HOUR_US + 1)
    assert transitions(conn, house.rule) == [("raise", "normal", "unacknowledged", True)]


def gap_house(conn: psycopg.Connection, *, without: int, returns: list[float]) -> House:
    """Hours whose reading `without` has not come yet."""
    house = House(conn)
    house.run(returns, settled=False)
    for k in range(1, len(returns) + 1):
        if k != without:
            house.send(k)
    settle(conn)
    return house


def test_a_late_reading_raises_late(conn: psycopg.Connection):
    """Two preliminary hours are not judged; the late reading makes them count."""
    house = gap_house(conn, without=3, returns=[51] * 6 + [40] * 2)
    assert house.spans() == []
    house.send(3)
    settle(conn, now=int(house.at[-1]) + 3 * DAY_US)
    assert house.spans() == [(6, None)]
    assert transitions(conn, house.rule) == [("raise", "normal", "unacknowledged", True)]


def test_a_late_reading_withdraws(conn: psycopg.Connection):
    """The mean of a gap was beyond the limit, one of its hours was not."""
    rules = EngineRules(interpolate_max_us=3 * HOUR_US)
    house = House(conn)
    house.run([51, 51, 55, 49, 51, 51], settled=False)
    for k in (1, 2, 4, 5, 6):
        house.send(k)
    settle(conn, rules)
    assert house.spans() == [(6, None)]
    house.send(3)
    settle(conn, rules)
    assert house.spans() == []
    assert transitions(conn, house.rule) == [
        ("raise", "normal", "unacknowledged", False),
        ("withdraw", "unacknowledged", "withdrawn", False),
    ]


def test_a_late_reading_that_changes_nothing_is_not_told(conn: psycopg.Connection):
    rules = EngineRules(interpolate_max_us=3 * HOUR_US)
    house = House(conn)
    house.run([52] * 8, settled=False)
    for k in (1, 2, 4, 5, 6, 7, 8):
        house.send(k)
    settle(conn, rules)
    (occurrence_id,) = conn.execute("select occurrence_id from alarm_occurrence").fetchone()
    occurrences.act(
        conn, occurrence_id, "acknowledge", moves(Event.ACKNOWLEDGE), actor="anna", now_us=0
    )
    house.send(3)
    settle(conn, rules)
    assert house.spans() == [(6, None)]
    assert [one[0] for one in transitions(conn, house.rule)] == ["raise", "acknowledge"]
    state = conn.execute("select state, acknowledged_by from alarm_occurrence").fetchone()
    assert state == ("acknowledged", "anna")


def test_a_correction_reopens_what_was_acknowledged(conn: psycopg.Connection):
    house = House(conn)
    house.run([51] * 6)
    (occurrence_id,) = conn.execute("select occurrence_id from alarm_occurrence").fetchone()
    acknowledge = moves(Event.ACKNOWLEDGE)
    occurrences.act(conn, occurrence_id, "acknowledge", acknowledge, actor="anna", now_us=0)
    house.run([47] * 6)
    assert house.spans() == [(6, 12)]
    # The last hour's E9 was wrong: the condition had not ended.
    conn.execute(
        "update reading set e9_mlc = e9_mlc + 1000000 where at = %s", (store.moment(house.at[-1]),)
    )
    store.enqueue(conn, [house.facility], int(house.at[-1]), int(house.at[-1]))
    settle(conn)
    assert house.spans() == [(6, None)]
    assert transitions(conn, house.rule)[2:] == [
        ("clear", "acknowledged", "normal", False),
        ("reopen", "normal", "acknowledged", None),
    ]
    with pytest.raises(occurrences.WrongStateError, match="is acknowledged: it cannot acknowledge"):
        occurrences.act(conn, occurrence_id, "acknowledge", acknowledge, actor="b", now_us=0)


def test_the_season_switches_the_limit(conn: psycopg.Connection):
    """55 °C is beyond the winter limit and within the summer one; the deadband clears it."""
    house = House(conn, start="2024-04-30T13:00")
    house.run([55] * 10)
    assert house.spans() == [(6, None)]
    house.run([55] * 6)
    assert house.spans() == [(6, 16)]  # six hours into 1 May, normal time


def test_a_limit_set_for_the_past_is_judged_again(conn: psycopg.Connection):
    house = House(conn)
    house.run([45] * 12)
    assert house.spans() == []
    add_rule(conn, house.facility, "return_temperature", 4000, 6000, valid_from="2024-01-10T03:00Z")
    store.enqueue(conn, [house.facility], int(house.at[-1]), int(house.at[-1]))
    settle(conn)
    assert house.spans() == [(9, None)]


def test_month_starts_and_the_newest_state_are_kept(conn: psycopg.Connection):
    house = House(conn, start="2024-01-30T00:00")
    house.run([45] * 72, settled=False)
    for k in range(1, 73):
        house.send(k)
        if k % 10 == 0:
            settle(conn)
    settle(conn)
    rows = conn.execute("select at from alarm_checkpoint order by at").fetchall()
    assert [row[0] for row in rows] == [
        store.moment(us("2024-01-31T23:00")),
        store.moment(us("2024-02-02T00:00")),
    ]


def test_cooling_returns_below_the_limit_raise(conn: psycopg.Connection):
    facility = add_facility(conn)
    meter = add_meter(conn, facility, commodity=2)
    rule = add_rule(conn, facility, "return_temperature", 1200, 1200, commodity=2)
    at = hourly_us("2024-07-10T00:00", 14)
    registers = steady(
        14, energy_j=36_000_000, volume_ml=2_000_000, supply_c=6, return_c=[11] * 7 + [15] * 7
    )
    deliver(conn, facility, meter, at, registers, commodity=2)
    settle(conn)
    (found,) = alarms_of(conn, rule)
    assert found[:5] == (int(at[6]), int(at[13]), "summer", 1200, 1100)


def test_daily_alarms_come_with_the_day(conn: psycopg.Connection):
    facility = add_facility(conn)
    meter = add_meter(conn, facility)
    daily = add_rule(conn, facility, "daily_power", 9_000, 9_000)
    weighted = add_rule(conn, facility, "energy_weighted_return", 3_900, 3_900)
    at = hourly_us("2024-01-31T23:00", 5 * 24)
    registers = steady(5 * 24, energy_j=36_000_000, volume_ml=9, supply_c=80, return_c=[40])
    for k in range(at.size):
        deliver(conn, facility, meter, at[[k]], registers[:, [k]])
        if k % 24 in (0, 23):
            settle(conn)
        known = [len(alarms_of(conn, rule)) for rule in (daily, weighted)]
        assert known == [int(k >= 24), int(k >= 72)]
    assert alarms_of(conn, daily)[0][:2] == (int(at[24]), None)
    assert alarms_of(conn, weighted)[0][:2] == (int(at[72]), None)


def test_a_coarse_register_is_judged_over_its_window(conn: psycopg.Connection):
    facility = add_facility(conn)
    meter = add_meter(conn, facility, energy_step_j=36_000_000)  # 10 kWh
    rule = add_rule(conn, facility, "hourly_power", 25_000, 25_000)
    at = hourly_us("2024-01-10T00:00", 12)
    registers = steady(12, energy_j=0, volume_ml=9, supply_c=80, return_c=[40])
    registers[0] = np.array([0, 0, 4, 8, 8, 12, 16, 16, 20, 24, 24, 24, 24]) * 36_000_000
    deliver(conn, facility, meter, at, registers)
    settle(conn)
    # Single hours swing between 0 and 40 kW; the worst four hours have 120 kWh.
    (found,) = alarms_of(conn, rule)
    assert (found[4], found[6]) == (30_000, 4)


def test_findings_are_listed_once_and_go_when_the_doubt_goes(conn: psycopg.Connection):
    facility = add_facility(conn)
    meter = add_meter(conn, facility)
    at = hourly_us("2024-01-10T00:00", 3)
    registers = np.tile(np.array([100, 50, 104, 105]) * 3600, (4, 1))
    deliver(conn, facility, meter, at, registers)
    assert settle(conn)[0].findings == 1
    store.enqueue(conn, [facility], int(at[0]), int(at[-1]))
    assert settle(conn)[0].findings == 0
    row = conn.execute("select kind, at, telegram_id, detail from finding").fetchone()
    assert row == (
        "NEGATIVE_STEP", store.moment(at[1]), 1,
        "energy 360000 -> 180000 J, volume 360000 -> 180000 ml",
    )  # fmt: skip
    conn.execute("delete from reading where at = %s", (store.moment(at[1]),))
    store.enqueue(conn, [facility], int(at[1]), int(at[1]))
    settle(conn)
    assert conn.execute("select count(*) from finding").fetchone() == (0,)
    assert [hour[1] for hour in hours_of(conn, facility)] == [7200, 7200, 3600]


def test_the_days_outdoor_temperature_needs_twenty_hours(conn: psycopg.Connection):
    conn.execute("insert into station (code, name) values ('1', 'x')")
    (station,) = conn.execute("select station_id from station").fetchone()
    facility = add_facility(conn, station=station)
    meter = add_meter(conn, facility)
    at = hourly_us("2024-01-09T23:00", 48)
    for k in [*range(24), *range(24, 43)]:
        conn.execute(
            "insert into outdoor values (%s, %s, %s, 1)", (station, store.moment(at[k]), -100 - k)
        )
    deliver(
        conn, facility, meter, at, steady(48, energy_j=1, volume_ml=1, supply_c=1, return_c=[1])
    )
    settle(conn)
    assert [day[9] for day in days_of(conn, facility)] == [-112, None]  # mean -111.5, half away


def test_days_made_anew_far_from_the_reading_keep_their_outdoor_temperature(
    conn: psycopg.Connection,
):
    conn.execute("insert into station (code, name) values ('1', 'x')")
    (station,) = conn.execute("select station_id from station").fetchone()
    facility = add_facility(conn, station=station)
    meter = add_meter(conn, facility)
    at = hourly_us("2024-01-09T23:00", 10 * 24)
    for start_us in at[:-1]:
        conn.execute(
            "insert into outdoor values (%s, %s, 50, 1)", (station, store.moment(start_us))
        )
    registers = steady(10 * 24, energy_j=10, volume_ml=1, supply_c=1, return_c=[1])
    deliver(conn, facility, meter, at[:2], registers[:, :2])
    deliver(conn, facility, meter, at[-2:], registers[:, -2:])
    settle(conn)
    registers[0, 120] += 5  # inside the gap, and off its line: every day from end to end changes
    deliver(conn, facility, meter, at[120:121], registers[:, 120:121])
    settle(conn)
    assert [day[9] for day in days_of(conn, facility)] == [50] * 10


def test_a_change_is_announced_with_the_commit(conn: psycopg.Connection):
    conn.execute("listen fjarrvakt_change")
    facility = add_facility(conn)
    store.enqueue(conn, [facility], us("2024-01-01T00:00"), us("2024-01-01T01:00"))
    settle(conn)
    told = [note.payload for note in conn.notifies(timeout=1, stop_after=1)]
    assert told == [str(facility)]


# The real meter -----------------------------------------------------------------------------------


def test_real_meter_alarms_equal_the_slow_reference(conn: psycopg.Connection, shared: Path):
    """Winter limit 33 °C, summer 50 °C, two years in twenty batches, hour for hour."""
    with (shared / "data" / "meter660_hourly.csv").open() as file:
        rows = list(csv.DictReader(file))
    at = np.array([us(row["time_rounded"].rstrip("Z")) for row in rows])
    columns = (
        ("energy_heat_kwh", 1000, 3600),
        ("volume_flow_m3", 10**6, 1),
        ("inlet_flow_energy_m3xC", 10**6, 1),
        ("back_flow_energy_m3xC", 10**6, 1),
    )
    registers = np.array(
        [[int(Fraction(row[name]) * per) * unit for row in rows] for name, per, unit in columns]
    )
    facility = add_facility(conn)
    meter = add_meter(conn, facility, energy_step_j=3600, volume_step_ml=1)
    rule = add_rule(conn, facility, "return_temperature", 3300, 5000)
    for part in np.array_split(np.arange(at.size), 20):
        deliver(conn, facility, meter, at[part], registers[:, part])
        settle(conn)
    step = np.diff(registers, axis=1)
    values = [
        Fraction(int(e9), int(v)) if v >= 10 else None
        for v, e9 in zip(step[1], step[3], strict=True)
    ]

    def limit(k: int) -> int:
        local = np.datetime64(int(at[k]) + HOUR_US, "us").astype(object)
        return 50 if 5 <= local.month <= 9 else 33

    expected = naive.raisings(values, limit, lambda value, level: value < level - 2, 6, 6)
    assert len(expected) == 11
    got = [row[:2] for row in alarms_of(conn, rule)]
    assert got == [
        (int(at[up + 1]), None if down is None else int(at[down + 1])) for up, down in expected
    ]
    day = days_of(conn, facility)[0]
    assert (str(day[0]), day[1] / 3.6e6) == ("2018-01-03", pytest.approx(88.127, abs=0.001))
