"""Numbers about the whole installation: what came, what became of it, what still waits."""

from datetime import datetime
from typing import NamedTuple

import psycopg

from store.queries import load
from store.readings import Outcome


class Made(NamedTuple):
    """Rows the roles have made."""

    hours: int
    days: int
    notices: int
    mails: int


class Pending(NamedTuple):
    """Work that waits: ledger entries, events to expand, deliveries to send."""

    ledger: int
    events: int
    deliveries: int


def outcomes(conn: psycopg.Connection) -> dict[str, int]:
    """Telegrams by outcome, all four named."""
    found: dict[int, int] = dict(conn.execute(load("summary")["outcomes"]).fetchall())
    return {outcome.name.lower(): found.get(outcome.value, 0) for outcome in Outcome}


def made(conn: psycopg.Connection) -> Made:
    """How many hours, days, notices and sent mails there are."""
    row = conn.execute(load("summary")["rows"]).fetchone()
    return Made(*(row or (0, 0, 0, 0)))


def alarms(conn: psycopg.Connection) -> dict[tuple[str, str], tuple[int, int]]:
    """(raised, cleared) by (kind, season)."""
    rows = conn.execute(load("summary")["alarms"])
    return {(kind, season): (raised, cleared) for kind, season, raised, cleared in rows}


def pending(conn: psycopg.Connection) -> Pending:
    """What the roles still have before them."""
    row = conn.execute(load("summary")["pending"]).fetchone()
    return Pending(*(row or (0, 0, 0)))


def conservation_error_j(conn: psycopg.Connection) -> int:
    """How far the hours are from the registers' differences, summed over all meters. [J]"""
    row = conn.execute(load("summary")["conservation"]).fetchone()
    return int(row[0]) if row else 0


def energy_j(
    conn: psycopg.Connection, name: str, commodity: int, from_at: datetime, until_at: datetime
) -> int:
    """The energy of a facility, by name, over whole hours. [J]"""
    row = conn.execute(
        load("summary")["energy"],
        {"name": name, "commodity": commodity, "from_at": from_at, "until_at": until_at},
    ).fetchone()
    return int(row[0]) if row else 0


def judged_until(conn: psycopg.Connection) -> datetime | None:
    """The newest hour the engine has made; None when there is none."""
    row = conn.execute(load("summary")["judged_until"]).fetchone()
    return row[0] if row else None
