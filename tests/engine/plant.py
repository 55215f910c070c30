"""A small utility in the database for the engine's tests: facilities, meters, readings, limits."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import ModuleType

import numpy as np
import psycopg
from numpy.typing import NDArray

from engine import worker
from engine.types import HOUR_US, MISSING, EngineRules
from store import engine as store
from store import partitions
from store.copy import copy_in

I64 = NDArray[np.int64]

RULES = EngineRules()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_READING = {
    "at": "timestamptz",
    "meter_id": "int4",
    "energy_j": "int8",
    "cooling_energy_j": "int8",
    "volume_ml": "int8",
    "e8_mlc": "int8",
    "e9_mlc": "int8",
    "content_hash": "int8",
    "received_at": "timestamptz",
    "stored_at": "timestamptz",
    "telegram_id": "int8",
    "decoder_version": "int2",
}


@contextmanager
def unjitted(*modules: ModuleType) -> Iterator[None]:
    """The kernels of these modules as plain Python, those they call included."""
    compiled = [
        (module, name, kernel)
        for module in modules
        for name, kernel in vars(module).items()
        if hasattr(kernel, "py_func")
    ]
    for module, name, kernel in compiled:
        setattr(module, name, kernel.py_func)
    try:
        yield
    finally:
        for module, name, kernel in compiled:
            setattr(module, name, kernel)


def us(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def add_facility(conn: psycopg.Connection, *, shard: int = 1, station: int | None = None) -> int:
    conn.execute("insert into customer (number, name) values ('1', 'x') on conflict do nothing")
    row = conn.execute(
        "insert into facility (shard, customer_id, name, station_id)"
        " select %s, customer_id, 'f', %s from customer limit 1 returning facility_id",
        (shard, station),
    ).fetchone()
    assert row
    return row[0]


def add_meter(
    conn: psycopg.Connection,
    facility_id: int,
    *,
    commodity: int = 1,
    sign: int = 1,
    installed: str = "-infinity",
    removed: str = "infinity",
    energy_step_j: int = 0,
    volume_step_ml: int = 0,
    qs_l_h: int | None = None,
    energy_modulus_j: int | None = None,
) -> int:
    row = conn.execute(
        "insert into meter (identity, identity_text, energy_step_j, volume_step_ml, qs_l_h,"
        " energy_modulus_j) select coalesce(max(identity), 0) + 1, 'm', %s, %s, %s, %s from meter"
        " returning meter_id",
        (energy_step_j, volume_step_ml, qs_l_h, energy_modulus_j),
    ).fetchone()
    assert row
    conn.execute(
        "insert into installation (meter_id, facility_id, commodity, sign, energy_register,"
        " installed_at, removed_at) values (%s, %s, %s, %s, %s, %s, %s)",
        (
            row[0], facility_id, commodity, sign,
            "energy_j" if commodity == 1 else "cooling_energy_j", installed, removed,
        ),
    )  # fmt: skip
    return row[0]


def add_rule(
    conn: psycopg.Connection,
    facility_id: int,
    kind: str,
    winter: int,
    summer: int,
    *,
    commodity: int = 1,
    valid_from: str = "-infinity",
) -> int:
    row = conn.execute(
        "insert into alarm_rule (facility_id, commodity, kind) values (%s, %s, %s)"
        " on conflict (facility_id, commodity, kind) do update set kind = excluded.kind"
        " returning rule_id",
        (facility_id, commodity, kind),
    ).fetchone()
    assert row
    conn.execute(
        "insert into alarm_limit (rule_id, valid_from, winter_limit, summer_limit, set_by)"
        " values (%s, %s, %s, %s, 'test')",
        (row[0], valid_from, winter, summer),
    )
    return row[0]


def deliver(
    conn: psycopg.Connection,
    facility_id: int,
    meter_id: int,
    at_us: I64,
    registers: I64,
    *,
    commodity: int = 1,
) -> None:
    """Readings with registers (4, n) energy, volume, E8, E9, and their ledger entry."""
    partitions.ensure(conn, "reading", int(at_us.min()), int(at_us.max()))
    none = np.full(at_us.size, MISSING, np.int64)
    zero = np.zeros(at_us.size, np.int64)
    with conn.transaction():
        copy_in(
            conn,
            "reading",
            _READING,
            {
                "at": at_us,
                "meter_id": zero + meter_id,
                "energy_j": registers[0] if commodity == 1 else none,
                "cooling_energy_j": registers[0] if commodity == 2 else none,
                "volume_ml": registers[1],
                "e8_mlc": registers[2],
                "e9_mlc": registers[3],
                "content_hash": zero,
                "received_at": at_us,
                "stored_at": at_us,
                "telegram_id": zero + 1,
                "decoder_version": zero + 1,
            },
        )
        store.enqueue(conn, [facility_id], int(at_us.min()), int(at_us.max()))


def settle(
    conn: psycopg.Connection, rules: EngineRules = RULES, now: int | None = None
) -> list[worker.Work]:
    """Turns until the ledger is empty; `now` 0: readings never count as old."""
    turns = []
    while (work := worker.run_once(conn, rules, lambda: now or 0)).entries:
        turns.append(work)
    return turns


def hours_of(conn: psycopg.Connection, facility_id: int, commodity: int = 1) -> list[tuple]:
    return conn.execute(
        "select (extract(epoch from start_at) * 1000000)::bigint, energy_j, volume_ml, e8_mlc,"
        " e9_mlc, quality from hour where facility_id = %s and commodity = %s order by 1",
        (facility_id, commodity),
    ).fetchall()


def days_of(conn: psycopg.Connection, facility_id: int, commodity: int = 1) -> list[tuple]:
    return conn.execute(
        "select day, energy_j, volume_ml, e8_mlc, e9_mlc, weighted_energy_j, weighted_return_jc,"
        " hours, hours_measured, outdoor_temp_cc, quality from day"
        " where facility_id = %s and commodity = %s order by 1",
        (facility_id, commodity),
    ).fetchall()


def alarms_of(conn: psycopg.Connection, rule_id: int) -> list[tuple]:
    return conn.execute(
        "select (extract(epoch from since) * 1000000)::bigint,"
        " (extract(epoch from until) * 1000000)::bigint, season, limit_value, raised_value,"
        " extreme_value, window_h from alarm_occurrence"
        " where rule_id = %s and state <> 'withdrawn' order by since",
        (rule_id,),
    ).fetchall()


def steady(
    count: int, *, energy_j: int, volume_ml: int, supply_c: int, return_c: Sequence[int]
) -> I64:
    """Registers (4, count + 1) on whole hours: constant energy and flow, return by the hour."""
    returns = np.resize(np.array(return_c, np.int64), count)
    out = np.zeros((4, count + 1), np.int64)
    out[0, 1:] = energy_j
    out[1, 1:] = volume_ml
    out[2, 1:] = volume_ml * supply_c
    out[3, 1:] = volume_ml * returns
    return np.cumsum(out, axis=1)


def hourly_us(start: str, count: int) -> I64:
    """`count + 1` whole hours from `start`."""
    return us(start) + np.arange(count + 1) * HOUR_US
