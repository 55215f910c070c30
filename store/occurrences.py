"""What alarms are judged by and what became of them. Times in UTC microseconds."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psycopg

from store.copy import MISSING
from store.engine import announce, moment, query


class Change(NamedTuple):
    """One transition of one occurrence."""

    occurrence_id: int
    event: str
    from_state: str
    to_state: str
    source_us: int
    actor: str
    reason: str
    value: int | None
    told: bool
    portal_only: bool


class WrongStateError(Exception):
    """An occurrence is not, or no longer, where this act begins."""

    def __init__(self, occurrence_id: int, state: str | None, event: str) -> None:
        super().__init__(occurrence_id, state, event)
        self.occurrence_id, self.state, self.event = occurrence_id, state, event

    def __str__(self) -> str:
        if self.state is None:
            return f"there is no alarm {self.occurrence_id}"
        return f"alarm {self.occurrence_id} is {self.state}: it cannot {self.event}"


def rules(conn: psycopg.Connection, facility_ids: Sequence[int]) -> list[tuple[Any, ...]]:
    """Alarm rules of facilities, with their limits in lists, oldest first.

    A row is rule_id, facility_id, commodity, kind, then the lists valid_from_us (None: always),
    enabled, winter and summer limit.
    """
    return conn.execute(query("rules"), {"facility_ids": list(facility_ids)}).fetchall()


def checkpoints(
    conn: psycopg.Connection, rule_ids: Sequence[int]
) -> dict[int, list[tuple[int, list[int]]]]:
    """Stored states by rule, newest first: (at_us, state)."""
    out: dict[int, list[tuple[int, list[int]]]] = {}
    for rule_id, at_us, state in conn.execute(
        query("checkpoints"), {"rule_ids": list(rule_ids)}, binary=True
    ):
        out.setdefault(rule_id, []).append((at_us, state))
    return out


def replace_checkpoints(
    conn: psycopg.Connection,
    after: Sequence[tuple[int, int]],
    kept: Sequence[tuple[int, int, list[int]]],
) -> None:
    """Forget checkpoints later than each (rule_id, time), then store (rule_id, at, state)."""
    parameters = {
        "rule_ids": [one[0] for one in after],
        "after": [
            "-infinity" if one[1] == MISSING else moment(one[1]).isoformat() for one in after
        ],
    }
    conn.execute(query("forget_checkpoints"), parameters)
    with conn.cursor() as cursor:
        cursor.executemany(
            query("add_checkpoint"),
            [{"rule_id": rule, "at": moment(at), "state": state} for rule, at, state in kept],
        )


def occurrences(
    conn: psycopg.Connection, after: Sequence[tuple[int, int]]
) -> list[tuple[Any, ...]]:
    """Raisings not withdrawn that held, or began, after each (rule_id, time); they are locked.

    A row is rule_id, occurrence_id, state, since_us, until_us, season, limit, raised and extreme
    value, window_h.
    """
    parameters = {
        "rule_ids": [one[0] for one in after],
        "after": [
            "-infinity" if one[1] == MISSING else moment(one[1]).isoformat() for one in after
        ],
    }
    return conn.execute(query("occurrences"), parameters).fetchall()


def new_ids(conn: psycopg.Connection, count: int) -> list[int]:
    """Ids for so many new raisings."""
    return [row[0] for row in conn.execute(query("occurrence_ids"), {"count": count})]


def add_occurrences(
    conn: psycopg.Connection, rows: Sequence[Mapping[str, Any]], now_us: int
) -> None:
    """New raisings, by the columns of alarm_occurrence; times as since_us and until_us."""
    now = moment(now_us)
    with conn.cursor() as cursor:
        cursor.executemany(query("add_occurrence"), [_timed(row) | {"now": now} for row in rows])


def update_occurrences(conn: psycopg.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Other ends or values of raisings that stay."""
    with conn.cursor() as cursor:
        cursor.executemany(query("update_occurrence"), [_timed(row) for row in rows])


def _timed(row: Mapping[str, Any]) -> dict[str, Any]:
    until_us = row["until_us"]
    return {
        **row,
        "since": moment(row["since_us"]),
        "until": None if until_us is None else moment(until_us),
    }


def move_occurrences(conn: psycopg.Connection, changes: Sequence[Change], now_us: int) -> None:
    """Store transitions with the new states and, where they are to be told, their outbox events."""
    now = moment(now_us)
    with conn.cursor() as cursor:
        cursor.executemany(
            query("move_occurrence"),
            [{**one._asdict(), "source_at": moment(one.source_us), "now": now} for one in changes],
        )


def act(
    conn: psycopg.Connection,
    occurrence_id: int,
    event: str,
    moves: Mapping[str, str],
    *,
    actor: str,
    now_us: int,
    reason: str = "",
) -> str:
    """A person's act on an occurrence, like acknowledging; the state it leads to.

    moves: `engine.lifecycle.moves(event)`. Raises WrongStateError when the occurrence is unknown or
    its state has no such move, as after somebody else's act.
    """
    with conn.transaction():
        row = conn.execute(query("lock_occurrence"), {"occurrence_id": occurrence_id}).fetchone()
        if row is None or row[0] not in moves:
            raise WrongStateError(occurrence_id, None if row is None else row[0], event)
        change = Change(
            occurrence_id, event, row[0], moves[row[0]], now_us, actor, reason, None, False, False
        )
        move_occurrences(conn, [change], now_us)
        announce(conn, [row[1]])
    return moves[row[0]]
