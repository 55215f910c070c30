"""The list of facilities and the list of notices."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from notify import wording
from portal.api import convert
from portal.context import Here, Person
from portal.language import language_for, translator
from portal.pages import views
from portal.pages.shared import show
from store import portal as store
from store import portal_series

router = APIRouter(include_in_schema=False)

PAGE: Final = 100
NOTICES: Final = 50


@router.get("/")
async def list_facilities(
    request: Request,
    here: Here,
    person: Person,
    search: Annotated[str, Query(max_length=100)] = "",
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """All facilities, those with alarms first; whoever has one goes straight there."""
    levels = person.scope.levels
    if len(levels) == 1 and not search:
        return RedirectResponse(f"/facilities/{next(iter(levels))}", HTTPStatus.SEE_OTHER)
    async with here.pool.connection() as conn:
        rows = await store.facilities(
            conn, person.scope.facility_ids, search=search, limit=PAGE + 1, offset=offset
        )
        shown = rows[:PAGE]
        hours = await portal_series.latest_hours(conn, [row.facility_id for row in shown])
    language = language_for(request)
    t = translator(language)
    facilities = [
        views.facility_row(
            convert.facility(row, levels[row.facility_id], hours), here.now(), t, language
        )
        for row in shown
    ]
    return await show(
        request,
        here,
        person,
        "facilities.html",
        place="facilities",
        facilities=facilities,
        search=search,
        total=len(levels),
        with_alarm=sum(1 for one in facilities if one["alarms_active"]),
        next_offset=offset + PAGE if len(rows) > PAGE else None,
        previous_offset=max(offset - PAGE, 0) if offset else None,
    )


@router.get("/notices")
async def list_notices(
    request: Request, here: Here, person: Person, before: int | None = None
) -> Response:
    """What the person was told, newest first."""
    async with here.pool.connection() as conn:
        rows = await store.notices(
            conn, person.user_id, person.scope.facility_ids, before_id=before, limit=NOTICES + 1
        )
    language = language_for(request)
    notices = [
        convert.notice(row) | {"created": wording.moment(row.created_at, language)}
        for row in rows[:NOTICES]
    ]
    return await show(
        request,
        here,
        person,
        "notices.html",
        place="notices",
        notices=notices,
        older=rows[NOTICES - 1].notice_id if len(rows) > NOTICES else None,
    )
