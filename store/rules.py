"""Alarm rules and their limits in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import psycopg

from store.queries import load


class Limits(NamedTuple):
    """A winter and a summer limit [0.01 °C or W] that hold from a time on."""

    valid_from: datetime
    winter: int
    summer: int


def put_rule(
    conn: psycopg.Connection,
    *,
    facility_id: int,
    commodity: int,
    kind: str,
    limits: Limits,
    set_by: str,
    channels: Sequence[str] = ("portal",),
    recipients: Sequence[int] = (),
) -> int:
    """Make or change a facility's rule of this kind, with limits from a time on; the rule's id.

    Raises psycopg.errors.CheckViolation when the kind is none of engine.types.AlarmKind.
    """
    queries = load("rules")
    with conn.transaction():
        row = conn.execute(
            queries["put_rule"],
            {
                "facility_id": facility_id,
                "commodity": commodity,
                "kind": kind,
                "channels": list(channels),
                "recipients": list(recipients),
            },
        ).fetchone()
        if row is None:
            raise LookupError("insert into alarm_rule returned no row")
        rule_id = int(row[0])
        conn.execute(
            queries["put_limit"],
            {
                "rule_id": rule_id,
                "valid_from": limits.valid_from,
                "winter_limit": limits.winter,
                "summer_limit": limits.summer,
                "set_by": set_by,
            },
        )
    return rule_id
