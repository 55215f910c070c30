"""Ingest's way into the database: archive, readings, ledger, journal position."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import psycopg
from numpy.typing import NDArray

from store.blob import Blob, copy_rows_in
from store.copy import copy_in, copy_out
from store.queries import load
from store.readings import READING_TYPES, TELEGRAM_TYPES, us, utc_list

I64 = NDArray[np.int64]
_SQL = load("ingest")


class PositionError(Exception):
    """Another drainer has moved this journal's position: this batch must not be applied."""


class RowKeys(NamedTuple):
    """Rows of `reading` as rivals of new ones, in parallel columns."""

    at_us: I64
    meter_id: I64
    access: I64
    content_hash: I64
    received_us: I64
    telegram_id: I64


class Archived(NamedTuple):
    """An archived telegram's raw parts."""

    telegram_id: int
    received_us: int
    source: str
    address: str
    payload: bytes


class OutcomeChange(NamedTuple):
    """A telegram of the archive whose outcome is another than before."""

    received_us: int
    telegram_id: int
    outcome: int
    reason: str | None
    detail: str | None
    identity: int | None = None
    at_us: int | None = None


def open_journal(conn: psycopg.Connection, uuid: str, host: str) -> tuple[int, int]:
    """(journal id, last position the database has) of a journal, made known if it is new."""
    row = conn.execute(_SQL["open_journal"], {"uuid": uuid, "host": host}).fetchone()
    if row is None:
        raise LookupError("insert into journal returned no row")
    return int(row[0]), int(row[1])


def advance_journal(
    conn: psycopg.Connection, journal_id: int, expected: int, position: int
) -> None:
    """Move a journal's position, in the transaction of its rows.

    Raises PositionError when it does not stand at `expected`.
    """
    done = conn.execute(
        _SQL["advance_journal"],
        {"journal_id": journal_id, "expected": expected, "position": position},
    )
    if done.rowcount != 1:
        raise PositionError(
            f"journal {journal_id} no longer stands at position {expected}: another process "
            "drains it; stop one of them"
        )


def read_rivals(conn: psycopg.Connection, meter_ids: I64, from_us: I64, until_us: I64) -> RowKeys:
    """Rows of these meters within the time spans."""
    columns = copy_out(
        conn,
        _SQL["rivals"],
        ("timestamptz", "int4", "int8", "int8", "timestamptz", "int8"),
        {
            "from_at": utc_list(from_us),
            "until_at": utc_list(until_us),
            "meter_ids": meter_ids.tolist(),
        },
    )
    return RowKeys(*columns)


def read_archived_rivals(
    conn: psycopg.Connection, identity: int, from_us: int, until_us: int
) -> list[Archived]:
    """Copies and losers of this meter, measured within [from, until]."""
    from_at, until_at = utc_list((from_us, until_us))
    rows = conn.execute(
        _SQL["archived_rivals"],
        {"identity": identity, "from_at": from_at, "until_at": until_at},
    )
    return [_archived(row) for row in rows]


def read_waiting(conn: psycopg.Connection, identities: Sequence[int], limit: int) -> list[Archived]:
    """Telegrams that wait for an owner of these meters, oldest first."""
    rows = conn.execute(_SQL["waiting"], {"identities": list(identities), "limit": limit})
    return [_archived(row) for row in rows]


def waiting_identities(conn: psycopg.Connection) -> list[int]:
    """Meters that are heard and owned by nobody."""
    return [row[0] for row in conn.execute(_SQL["waiting_identities"])]


def _archived(row: tuple[int, datetime, str, str, bytes]) -> Archived:
    telegram_id, received_at, source, address, payload = row
    return Archived(telegram_id, us(received_at), source, address, payload)


def write_telegrams(conn: psycopg.Connection, columns: Mapping[str, I64 | Blob]) -> None:
    """Archive telegrams: columns as in TELEGRAM_TYPES."""
    copy_rows_in(conn, "telegram", TELEGRAM_TYPES, columns)


def write_readings(conn: psycopg.Connection, columns: Mapping[str, I64]) -> None:
    """Store readings: columns as in READING_TYPES.

    Raises psycopg.errors.UniqueViolation when somebody else took a (time, meter) meanwhile.
    """
    copy_in(conn, "reading", READING_TYPES, columns)


def supersede(conn: psycopg.Connection, rows: Sequence[tuple[str, int, int]]) -> None:
    """Take rows (reason, time [µs], meter) out of `reading` and keep them as they were."""
    reasons, at_us, meter_ids = zip(*rows, strict=True)
    conn.execute(
        _SQL["supersede"],
        {"at": utc_list(at_us), "meter_ids": list(meter_ids), "reasons": list(reasons)},
    )


def change_outcomes(conn: psycopg.Connection, changes: Sequence[OutcomeChange]) -> None:
    """Give archived telegrams their new outcome."""
    if not changes:
        return
    columns = list(zip(*changes, strict=True))
    conn.execute(
        _SQL["change_outcome"],
        {
            "received_at": utc_list(columns[0]),
            "telegram_ids": list(columns[1]),
            "outcomes": list(columns[2]),
            "reasons": list(columns[3]),
            "details": list(columns[4]),
            "identities": list(columns[5]),
            "ats": [None if at is None else utc_list([at])[0] for at in columns[6]],
        },
    )


def put_outdoor(conn: psycopg.Connection, rows: Sequence[tuple[int, int, int, int]]) -> None:
    """Outdoor temperatures as (station, hour start [µs], 0.01 °C, telegram)."""
    stations, starts, temps, telegrams = zip(*rows, strict=True)
    conn.execute(
        _SQL["put_outdoor"],
        {
            "station_ids": list(stations),
            "start_at": utc_list(starts),
            "temp_cc": list(temps),
            "telegram_ids": list(telegrams),
        },
    )


def learn_steps(conn: psycopg.Connection, steps: Mapping[int, tuple[int, int]]) -> None:
    """Remember what one count of each meter's energy [J] and volume [ml] register means."""
    conn.execute(
        _SQL["learn_steps"],
        {
            "meter_ids": list(steps),
            "energy": [energy for energy, _ in steps.values()],
            "volume": [volume for _, volume in steps.values()],
        },
    )


def hear_gateways(conn: psycopg.Connection, heard_us: Mapping[str, int]) -> None:
    """Note when gateways were last heard."""
    conn.execute(
        _SQL["heard_gateways"],
        {"gateway_ids": list(heard_us), "heard_at": utc_list(heard_us.values())},
    )


def add_ledger(
    conn: psycopg.Connection, shard: I64, facility_id: I64, from_us: I64, until_us: I64
) -> None:
    """One work entry per shard for the touched spans, given in parallel columns."""
    entries = []
    for one in np.unique(shard):
        mine = shard == one
        entries.append(
            {
                "shard": int(one),
                "facility_ids": facility_id[mine].tolist(),
                "from_at": utc_list(from_us[mine]),
                "until_at": utc_list(until_us[mine]),
            }
        )
    with conn.cursor() as cursor:
        cursor.executemany(_SQL["add_ledger"], entries)
