"""What you were told on the portal."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from portal.api import bodies, convert
from portal.api.answer import Json
from portal.context import Here, Person
from portal.problems import not_found
from store import portal as store

router = APIRouter(prefix="/notices", tags=["notices"])


@router.get("", responses=bodies.described(bodies.NoticesBody))
async def list_notices(
    here: Here,
    person: Person,
    unread: Annotated[bool, Query(description="only those not read")] = False,
    before: Annotated[int | None, Query(description="only older than this notice_id")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Json:
    """Your notices, newest first, and how many are unread."""
    ids = person.scope.facility_ids
    async with here.pool.connection() as conn:
        rows = await store.notices(
            conn, person.user_id, ids, before_id=before, unread=unread, limit=limit
        )
        count = await store.unread(conn, person.user_id, ids)
    return Json({"notices": [convert.notice(row) for row in rows], "unread": count})


@router.post("/{notice_id}/read", status_code=204, responses=bodies.described(bodies.Body, 404))
async def mark_read(here: Here, person: Person, notice_id: int) -> Response:
    """Mark one as read; a second time changes nothing."""
    async with here.pool.connection() as conn:
        known = await store.read_notice(
            conn, person.user_id, person.scope.facility_ids, notice_id, here.now()
        )
    if not known:
        raise not_found()
    return Response(status_code=204)


@router.post("/read", status_code=204, responses=bodies.described(bodies.Body))
async def mark_all_read(
    here: Here,
    person: Person,
    up_to: Annotated[int, Query(description="the newest notice_id you have seen")],
) -> Response:
    """Mark all up to one as read."""
    async with here.pool.connection() as conn:
        await store.read_all_notices(
            conn, person.user_id, person.scope.facility_ids, up_to, here.now()
        )
    return Response(status_code=204)
