"""What the engine reads and writes. Times go in and out as UTC microseconds, MISSING for none."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, LiteralString, NamedTuple

import numpy as np
import psycopg
from numpy.typing import NDArray

from store.copy import MISSING, copy_in, copy_out
from store.queries import load

I64 = NDArray[np.int64]

LOCK_SPACE: Final = 0x666A  # first key of the shard locks, apart from all one-key locks

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DATE_OFFSET: Final = 10_957  # PostgreSQL's dates count from 2000-01-01, on the wire as int4

_HOUR: Final = {
    "facility_id": "int4",
    "commodity": "int2",
    "start_at": "timestamptz",
    "energy_j": "int8",
    "volume_ml": "int8",
    "e8_mlc": "int8",
    "e9_mlc": "int8",
    "quality": "int2",
    "energy_step_j": "int8",
    "volume_step_ml": "int8",
    "method_version": "int2",
}
_DAY: Final = {
    "facility_id": "int4",
    "commodity": "int2",
    "day": "int4",
    "energy_j": "int8",
    "volume_ml": "int8",
    "e8_mlc": "int8",
    "e9_mlc": "int8",
    "weighted_energy_j": "int8",
    "weighted_return_jc": "int8",
    "hours": "int2",
    "hours_measured": "int2",
    "quality": "int2",
    "method_version": "int2",
}


class Entry(NamedTuple):
    """One facility of one ledger entry, and the span of readings touched. [µs]"""

    entry_id: int
    facility_id: int
    from_us: int
    until_us: int


class Doubt(NamedTuple):
    """A finding about one reading."""

    facility_id: int
    meter_id: int
    kind: str
    at_us: int
    telegram_id: int
    detail: str


def moment(at_us: int) -> datetime:
    """A time for a query parameter. [µs]"""
    return _EPOCH + timedelta(microseconds=int(at_us))


def _moments(at_us: Sequence[int] | I64) -> list[datetime]:
    return [moment(one) for one in at_us]


def query(name: str) -> LiteralString:
    """A statement of store/sql/engine.sql."""
    return load("engine")[name]


def waiting_span(conn: psycopg.Connection) -> tuple[int, int, int] | None:
    """Earliest and latest reading the ledger names [µs], and its number of entries; None: empty."""
    row = conn.execute(query("waiting_span")).fetchone()
    if row is None or row[0] is None:
        return None
    return _us(row[0]), _us(row[1]), row[2]


def _us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def take_shards(conn: psycopg.Connection, limit: int) -> list[int]:
    """Lock up to `limit` shards with work until the transaction ends."""
    rows = conn.execute(query("take_shards"), {"space": LOCK_SPACE, "limit": limit})
    return [row[0] for row in rows]


def entries(conn: psycopg.Connection, shards: Sequence[int], limit: int) -> list[Entry]:
    """The work of these shards, at most `limit` entries of the ledger, oldest first."""
    rows = conn.execute(query("entries"), {"shards": list(shards), "limit": limit})
    return [Entry(*row) for row in rows]


def remove_entries(conn: psycopg.Connection, entry_ids: Sequence[int]) -> None:
    """Take exactly these entries off the ledger."""
    conn.execute(query("remove_entries"), {"entry_ids": list(entry_ids)})


def enqueue(
    conn: psycopg.Connection, facility_ids: Sequence[int], from_us: int, until_us: int
) -> None:
    """Ask for facilities to be computed again over a span of readings. [µs]

    Also the way to have alarms judged again after a limit changed: any span will do, even a moment.
    """
    conn.execute(
        query("enqueue"),
        {
            "facility_ids": list(facility_ids),
            "from_at": moment(from_us),
            "until_at": moment(until_us),
        },
    )


def installations(conn: psycopg.Connection, facility_ids: Sequence[int]) -> list[tuple[Any, ...]]:
    """Rows for engine.series.Installation; open times None."""
    return conn.execute(query("installations"), {"facility_ids": list(facility_ids)}).fetchall()


def reading_edges(conn: psycopg.Connection) -> tuple[int, int]:
    """Time of the oldest and the newest reading of all [µs]; MISSING twice without any."""
    row = conn.execute(query("reading_edges")).fetchone()
    return (MISSING, MISSING) if row is None or row[0] is None else (row[0], row[1])


def readings(
    conn: psycopg.Connection, meter_ids: Sequence[int], from_us: int, until_us: int
) -> list[I64]:
    """Readings of meters within [from, until], ordered by (meter, time), one array per column.

    They are meter_id, at_us, energy_j, cooling_energy_j, volume_ml, e8_mlc, e9_mlc, supply and
    return temperature [0.01 °C].
    """
    types = ["int4", "timestamptz", *["int8"] * 7]
    parameters = {
        "meter_ids": list(meter_ids),
        "from_at": moment(from_us),
        "until_at": moment(until_us),
        "missing": MISSING,
    }
    return copy_out(conn, query("readings"), types, parameters)


def reading_telegrams(
    conn: psycopg.Connection, meter_ids: Sequence[int], at_us: Sequence[int]
) -> dict[tuple[int, int], int]:
    """The telegram of each reading (meter_id, at_us)."""
    parameters = {"meter_ids": list(meter_ids), "at": _moments(at_us)}
    rows = conn.execute(query("reading_telegrams"), parameters)
    return {(row[0], row[1]): row[2] for row in rows}


def hours(
    conn: psycopg.Connection,
    facility_ids: Sequence[int] | I64,
    commodities: Sequence[int] | I64,
    from_us: Sequence[int] | I64,
    until_us: Sequence[int] | I64,
) -> list[I64]:
    """Stored hours within [from, until) of each (facility, commodity), one array per column.

    They are the place in the request from 0, start_us, energy, volume, E8, E9, quality, energy and
    volume step.
    """
    types = ["int8", "timestamptz", *["int8"] * 4, "int2", "int8", "int8"]
    parameters = {
        "facility_ids": [int(one) for one in facility_ids],
        "commodities": [int(one) for one in commodities],
        "from_at": _moments(from_us),
        "until_at": _moments(until_us),
        "missing": MISSING,
    }
    columns = copy_out(conn, query("hours"), types, parameters)
    columns[0] -= 1
    return columns


def replace_hours(
    conn: psycopg.Connection,
    gone: tuple[I64, I64, I64],
    rows: Mapping[str, I64],
) -> None:
    """Delete the hours `gone` (facility, commodity, start_us), then write columns as in _HOUR."""
    if gone[0].size:
        parameters = {
            "facility_ids": gone[0].tolist(),
            "commodities": gone[1].tolist(),
            "start_at": _moments(gone[2]),
            "from_at": moment(gone[2].min()),
            "until_at": moment(gone[2].max()),
        }
        conn.execute(query("delete_hours"), parameters)
    copy_in(conn, "hour", _HOUR, rows)


def days(
    conn: psycopg.Connection,
    facility_ids: Sequence[int],
    commodities: Sequence[int],
    from_day: Sequence[int],
    last_year: Sequence[tuple[int, int]],
) -> list[I64]:
    """Stored days of each (facility, commodity), one array per column.

    Those from a day number on, and those within [from, until) of a year before. Columns: the place
    in the request from 0, day, the nine numbers of engine/days.py.
    """
    parameters = {
        "facility_ids": list(facility_ids),
        "commodities": list(commodities),
        "from_day": list(from_day),
        "last_year_from": [one[0] for one in last_year],
        "last_year_until": [one[1] for one in last_year],
        "missing": MISSING,
    }
    types = ["int8"] * 8 + ["int2"] * 3
    columns = copy_out(conn, query("days"), types, parameters)
    columns[0] -= 1
    return columns


def replace_days(
    conn: psycopg.Connection, gone: tuple[I64, I64, I64], rows: Mapping[str, I64]
) -> None:
    """Delete the days `gone` (facility, commodity, day number), then write columns as in _DAY."""
    parameters = {
        "facility_ids": gone[0].tolist(),
        "commodities": gone[1].tolist(),
        "days": gone[2].tolist(),
    }
    conn.execute(query("delete_days"), parameters)
    copy_in(conn, "day", _DAY, {**rows, "day": rows["day"] - _DATE_OFFSET})


def put_outdoor(
    conn: psycopg.Connection,
    facility_ids: Sequence[int],
    from_us: int,
    until_us: int,
    offset_us: int,
) -> None:
    """Give metering days within [from, until) the mean outdoor temperature of their station."""
    parameters = {
        "facility_ids": list(facility_ids),
        "from_at": moment(from_us),
        "until_at": moment(until_us),
        "offset_s": offset_us // 1_000_000,
    }
    conn.execute(query("put_outdoor"), parameters)


def replace_findings(
    conn: psycopg.Connection, spans: Sequence[tuple[int, int, int]], found: Sequence[Doubt]
) -> list[Doubt]:
    """Store what is doubted within spans (meter_id, from, until) [µs]; the new ones come back."""
    parameters = {
        "meter_ids": [one[0] for one in spans],
        "from_at": _moments([one[1] for one in spans]),
        "until_at": _moments([one[2] for one in spans]),
        "kept_meter_ids": [one.meter_id for one in found],
        "kept_kinds": [one.kind for one in found],
        "kept_at": _moments([one.at_us for one in found]),
    }
    conn.execute(query("forget_findings"), parameters)
    new = []
    for one in found:
        row = {**one._asdict(), "at": moment(one.at_us)}
        if conn.execute(query("add_finding"), row).rowcount:
            new.append(one)
    return new


def announce(conn: psycopg.Connection, facility_ids: Sequence[int]) -> None:
    """Wake whoever listens on fjarrvakt_change, once per facility, at the commit."""
    conn.execute(query("announce"), {"facility_ids": list(facility_ids)})
