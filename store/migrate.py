"""Brings a database to the newest schema, from any version; hypertables where TimescaleDB is."""

import re
from importlib.resources import files
from typing import LiteralString, NamedTuple

import psycopg

from store import partitions

_LOCK = 0x666A_7276  # one migrator at a time, on any host
_NAME = re.compile(r"(\d{4})_(\w+)\.sql")


class Migration(NamedTuple):
    """One numbered file of store/migrations."""

    version: int
    name: str
    sql: LiteralString


def available() -> list[Migration]:
    """All migrations of this release, in order."""
    found = []
    for entry in files("store").joinpath("migrations").iterdir():
        match = _NAME.fullmatch(entry.name)
        if match:
            found.append(Migration(int(match[1]), match[2], entry.read_text("utf-8")))
    return sorted(found)


def pending(conn: psycopg.Connection) -> list[Migration]:
    """The migrations this database has not had."""
    if conn.execute("select to_regclass('schema_migration') is null").fetchone() == (True,):
        return available()
    done = {row[0] for row in conn.execute("select version from schema_migration")}
    return [migration for migration in available() if migration.version not in done]


def migrate(conn: psycopg.Connection) -> list[Migration]:
    """Apply what is pending, all in one transaction, and return it."""
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        conn.execute(
            "create table if not exists schema_migration("
            "version int primary key, name text not null, "
            "applied_at timestamptz not null default now())"
        )
        todo = pending(conn)
        hypertables = partitions.have_timescale(conn)
        for migration in todo:
            conn.execute(partitions.dialect(migration.sql, hypertables=hypertables))
            conn.execute(
                "insert into schema_migration(version, name) values (%s, %s)",
                (migration.version, migration.name),
            )
            if hypertables and migration.version == 1:
                partitions.make_hypertables(conn)
    return todo
