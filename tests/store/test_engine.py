"""The engine's statements on both database flavours."""

import numpy as np
import psycopg
import pytest

from engine.types import HOUR_US, MISSING
from store import engine as store
from store import occurrences, partitions
from tests.engine.plant import (
    add_facility,
    add_meter,
    add_rule,
    deliver,
    hourly_us,
    settle,
    steady,
    us,
)

pytestmark = pytest.mark.db


def test_hours_days_and_alarms_end_to_end(conn: psycopg.Connection):
    facility = add_facility(conn)
    meter = add_meter(conn, facility)
    rule = add_rule(conn, facility, "return_temperature", 3900, 3900)
    at = hourly_us("2023-12-30T23:00", 4 * 24)
    registers = steady(4 * 24, energy_j=3600, volume_ml=10, supply_c=80, return_c=[40])
    deliver(conn, facility, meter, at[:50], registers[:, :50])
    settle(conn)
    deliver(conn, facility, meter, at[50:], registers[:, 50:])
    assert [turn.hours for turn in settle(conn)] == [47]
    found = store.hours(conn, [facility], [1], [int(at[0])], [int(at[-1])])
    assert found[0].tolist() == [0] * 96
    assert sorted(found[1].tolist()) == at[:-1].tolist()
    assert set(found[2].tolist()) == {3600}
    days = store.days(conn, [facility], [1], [0], [(0, 0)])
    assert days[9].tolist() == [24] * 4
    stored = occurrences.checkpoints(conn, [rule])[rule]
    assert [at_us for at_us, _ in stored] == [int(at[-1]), us("2023-12-31T23:00")]
    rows = occurrences.occurrences(conn, [(rule, MISSING)])
    assert [row[2:5] for row in rows] == [("unacknowledged", int(at[6]), None)]


def test_hours_are_replaced(conn: psycopg.Connection):
    start = us("2024-01-10T10:00")
    partitions.ensure(conn, "hour", start, start)
    rows = {
        "facility_id": [1, 1],
        "commodity": [1, 1],
        "start_at": [start, start + HOUR_US],
        "energy_j": [7, MISSING],
        "volume_ml": [1, 1],
        "e8_mlc": [1, 1],
        "e9_mlc": [1, 1],
        "quality": [1, 5],
        "energy_step_j": [0, 0],
        "volume_step_ml": [0, 0],
        "method_version": [1, 1],
    }
    columns = {name: np.array(values, np.int64) for name, values in rows.items()}
    nothing = np.zeros(0, np.int64)
    store.replace_hours(conn, (nothing, nothing, nothing), columns)
    columns["energy_j"] = np.array([9, 8], np.int64)
    gone = (columns["facility_id"], columns["commodity"], columns["start_at"])
    store.replace_hours(conn, gone, columns)
    found = store.hours(conn, [2, 1], [1, 1], [start, start], [start + HOUR_US] * 2)
    assert [found[0].tolist(), found[2].tolist()] == [[1], [9]]


def test_edges_of_an_empty_database(conn: psycopg.Connection):
    assert store.reading_edges(conn) == (MISSING, MISSING)
    assert store.waiting_span(conn) is None


def test_entries_come_by_locked_shard_and_go_one_by_one(conn: psycopg.Connection):
    facilities = [add_facility(conn, shard=shard) for shard in (3, 3, 5)]
    store.enqueue(conn, facilities, 1_000_000, 2_000_000)
    store.enqueue(conn, facilities[2:], 5_000_000, 5_000_000)
    assert store.waiting_span(conn) == (1_000_000, 5_000_000, 3)
    with conn.transaction():
        assert store.take_shards(conn, 1) == [3]
        found = store.entries(conn, [3], 10)
        assert [entry[1:] for entry in found] == [(f, 1_000_000, 2_000_000) for f in facilities[:2]]
        store.remove_entries(conn, [found[0].entry_id])
    assert store.take_shards(conn, 10) == [5]


def test_acting_on_an_unknown_alarm(conn: psycopg.Connection):
    with pytest.raises(occurrences.WrongStateError, match="there is no alarm 7"):
        occurrences.act(conn, 7, "acknowledge", {"x": "y"}, actor="anna", now_us=0)
