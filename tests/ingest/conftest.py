"""A database with two claimed meters at one facility, and a way to feed it envelopes."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import psycopg
import pytest

from adapters import identity
from config.modbus_maps import load_maps
from config.profiles import load_profiles
from ingest.decode import Arrivals, Dictionary
from ingest.pipeline import store_batch
from ingest.registry import read_registry
from ingest.settle import Rules

METER = "FJV-00000001-01-04"
OTHER_METER = "FJV-00000002-01-04"
HOUR_US = 3_600_000_000
T0_US = int(datetime(2026, 1, 10, 12, tzinfo=UTC).timestamp()) * 1_000_000
RULES = Rules(copy_window_us=30 * 60_000_000, future_tolerance_us=600_000_000)


def claim(conn: psycopg.Connection, meter: str, *, gateway: str | None = None) -> None:
    """Register a meter at facility 1."""
    conn.execute(
        "with m as (insert into meter(identity, identity_text) values (%s, %s) returning meter_id)"
        " insert into installation(meter_id, facility_id, commodity) select meter_id, 1, 1 from m",
        (identity.parse(meter), meter),
    )
    if gateway:
        conn.execute("insert into gateway(gateway_id) values (%s)", (gateway,))
        conn.execute("insert into gateway_meter select %s, max(meter_id) from meter", (gateway,))


@pytest.fixture
def facility(conn: psycopg.Connection) -> psycopg.Connection:
    conn.execute("insert into customer(number, name) values ('1', 'Tallbacken')")
    conn.execute("insert into station(code, name) values ('98230', 'Observatorielunden')")
    conn.execute(
        "insert into facility(shard, customer_id, station_id, name) values (5, 1, 1, 'Kvarngatan')"
    )
    claim(conn, METER)
    claim(conn, OTHER_METER)
    return conn


def reading(at_us: int, energy_j: int, *, meter: str = METER, **more: Any) -> bytes:
    """Our JSON for one reading."""
    moment = str(np.datetime64(at_us, "us")) + "Z"
    return orjson.dumps({"meter": meter, "time": moment, "energy_j": energy_j, **more})


Feed = Callable[..., dict[str, int]]


@pytest.fixture
def feed(facility: psycopg.Connection) -> Feed:
    """Store a batch of (topic, payload, received [µs]); gives the telegrams by outcome."""
    dictionary = Dictionary(profiles=load_profiles(), maps=load_maps())
    position = 0

    def store(
        messages: Sequence[tuple[str, bytes, int]], positions: Sequence[int] | None = None
    ) -> dict[str, int]:
        nonlocal position
        count = len(messages)
        numbers = positions or range(position + 1, position + count + 1)
        position += count
        arrivals = Arrivals(
            telegram_id=np.array([1 << 48 | number for number in numbers], np.int64),
            received_us=np.array([received for _, _, received in messages], np.int64),
            source=["mqtt:main"] * count,
            address=[topic for topic, _, _ in messages],
            payload=[payload for _, payload, _ in messages],
            archived=np.zeros(count, np.bool_),
        )
        registry = read_registry(facility)
        store_batch(facility, arrivals, dictionary, registry, RULES, T0_US, None)
        return outcomes(facility)

    return store


def outcomes(conn: psycopg.Connection) -> dict[str, int]:
    """How many telegrams ended in each (outcome and reason)."""
    names = {1: "stored", 2: "duplicate", 3: "quarantined", 4: "waiting"}
    rows = conn.execute("select outcome, reason, count(*) from telegram group by 1, 2")
    return {f"{names[o]} {reason}" if reason else names[o]: n for o, reason, n in rows}
