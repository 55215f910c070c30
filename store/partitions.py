"""Where rows lie in time: TimescaleDB's chunks, or native partitions made on demand."""

import re
from datetime import UTC, datetime
from typing import Final, LiteralString, NamedTuple

import psycopg
from psycopg import sql


class Layout(NamedTuple):
    """How one table is cut: its time column, months in a native partition, Timescale's settings."""

    column: str
    months: int
    chunk: str
    segment_by: str
    order_by: str
    compress_after: str


LAYOUT: Final = {
    # 7-day chunks hold to a million meters; late rows into compressed chunks are cheap.
    "reading": Layout("at", 1, "7 days", "meter_id", "at", "3 days"),
    "telegram": Layout("received_at", 1, "7 days", "source", "received_at", "3 days"),
    "hour": Layout("start_at", 12, "90 days", "facility_id, commodity", "start_at", "30 days"),
}

_HINT = re.compile(r"/\* (PARTITION BY RANGE \(\w+\)) \*/")
_known: dict[str, set[int]] = {}


def have_timescale(conn: psycopg.Connection) -> bool:
    """Whether TimescaleDB is, or could be, in this database; creates the extension if it can be."""
    row = conn.execute(
        "select 1 from pg_available_extensions where name = 'timescaledb'"
    ).fetchone()
    if row is not None:
        conn.execute("create extension if not exists timescaledb")
    return row is not None


def dialect(text: LiteralString, *, hypertables: bool) -> LiteralString:
    """A migration for this server: the partition hints count on plain PostgreSQL only."""
    return text if hypertables else _HINT.sub(r"\1", text)


def make_hypertables(conn: psycopg.Connection) -> None:
    """Turn the fresh, empty tables of LAYOUT into hypertables with a columnstore and its policy."""
    for table, layout in LAYOUT.items():
        conn.execute(
            "select create_hypertable(%s, by_range(%s, %s::interval),"
            " create_default_indexes => false)",
            (table, layout.column, layout.chunk),
        )
        conn.execute(
            sql.SQL(
                "alter table {} set (timescaledb.compress, timescaledb.compress_segmentby = {},"
                " timescaledb.compress_orderby = {})"
            ).format(sql.Identifier(table), layout.segment_by, layout.order_by)
        )
        conn.execute(
            "select add_compression_policy(%s, %s::interval)", (table, layout.compress_after)
        )


def _is_partitioned(conn: psycopg.Connection, table: str) -> bool:
    row = conn.execute("select relkind from pg_class where oid = %s::regclass", (table,)).fetchone()
    return row is not None and row[0] in ("p", b"p")


def ensure(conn: psycopg.Connection, table: str, from_us: int, until_us: int) -> None:
    """See to it that rows with times in [from_us, until_us] have a partition. [µs since 1970]

    Hypertables need none. Call it outside the transaction that writes, so that a rollback there
    does not take a partition away that this process believes in.
    """
    layout = LAYOUT[table]
    known = _known.setdefault(f"{conn.info.dsn}/{table}", set())
    first, last = (
        (moment.year * 12 + moment.month - 1) // layout.months
        for moment in (datetime.fromtimestamp(us / 1e6, UTC) for us in (from_us, until_us))
    )
    if known.issuperset(range(first, last + 1)):
        return
    if _is_partitioned(conn, table):
        for slot in range(first, last + 1):
            _create(conn, table, slot * layout.months, layout.months)
    known.update(range(first, last + 1))


def _create(conn: psycopg.Connection, table: str, month: int, months: int) -> None:
    start, end = (
        datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC) for count in (month, month + months)
    )
    name = f"{table}_{start:%Y_%m}" if months < 12 else f"{table}_{start:%Y}"
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(hashtext(%s))", (name,))
        conn.execute(
            sql.SQL(
                "create table if not exists {} partition of {} for values from ({}) to ({})"
            ).format(sql.Identifier(name), sql.Identifier(table), start, end)
        )
