"""What forms do without JavaScript: save a rule, acknowledge an alarm, read notices."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from engine.types import AlarmKind
from portal.api import bodies
from portal.api.alarms import acknowledge, set_rule
from portal.context import Here, Person
from portal.pages.facility import render
from portal.problems import Problem
from store import portal as store

router = APIRouter(include_in_schema=False)

CHANNELS: Final = ("portal", "mail")


def number(text: str) -> float | None:
    """A number as people type it: `55,5`, `55.5`, `1 200`; None when it is none."""
    compact = "".join(text.split()).replace("\u2212", "-").replace(",", ".")
    try:
        value = float(compact)
    except ValueError:
        return None
    return value if abs(value) < 1e9 else None  # also leaves out nan and inf


@router.post("/facilities/{facility_id}/rules/{commodity}/{kind}")
async def save_rule(
    request: Request,
    here: Here,
    person: Person,
    facility_id: int,
    commodity: str,
    kind: AlarmKind,
    winter: Annotated[str, Form(max_length=20)] = "",
    summer: Annotated[str, Form(max_length=20)] = "",
    enabled: Annotated[bool, Form()] = False,
    channel: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Save limits and channels, or show the form again with what is wrong."""
    person.scope.need_change(facility_id)
    typed = {
        "winter_text": winter,
        "summer_text": summer,
        "enabled": enabled,
        "channels": channel or [],
    }
    limits = {"winter_limit": number(winter), "summer_limit": number(summer)}
    field = next((name for name, value in limits.items() if value is None), None)
    if field is None and commodity in ("heat", "cooling"):
        change = bodies.RuleChange.model_validate(
            {
                **limits,
                "enabled": enabled,
                "channels": [one for one in CHANNELS if one in (channel or [])],
            }
        )
        try:
            await set_rule(here, person, facility_id, (commodity, kind), change)
        except Problem as problem:
            if problem.status_code != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
            field = str(problem.more["field"])
        else:
            target = f"/facilities/{facility_id}?commodity={commodity}&saved={kind}#rules"
            return RedirectResponse(target, HTTPStatus.SEE_OTHER)
    fault: dict[str, Any] = {"kind": kind, "field": field, "typed": typed}
    asked = {"commodity": commodity if commodity in ("heat", "cooling") else None}
    return await render(
        request,
        here,
        person,
        facility_id,
        asked,
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        fault=fault,
    )


@router.post("/alarms/{occurrence_id}/acknowledge")
async def acknowledge_alarm(
    here: Here,
    person: Person,
    occurrence_id: int,
    comment: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Acknowledge, and back to the alarms of its facility."""
    row = await acknowledge(here, person, occurrence_id, comment)
    commodity = "heat" if row.commodity == 1 else "cooling"
    target = f"/facilities/{row.facility_id}?commodity={commodity}#alarms"
    return RedirectResponse(target, HTTPStatus.SEE_OTHER)


@router.post("/notices/read")
async def read_notices(here: Here, person: Person, up_to: Annotated[int, Form()]) -> Response:
    """Mark every notice up to the newest shown as read."""
    async with here.pool.connection() as conn:
        await store.read_all_notices(
            conn, person.user_id, person.scope.facility_ids, up_to, here.now()
        )
    return RedirectResponse("/notices", HTTPStatus.SEE_OTHER)
