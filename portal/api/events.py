"""Live streams (server-sent events): a facility's changes, a person's notices.

A stream sends what is new, a comment every 15 s as heartbeat, and asks the session again then, so
that a logged-out browser is cut off. After a lost connection Last-Event-ID says where to go on.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Header, Request
from starlette.responses import StreamingResponse

from portal.api import convert
from portal.api.answer import OPTIONS
from portal.context import Here, Person, Portal, Visitor, find_visitor
from portal.sessions import cookie_name
from store import portal as store
from store import portal_alarms, portal_series

router = APIRouter(tags=["events"])

HEARTBEAT_S: Final = 15.0
NOTICES_MAX: Final = 50

STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/event-stream": {}}, "description": "a stream of events"}
}
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID")]


class EventStream(StreamingResponse):
    """Server-sent events that no proxy should hold back."""

    def __init__(self, content: AsyncIterator[bytes]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(content, media_type="text/event-stream", headers=headers)


def event(name: str, ident: str, data: object) -> bytes:
    """One event in the stream's format."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (
        ident.encode(),
        name.encode(),
        orjson.dumps(data, option=OPTIONS),
    )


@router.get("/facilities/{facility_id}/events", responses=STREAM)
async def facility_events(
    request: Request,
    here: Here,
    person: Person,
    facility_id: int,
    last_event_id: LastEventId = None,
) -> EventStream:
    """`change` whenever a new hour or a new alarm transition is there, with the newest values."""
    person.scope.level(facility_id)
    return EventStream(_facility_stream(request, here, person, facility_id, last_event_id))


@router.get("/notices/events", responses=STREAM)
async def notice_events(
    request: Request, here: Here, person: Person, last_event_id: LastEventId = None
) -> EventStream:
    """`notice` for each new notice of yours, and those you missed since Last-Event-ID."""
    after = int(last_event_id) if last_event_id and last_event_id.isdecimal() else None
    return EventStream(_notice_stream(request, here, person, after))


async def _facility_stream(
    request: Request, here: Portal, person: Visitor, facility_id: int, last: str | None
) -> AsyncIterator[bytes]:
    with here.hub.facility(facility_id) as news:
        said = last
        news.set()
        async for woken in _wakes(request, here, person, news):
            if not woken:
                yield b": still here\n\n"
                continue
            ident, change = await _change(here, facility_id)
            if said is None:  # the page was just drawn with these values
                yield b"retry: 3000\nid: %s\n\n" % ident.encode()
            elif ident != said:
                yield event("change", ident, change)
            said = ident


async def _change(here: Portal, facility_id: int) -> tuple[str, dict[str, Any]]:
    async with here.pool.connection() as conn:
        pulses = await portal_series.pulse(conn, [facility_id])
        hours = await portal_series.latest_hours(conn, [facility_id])
        alarms = await portal_alarms.open_alarms(conn, [facility_id])
    pulse = pulses[0]
    at = int(pulse.hour_at.timestamp()) if pulse.hour_at else 0
    return f"{at}-{pulse.transition_id or 0}", {
        "facility_id": facility_id,
        "latest": [convert.latest(hour) for hour in hours],
        "alarms": [convert.alarm(alarm) for alarm in alarms],
    }


async def _notice_stream(
    request: Request, here: Portal, person: Visitor, after: int | None
) -> AsyncIterator[bytes]:
    ids = person.scope.facility_ids
    with here.hub.user(person.user_id) as news:
        if after is None:
            async with here.pool.connection() as conn:
                newest = await store.notices(conn, person.user_id, ids, limit=1)
            after = newest[0].notice_id if newest else 0
            yield b"retry: 3000\nid: %d\n\n" % after
        news.set()
        async for woken in _wakes(request, here, person, news):
            if not woken:
                yield b": still here\n\n"
                continue
            async with here.pool.connection() as conn:
                rows = await store.notices(
                    conn, person.user_id, ids, after_id=after, limit=NOTICES_MAX
                )
                unread = await store.unread(conn, person.user_id, ids)
            for row in reversed(rows):
                body = convert.notice(row) | {"unread": unread}
                yield event("notice", str(row.notice_id), body)
                after = row.notice_id


async def _wakes(
    request: Request, here: Portal, person: Visitor, news: asyncio.Event
) -> AsyncIterator[bool]:
    """True when there may be news, False for a heartbeat; ends with the session or the app."""
    name = cookie_name(secure=here.settings.portal.secure_cookies)
    session_id = request.cookies.get(name)
    while not here.hub.closing:
        woken = False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(news.wait(), HEARTBEAT_S)
            woken = True
        news.clear()
        if here.hub.closing or await request.is_disconnected():
            return
        if not woken and await _gone(here, person, session_id):
            return
        yield woken


async def _gone(here: Portal, person: Visitor, session_id: str | None) -> bool:
    """Whether the session ended or its scope changed meanwhile; then the browser must ask anew."""
    visitor = await find_visitor(here, session_id, touch=False)
    return visitor is None or visitor.scope != person.scope
