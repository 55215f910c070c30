"""Migrations: once each, in order, on both kinds of server; rows lie where the layout says."""

from datetime import UTC, datetime

import pytest

from store import migrate, partitions
from store.connection import connect

JANUARY_US = int(datetime(2026, 1, 31, 23, tzinfo=UTC).timestamp()) * 1_000_000
HOUR_US = 3_600_000_000


def test_numbers_have_no_holes():
    assert [one.version for one in migrate.available()] == list(
        range(1, len(migrate.available()) + 1)
    )


def test_migrated_database_has_nothing_pending(conn):
    assert migrate.pending(conn) == []
    assert migrate.migrate(conn) == []


def test_a_failed_migration_changes_nothing(conn, monkeypatch):
    broken = [
        *migrate.available(),
        migrate.Migration(9001, "good", "create table good (x int)"),
        migrate.Migration(9002, "broken", "create table broken (x nonsense)"),
    ]
    monkeypatch.setattr(migrate, "available", lambda: broken)
    with pytest.raises(Exception, match="nonsense"):
        migrate.migrate(conn)
    assert conn.execute("select to_regclass('good') is null").fetchone() == (True,)
    assert [one.version for one in migrate.pending(conn)] == [9001, 9002]


@pytest.mark.concurrent
def test_two_migrators_wait_for_each_other(conn, dsn):
    with conn.transaction():
        migrate.migrate(conn)
        with connect(dsn) as other:
            other.execute("set lock_timeout = '200ms'")
            with pytest.raises(Exception, match="lock timeout"):
                migrate.migrate(other)


def test_cut_tables_are_cut(conn, flavour):
    cut = sum(len(partitions._HINT.findall(one.sql)) for one in migrate.available())
    assert cut == len(partitions.LAYOUT)
    if flavour == "timescale":
        rows = conn.execute(
            "select hypertable_name from timescaledb_information.hypertables"
            " where hypertable_schema = current_schema()"
        )
    else:
        rows = conn.execute(
            "select relname from pg_class where relkind = 'p'"
            " and relnamespace = 'public'::regnamespace"
        )
    assert {row[0] for row in rows} == set(partitions.LAYOUT)


def test_partitions_are_made_where_rows_go(conn, flavour):
    partitions.ensure(conn, "hour", JANUARY_US, JANUARY_US + 2 * HOUR_US)
    for step in range(3):
        conn.execute(
            "insert into hour(facility_id, commodity, start_at, quality, method_version)"
            " values (1, 1, %s, 1, 1)",
            (datetime.fromtimestamp((JANUARY_US + step * HOUR_US) / 1e6, UTC),),
        )
    assert conn.execute("select count(*) from hour").fetchone() == (3,)
    if flavour == "plain":
        names = {row[0] for row in conn.execute("select tableoid::regclass::text from hour")}
        assert names == {"hour_2026"}


@pytest.mark.parametrize("flavour", ["timescale"], indirect=True)
def test_rows_in_a_compressed_chunk_can_be_read_and_joined_by_late_ones(conn):
    def insert(hour: int) -> None:
        conn.execute(
            "insert into hour(facility_id, commodity, start_at, energy_j, quality, method_version)"
            " values (1, 1, %s, %s, 1, 1) on conflict do nothing",
            (datetime(2026, 1, 1, hour, tzinfo=UTC), hour),
        )

    for hour in range(10):
        insert(hour)
    conn.execute("select compress_chunk(c) from show_chunks('hour') c")
    insert(5)
    insert(11)
    rows = conn.execute("select count(*), sum(energy_j)::int from hour").fetchone()
    assert rows == (11, 56)


def test_a_connection_is_in_utc(conn):
    assert conn.execute("show timezone").fetchone() == ("UTC",)
