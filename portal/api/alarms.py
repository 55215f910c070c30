"""Alarms, their rules and limits; acknowledging and setting."""

import asyncio
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query

from engine.lifecycle import Event, State, moves
from engine.types import AlarmKind
from portal import limits
from portal.api import bodies, convert
from portal.api.answer import Json
from portal.context import Here, Person, Portal, Visitor
from portal.problems import Problem, invalid, not_found
from portal.times import From, To, interval
from store import occurrences, portal_alarms, portal_series
from store.connection import connect
from store.portal_alarms import LimitSpan, Occurrence

router = APIRouter(tags=["alarms"])

EVER: Final = timedelta(days=36_600)
TWO_YEARS: Final = timedelta(days=732)
TEMPERATURE_MAX_C: Final = 120.0
POWER_MAX_KW: Final = 100_000.0


@router.get("/alarms", responses=bodies.described(bodies.AlarmsBody, 404, 422))
async def list_alarms(
    here: Here,
    person: Person,
    facility_id: Annotated[int | None, Query(description="only of this facility")] = None,
    kind: AlarmKind | None = None,
    season: Literal["winter", "summer"] | None = None,
    state: Annotated[list[State] | None, Query(description="any of these states")] = None,
    from_: From = None,
    to: To = None,
    limit: Annotated[int, Query(ge=1, le=2000)] = 200,
) -> Json:
    """Occurrences raised in the interval (two years by default), newest first."""
    if facility_id is not None:
        person.scope.level(facility_id)
    span = interval(from_, to, here.now(), default=TWO_YEARS, longest=EVER)
    async with here.pool.connection() as conn:
        rows = await portal_alarms.alarms(
            conn,
            person.scope.facility_ids if facility_id is None else [facility_id],
            from_at=span.start,
            to_at=span.end,
            kind=kind,
            states=state,
            season=season,
            limit=limit,
        )
    return Json({"alarms": [convert.alarm(row) for row in rows]})


@router.get("/alarms/{occurrence_id}", responses=bodies.described(bodies.AlarmDetailBody, 404))
async def one_alarm(here: Here, person: Person, occurrence_id: int) -> Json:
    """One occurrence with its history."""
    return Json(await _detail(here, person, occurrence_id))


@router.post(
    "/alarms/{occurrence_id}/acknowledge",
    responses=bodies.described(bodies.AlarmDetailBody, 403, 404, 409),
)
async def post_acknowledge(
    here: Here, person: Person, occurrence_id: int, said: bodies.Acknowledgement | None = None
) -> Json:
    """Say that a person has seen it."""
    await acknowledge(here, person, occurrence_id, said.comment if said else "")
    return Json(await _detail(here, person, occurrence_id))


async def acknowledge(
    here: Portal, person: Visitor, occurrence_id: int, comment: str
) -> Occurrence:
    """Acknowledge an occurrence of the scope; the row as it was before.

    Raises Problem 404 outside the scope, 403 at level read, 409 where it is acknowledged already.
    """
    async with here.pool.connection() as conn:
        row = await portal_alarms.alarm(conn, person.scope.facility_ids, occurrence_id)
    if row is None:
        raise not_found()
    person.scope.need_change(row.facility_id)
    try:
        await asyncio.to_thread(_acknowledge, here, occurrence_id, person.visit.name, comment)
    except occurrences.WrongStateError as error:
        raise Problem(
            HTTPStatus.CONFLICT, f"Alarm {occurrence_id} is {error.state}: nothing to acknowledge."
        ) from error
    return row


def _acknowledge(here: Portal, occurrence_id: int, actor: str, comment: str) -> None:
    # The engine's own way through the life cycle is synchronous; an act is rare, a thread is cheap.
    with connect(here.dsn, name="fjarrvakt-portal-act") as conn:
        occurrences.act(
            conn,
            occurrence_id,
            Event.ACKNOWLEDGE,
            moves(Event.ACKNOWLEDGE),
            actor=actor,
            now_us=here.now_us(),
            reason=comment,
        )


async def _detail(here: Portal, person: Visitor, occurrence_id: int) -> dict[str, Any]:
    async with here.pool.connection() as conn:
        row = await portal_alarms.alarm(conn, person.scope.facility_ids, occurrence_id)
        if row is None:
            raise not_found()
        history = await portal_alarms.transitions(conn, occurrence_id)
    return {
        **convert.alarm(row),
        "transitions": [convert.transition(one, row.kind) for one in history],
    }


@router.get("/facilities/{facility_id}/rules", responses=bodies.described(bodies.RulesBody, 404))
async def list_rules(here: Here, person: Person, facility_id: int) -> Json:
    """Every alarm rule the facility can have, with the limits in force."""
    person.scope.level(facility_id)
    return Json(await rules_of(here, facility_id))


async def rules_of(here: Portal, facility_id: int) -> dict[str, Any]:
    """A facility's rules and the season in force."""
    async with here.pool.connection() as conn:
        stored = await portal_alarms.rules(conn, facility_id, here.now())
        meters = await portal_series.meters(conn, facility_id)
    commodities = sorted({meter.commodity for meter in meters}) or [1]
    season = limits.season_name(here.now(), limits.calendars(here.settings.seasons))
    return {
        "facility_id": facility_id,
        "season": season,
        "rules": convert.rules(stored, commodities),
    }


@router.put(
    "/facilities/{facility_id}/rules/{commodity}/{kind}",
    responses=bodies.described(bodies.RulesBody, 403, 404, 422),
)
async def put_rule(
    here: Here,
    person: Person,
    facility_id: int,
    commodity: Literal["heat", "cooling"],
    kind: AlarmKind,
    change: bodies.RuleChange,
) -> Json:
    """Set limits (°C or kW) and channels; they hold from the next reading on."""
    await set_rule(here, person, facility_id, (commodity, kind), change)
    return Json(await rules_of(here, facility_id))


async def set_rule(
    here: Portal,
    person: Visitor,
    facility_id: int,
    key: tuple[str, AlarmKind],
    change: bodies.RuleChange,
) -> None:
    """Store new limits and channels of one rule, `key` = (commodity, kind).

    Raises Problem 404 outside the scope or for a commodity the facility has not, 403 at level read,
    422 for a limit out of range.
    """
    person.scope.need_change(facility_id)
    commodity, kind = convert.COMMODITY[key[0]], key[1]
    winter = stored_limit(kind, change.winter_limit, field="winter_limit")
    summer = stored_limit(kind, change.summer_limit, field="summer_limit")
    async with here.pool.connection() as conn:
        meters = await portal_series.meters(conn, facility_id)
        if commodity not in {meter.commodity for meter in meters}:
            raise not_found()
        await portal_alarms.save_rule(
            conn,
            facility_id=facility_id,
            commodity=commodity,
            kind=kind,
            channels=list(dict.fromkeys(change.channels)),
            limit=LimitSpan(
                kind=kind,
                valid_from=here.now(),
                enabled=change.enabled,
                winter_limit=winter,
                summer_limit=summer,
            ),
            set_by=person.visit.name,
        )


def stored_limit(kind: AlarmKind, limit: float, *, field: str) -> int:
    """A limit in stored integers: 0.01 °C, or W. Raises Problem 422 out of range."""
    highest = TEMPERATURE_MAX_C if convert.unit(kind) == "°C" else POWER_MAX_KW
    if not 0 < limit <= highest:
        raise invalid(
            f"{field}: expected more than 0 and at most {highest:g} {convert.unit(kind)}, "
            f"got {limit:g}",
            field=field,
        )
    return max(round(limit * convert.per_unit(kind)), 1)
