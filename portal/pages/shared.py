"""What every page of a logged-in person shows around its own."""

from typing import Any

from fastapi import Request
from starlette.responses import HTMLResponse

from portal.context import Portal, Visitor
from portal.render import page
from store import portal as store


async def show(
    request: Request,
    here: Portal,
    person: Visitor,
    template: str,
    *,
    status: int = 200,
    **values: Any,
) -> HTMLResponse:
    """A page with the person's name, unread notices and forms' token."""
    async with here.pool.connection() as conn:
        unread = await store.unread(conn, person.user_id, person.scope.facility_ids)
    return page(
        request,
        template,
        status=status,
        unread=unread,
        csrf=person.visit.csrf_token,
        **values,
    )
