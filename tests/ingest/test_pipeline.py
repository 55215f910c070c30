import itertools
import random

import numpy as np
import orjson
import psycopg
import pytest

from adapters import identity
from adapters.mbus import encode
from config.modbus_maps import load_maps
from config.profiles import load_profiles
from config.settings import Ingest
from ingest.decode import Dictionary
from ingest.drain import Drainer
from ingest.journal import Journal
from store import ingest as store
from tests.ingest.conftest import (
    HOUR_US,
    METER,
    OTHER_METER,
    T0_US,
    Feed,
    claim,
    outcomes,
    reading,
)

pytestmark = pytest.mark.db

UP = "gw/north/up/reading"
MIN_US = 60_000_000


def rows(conn: psycopg.Connection) -> list[tuple[object, ...]]:
    query = "select meter_id, at, energy_j, telegram_id from reading order by 1, 2"
    return conn.execute(query).fetchall()


def test_a_reading_is_stored_with_its_telegram_and_named_in_the_ledger(facility, feed: Feed):
    assert feed([(UP, reading(T0_US, 3_600_000, energy_step_j=3_600_000), T0_US + 5)]) == {
        "stored": 1
    }
    row = facility.execute(
        "select r.energy_j, r.received_at - r.at, t.address, m.energy_step_j from reading r"
        " join telegram t using (telegram_id) join meter m using (meter_id)"
    ).fetchone()
    assert row is not None
    assert (row[0], row[1].microseconds, *row[2:]) == (3_600_000, 5, UP, 3_600_000)
    ledger = facility.execute("select shard, facility_ids, from_at = until_at from ledger")
    assert ledger.fetchall() == [(5, [1], True)]


@pytest.mark.parametrize(
    ("topic", "payload", "outcome"),
    [
        (UP, b"\x00\xffgarbage", "quarantined json"),
        ("gw/north/up/telegram", b"68 0B 0B 68", "quarantined frame"),
        ("gw/north/up/nothing", b"{}", "quarantined topic"),
        (UP, reading(T0_US + 3 * HOUR_US, 1), "quarantined future"),
        (UP, reading(0, 1), "quarantined json"),
        (UP, reading(T0_US, 1, meter="FJV-00000009-01-04"), "waiting unclaimed"),
        (
            "gw/north/up/weather",
            b'{"station":"1","time":"2026-01-10T12:00:00Z","outdoor_temp_c":-3}',
            "waiting unknown_station",
        ),
    ],
)
def test_bad_input_is_kept_with_a_reason_and_stops_nothing(facility, feed, topic, payload, outcome):
    good = (UP, reading(T0_US, 1), T0_US)
    assert feed([(topic, payload, T0_US), good]) == {outcome: 1, "stored": 1}
    detail = facility.execute("select detail, payload from telegram where outcome > 2").fetchone()
    assert len(detail[0]) > 20
    assert detail[1] == payload


def test_a_foreign_gateway_is_not_believed(facility, feed):
    claim(facility, "FJV-00000007-01-04", gateway="south")
    payload = reading(T0_US, 1, meter="FJV-00000007-01-04")
    assert feed([(UP, payload, T0_US)]) == {"quarantined foreign_gateway": 1}
    assert feed([("gw/south/up/reading", payload, T0_US)])["stored"] == 1


def test_outdoor_temperature_dirties_its_facilities(facility, feed):
    payload = b'{"station":"98230","time":"2026-01-10T12:00:00Z","outdoor_temp_c":-3.25}'
    assert feed([("gw/north/up/weather", payload, T0_US)]) == {"stored": 1}
    assert facility.execute("select temp_cc from outdoor").fetchall() == [(-325,)]
    assert facility.execute("select facility_ids from ledger").fetchall() == [([1],)]


def test_redelivery_changes_nothing(facility, feed):
    message = (UP, reading(T0_US, 77, access=3), T0_US)
    feed([message])
    before = rows(facility)
    assert feed([message, message]) == {"stored": 1, "duplicate copy": 2}
    assert rows(facility) == before


def test_other_content_for_a_taken_time_can_be_looked_at(facility, feed):
    feed([(UP, reading(T0_US, 77), T0_US)])
    assert feed([(UP, reading(T0_US, 78), T0_US + 1)]) == {
        "stored": 1,
        "quarantined other_content": 1,
    }
    assert [row[2] for row in rows(facility)] == [77]


def test_the_first_received_takes_the_row_over_even_when_it_comes_late(facility, feed):
    feed([(UP, reading(T0_US, 78), T0_US + 1)])
    assert feed([(UP, reading(T0_US, 77), T0_US)]) == {
        "stored": 1,
        "quarantined other_content": 1,
    }
    assert [row[2] for row in rows(facility)] == [77]
    kept = facility.execute("select reason, reading->>'energy_j' from reading_superseded")
    assert kept.fetchall() == [("other_content", "78")]


def hard_messages() -> list[tuple[str, bytes, int]]:
    """Copies through two gateways, clashes, a copy of a beaten telegram, news; clocks disagree."""
    messages = []
    minutes = (0, 3, 20, 29, 31, 45, 59, 61, 90)
    for order, (minute, access) in enumerate(itertools.product(minutes, (1, 2))):
        frame = encode.telegram(
            identity.parse(METER), [encode.integer("0406", access, 4)], access=access
        )
        stamp = str(np.datetime64(T0_US + minute * MIN_US, "us")) + "Z"
        payload = orjson.dumps({"time": stamp, "telegram": frame.hex()})
        topic = f"gw/{('north', 'south')[order % 2]}/up/telegram"
        messages.append((topic, payload, T0_US + 2 * HOUR_US + order % 5))
    return messages + [
        (UP, reading(T0_US + minute * MIN_US, 5, meter=OTHER_METER), T0_US + 2 * HOUR_US)
        for minute in minutes
    ]


@pytest.mark.parametrize("seed", range(6))
def test_any_order_and_any_batching_ends_in_the_same_rows(facility, feed, seed):
    messages = hard_messages()
    feed(messages, positions=range(1, len(messages) + 1))
    expected_rows, expected_outcomes = rows(facility), outcomes(facility)
    facility.execute("truncate reading, telegram, ledger")
    order = list(range(len(messages)))
    random.Random(seed).shuffle(order)
    while order:
        cut = random.Random(seed + len(order)).randint(1, 5)
        batch, order = order[:cut], order[cut:]
        feed([messages[index] for index in batch], positions=[index + 1 for index in batch])
    assert rows(facility) == expected_rows
    assert outcomes(facility) == expected_outcomes


def test_a_meter_that_gets_an_owner_releases_what_waited(facility, feed, tmp_path):
    stranger = "FJV-00000009-01-04"
    feed(
        [(UP, reading(T0_US + n * HOUR_US, n, meter=stranger), T0_US + n * HOUR_US) for n in (0, 1)]
    )
    assert outcomes(facility) == {"waiting unclaimed": 2}
    claim(facility, stranger)
    with Journal(tmp_path / "j.sqlite", 1 << 20) as journal:
        drainer = Drainer(
            dsn="",
            journal=journal,
            dictionary=Dictionary(profiles=load_profiles(), maps=load_maps()),
            settings=Ingest(),
            now_us=lambda: T0_US,
            host="here",
        )
        drainer._refreshed(facility)
    assert outcomes(facility) == {"stored": 2}
    assert [row[2] for row in rows(facility)] == [0, 1]


def test_a_second_drainer_of_the_same_journal_is_stopped(facility):
    journal_id, position = store.open_journal(
        facility, "00000000-0000-0000-0000-000000000001", "here"
    )
    store.advance_journal(facility, journal_id, position, 10)
    with pytest.raises(store.PositionError, match="another process drains it"):
        store.advance_journal(facility, journal_id, position, 12)
