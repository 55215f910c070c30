"""What the portal knows of people: accounts, sessions, access, facilities, notices, held telegrams.

Asynchronous; every query of customer data takes a scope. The measurements are in portal_series.py,
the alarms in portal_alarms.py; all SQL is in sql/portal.sql.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import psycopg
from psycopg.rows import class_row, tuple_row

from store.queries import load

Q: Final = load("portal")
Conn = psycopg.AsyncConnection[Any]
Row = TypeVar("Row")


@dataclass(frozen=True, kw_only=True)
class Account:
    """Somebody who can log in."""

    user_id: int
    email: str
    name: str
    language: str
    password_hash: str


@dataclass(frozen=True, kw_only=True)
class Visit:
    """The person behind a session that is still good; `stale`: seen more than a minute ago."""

    user_id: int
    name: str
    email: str
    language: str
    csrf_token: str
    stale: bool


@dataclass(frozen=True, kw_only=True)
class Facility:
    """A facility in a list; commodities 1 heat, 2 cooling."""

    facility_id: int
    name: str
    address: str
    metering_point: str | None
    building_type: str | None
    built_year: int | None
    heated_area_m2: int | None
    customer: str
    customer_number: str
    commodities: list[int]
    unacknowledged: int
    active: int


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What a person was told on the portal."""

    notice_id: int
    facility_id: int
    facility_name: str
    created_at: datetime
    read_at: datetime | None
    title: str
    body: str


@dataclass(frozen=True, kw_only=True)
class DoubtedReading:
    """A finding of the engine."""

    finding_id: int
    facility_id: int
    facility_name: str
    meter: str
    kind: str
    at: datetime
    detail: str
    found_at: datetime


@dataclass(frozen=True, kw_only=True)
class HeldTelegram:
    """A telegram in quarantine or waiting; the first 512 bytes of what came."""

    received_at: datetime
    telegram_id: int
    source: str
    address: str
    identity: int | None
    at: datetime | None
    outcome: int
    reason: str | None
    detail: str | None
    payload_hex: str
    payload_bytes: int


@dataclass(frozen=True, kw_only=True)
class UnclaimedMeter:
    """A meter that is heard but belongs to nobody yet."""

    identity: int
    telegrams: int
    first_at: datetime
    last_at: datetime
    reason: str | None
    sources: list[str]


async def fetch_rows(
    conn: Conn, query: str, kind: type[Row], parameters: dict[str, Any]
) -> list[Row]:
    """All rows of a query of sql/portal.sql as `kind`."""
    async with conn.cursor(row_factory=class_row(kind), binary=True) as cursor:
        await cursor.execute(Q[query], parameters)
        return await cursor.fetchall()


async def fetch_row(
    conn: Conn, query: str, kind: type[Row], parameters: dict[str, Any]
) -> Row | None:
    """The first row, or None."""
    rows = await fetch_rows(conn, query, kind, parameters)
    return rows[0] if rows else None


async def fetch_tuples(conn: Conn, query: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    """All rows as tuples, for columns by the thousand."""
    async with conn.cursor(row_factory=tuple_row, binary=True) as cursor:
        await cursor.execute(Q[query], parameters)
        return await cursor.fetchall()


async def execute(conn: Conn, query: str, parameters: dict[str, Any]) -> int:
    """Execute; the number of rows it touched."""
    return (await conn.execute(Q[query], parameters)).rowcount


async def user_by_email(conn: Conn, email: str) -> Account | None:
    """The account of an address, whatever its case."""
    return await fetch_row(conn, "user_by_email", Account, {"email": email})


async def rehash(conn: Conn, user_id: int, password_hash: str) -> None:
    """Store a password hash made with today's parameters."""
    await execute(conn, "rehash", {"user_id": user_id, "password_hash": password_hash})


async def set_language(conn: Conn, user_id: int, language: str) -> None:
    """Remember the language a person reads in."""
    await execute(conn, "set_language", {"user_id": user_id, "language": language})


async def open_session(conn: Conn, session_hash: bytes, user_id: int, csrf_token: str) -> None:
    """Store a new session by the SHA-256 of its id."""
    parameters = {"session_hash": session_hash, "user_id": user_id, "csrf_token": csrf_token}
    await execute(conn, "open_session", parameters)


async def find_session(
    conn: Conn, session_hash: bytes, *, idle_min: int, absolute_h: int
) -> Visit | None:
    """The person behind a session, unless it is too old or was left alone too long."""
    parameters = {"session_hash": session_hash, "idle_min": idle_min, "absolute_h": absolute_h}
    return await fetch_row(conn, "find_session", Visit, parameters)


async def touch_session(conn: Conn, session_hash: bytes) -> None:
    """Note that the session is in use."""
    await execute(conn, "touch_session", {"session_hash": session_hash})


async def close_session(conn: Conn, session_hash: bytes) -> None:
    """End a session."""
    await execute(conn, "close_session", {"session_hash": session_hash})


async def sweep_sessions(conn: Conn, *, idle_min: int, absolute_h: int) -> None:
    """Remove sessions nobody can use any more."""
    await execute(conn, "sweep_sessions", {"idle_min": idle_min, "absolute_h": absolute_h})


async def grants(conn: Conn, user_id: int) -> tuple[dict[int, str], bool]:
    """(level by facility id, whether the person administers any customer)."""
    levels = dict(await fetch_tuples(conn, "grants", {"user_id": user_id}))
    admin = await fetch_tuples(conn, "is_admin", {"user_id": user_id})
    return levels, bool(admin[0][0])


async def facilities(
    conn: Conn, facility_ids: Sequence[int], *, search: str = "", limit: int = 100, offset: int = 0
) -> list[Facility]:
    """Facilities of the scope, those with open alarms first; `search` in names and numbers."""
    parameters = {
        "facility_ids": list(facility_ids),
        "search": search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_"),
        "limit": limit,
        "offset": offset,
    }
    return await fetch_rows(conn, "facilities", Facility, parameters)


async def notices(
    conn: Conn,
    user_id: int,
    facility_ids: Sequence[int],
    *,
    after_id: int = 0,
    before_id: int | None = None,
    facility_id: int | None = None,
    unread: bool = False,
    limit: int = 50,
) -> list[Notice]:
    """A person's notices, newest first, of facilities still in the scope."""
    parameters = {
        "user_id": user_id,
        "facility_ids": list(facility_ids),
        "after_id": after_id,
        "before_id": before_id,
        "facility_id": facility_id,
        "unread": unread,
        "limit": limit,
    }
    return await fetch_rows(conn, "notices", Notice, parameters)


async def unread(conn: Conn, user_id: int, facility_ids: Sequence[int]) -> int:
    """How many notices the person has not read."""
    parameters = {"user_id": user_id, "facility_ids": list(facility_ids)}
    return int((await fetch_tuples(conn, "unread", parameters))[0][0])


async def read_notice(
    conn: Conn, user_id: int, facility_ids: Sequence[int], notice_id: int, now_at: datetime
) -> bool:
    """Mark one as read; False when the person has no such notice."""
    parameters = {
        "user_id": user_id,
        "facility_ids": list(facility_ids),
        "notice_id": notice_id,
        "now_at": now_at,
    }
    return await execute(conn, "read_notice", parameters) == 1


async def read_all_notices(
    conn: Conn, user_id: int, facility_ids: Sequence[int], up_to: int, now_at: datetime
) -> int:
    """Mark all up to an id as read; how many were unread."""
    parameters = {
        "user_id": user_id,
        "facility_ids": list(facility_ids),
        "up_to": up_to,
        "now_at": now_at,
    }
    return await execute(conn, "read_all_notices", parameters)


async def findings(
    conn: Conn, facility_ids: Sequence[int], from_at: datetime, to_at: datetime, limit: int
) -> list[DoubtedReading]:
    """What the engine doubts about readings in [from, to)."""
    parameters = {
        "facility_ids": list(facility_ids),
        "from_at": from_at,
        "to_at": to_at,
        "limit": limit,
    }
    return await fetch_rows(conn, "findings", DoubtedReading, parameters)


async def held_telegrams(
    conn: Conn,
    outcomes: Sequence[int],
    from_at: datetime,
    to_at: datetime,
    *,
    reason: str | None = None,
    limit: int = 100,
) -> list[HeldTelegram]:
    """Telegrams with one of these outcomes received in [from, to), newest first."""
    parameters = {
        "outcomes": list(outcomes),
        "from_at": from_at,
        "to_at": to_at,
        "reason": reason,
        "limit": limit,
    }
    return await fetch_rows(conn, "not_stored", HeldTelegram, parameters)


async def unclaimed(conn: Conn, limit: int = 200) -> list[UnclaimedMeter]:
    """Meters that are heard but have no installation, most recently heard first."""
    return await fetch_rows(conn, "unclaimed", UnclaimedMeter, {"limit": limit})


async def alive(conn: Conn) -> None:
    """Raise when the database has not our schema."""
    await fetch_tuples(conn, "alive", {})
