"""What operations looks at: findings (in your scope), and for staff what was not stored and why."""

from datetime import timedelta
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query

from portal.api import bodies, convert
from portal.api.answer import Json
from portal.context import Here, Person
from portal.times import From, To, interval
from store import portal as store

router = APIRouter(tags=["operations"])

MONTH: Final = timedelta(days=31)
EVER: Final = timedelta(days=36_600)
OUTCOME_CODE: Final = {name: code for code, name in convert.OUTCOME.items()}

Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("/findings", responses=bodies.described(bodies.FindingsBody, 404, 422))
async def list_findings(
    here: Here,
    person: Person,
    facility_id: int | None = None,
    from_: From = None,
    to: To = None,
    limit: Limit = 200,
) -> Json:
    """Readings the engine doubts, newest first."""
    if facility_id is not None:
        person.scope.level(facility_id)
    ids = person.scope.facility_ids if facility_id is None else [facility_id]
    span = interval(from_, to, here.now(), default=EVER, longest=EVER)
    async with here.pool.connection() as conn:
        rows = await store.findings(conn, ids, span.start, span.end, limit)
    return Json({"findings": [convert.finding(row) for row in rows]})


@router.get("/telegrams", responses=bodies.described(bodies.TelegramsBody, 404, 422))
async def list_telegrams(
    here: Here,
    person: Person,
    outcome: Annotated[
        list[Literal["quarantined", "waiting"]] | None, Query(description="both by default")
    ] = None,
    reason: Annotated[str | None, Query(max_length=40)] = None,
    from_: From = None,
    to: To = None,
    limit: Limit = 100,
) -> Json:
    """Staff only: telegrams in quarantine or waiting, with the reason and what came."""
    person.scope.need_staff()
    span = interval(from_, to, here.now() + MONTH, default=4 * MONTH, longest=EVER)
    codes = [OUTCOME_CODE[name] for name in outcome or ("quarantined", "waiting")]
    async with here.pool.connection() as conn:
        rows = await store.held_telegrams(
            conn, codes, span.start, span.end, reason=reason, limit=limit
        )
    return Json({"telegrams": [convert.telegram(row) for row in rows]})


@router.get("/meters/unclaimed", responses=bodies.described(bodies.UnclaimedMetersBody, 404))
async def list_unclaimed(here: Here, person: Person, limit: Limit = 200) -> Json:
    """Staff only: meters that are heard but belong to nobody; their telegrams wait."""
    person.scope.need_staff()
    async with here.pool.connection() as conn:
        rows = await store.unclaimed(conn, limit)
    return Json({"meters": [convert.unclaimed(row) for row in rows]})
