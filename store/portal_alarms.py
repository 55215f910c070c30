"""Alarm occurrences, their history, rules and limits as the portal reads and sets them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from store.portal import Conn, execute, fetch_row, fetch_rows, fetch_tuples


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """One raising of one alarm. Values in 0.01 °C or W by kind."""

    occurrence_id: int
    rule_id: int
    facility_id: int
    facility_name: str
    commodity: int
    kind: str
    since: datetime
    until: datetime | None
    season: str
    limit_value: int
    raised_value: int
    extreme_value: int
    window_h: int
    state: str
    state_at: datetime
    acknowledged_by: str | None


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One step of an occurrence's life."""

    transition_id: int
    event: str
    from_state: str
    to_state: str
    source_at: datetime
    decided_at: datetime
    actor: str
    reason: str
    value: int | None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule with the limit in force; no limit yet: None."""

    rule_id: int
    commodity: int
    kind: str
    channels: list[str]
    valid_from: datetime | None
    enabled: bool | None
    winter_limit: int | None
    summer_limit: int | None
    set_by: str | None
    set_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class LimitSpan:
    """A limit of one kind from a time on, until the next of the same kind."""

    kind: str
    valid_from: datetime
    enabled: bool
    winter_limit: int
    summer_limit: int


async def alarms(
    conn: Conn,
    facility_ids: Sequence[int],
    *,
    from_at: datetime,
    to_at: datetime,
    kind: str | None = None,
    states: Sequence[str] | None = None,
    season: str | None = None,
    limit: int = 200,
) -> list[Occurrence]:
    """Occurrences raised in [from, to), newest first."""
    parameters = {
        "facility_ids": list(facility_ids),
        "from_at": from_at,
        "to_at": to_at,
        "kind": kind,
        "states": list(states) if states is not None else None,
        "season": season,
        "limit": limit,
    }
    return await fetch_rows(conn, "alarms", Occurrence, parameters)


async def open_alarms(conn: Conn, facility_ids: Sequence[int]) -> list[Occurrence]:
    """Occurrences that are not over, active ones first."""
    return await fetch_rows(conn, "open_alarms", Occurrence, {"facility_ids": list(facility_ids)})


async def alarm(conn: Conn, facility_ids: Sequence[int], occurrence_id: int) -> Occurrence | None:
    """One occurrence if it lies in the scope."""
    parameters = {"facility_ids": list(facility_ids), "occurrence_id": occurrence_id}
    return await fetch_row(conn, "alarm", Occurrence, parameters)


async def transitions(conn: Conn, occurrence_id: int) -> list[Transition]:
    """The history of an occurrence; ask `alarm` first whether it lies in the scope."""
    return await fetch_rows(conn, "transitions", Transition, {"occurrence_id": occurrence_id})


async def rules(conn: Conn, facility_id: int, now_at: datetime) -> list[Rule]:
    """The facility's rules with the limit in force."""
    return await fetch_rows(conn, "rules", Rule, {"facility_id": facility_id, "now_at": now_at})


async def limits_between(
    conn: Conn, facility_id: int, commodity: int, to_at: datetime
) -> list[LimitSpan]:
    """Every limit set before `to_at`, by kind and time."""
    parameters = {"facility_id": facility_id, "commodity": commodity, "to_at": to_at}
    return await fetch_rows(conn, "limits_between", LimitSpan, parameters)


async def save_rule(
    conn: Conn,
    *,
    facility_id: int,
    commodity: int,
    kind: str,
    channels: Sequence[str],
    limit: LimitSpan,
    set_by: str,
) -> None:
    """Set channels, and a limit from `limit.valid_from` on, in one transaction."""
    async with conn.transaction():
        parameters = {
            "facility_id": facility_id,
            "commodity": commodity,
            "kind": kind,
            "channels": list(channels),
        }
        rows = await fetch_tuples(conn, "save_rule", parameters)
        span = {
            "rule_id": rows[0][0],
            "valid_from": limit.valid_from,
            "enabled": limit.enabled,
            "winter_limit": limit.winter_limit,
            "summer_limit": limit.summer_limit,
            "set_by": set_by,
        }
        await execute(conn, "save_limit", span)
