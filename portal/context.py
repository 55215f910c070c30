"""What every request can reach: the app's parts, the person, the interval asked for."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, cast

import psycopg
import psycopg_pool
from fastapi import Depends, Request

from config.settings import Settings
from portal.hub import Hub
from portal.lockout import Lockout
from portal.middleware import SAFE_METHODS
from portal.passwords import Passwords
from portal.problems import Problem
from portal.scope import AccessScope, Level
from portal.sessions import cookie_name, hash_of
from store import portal as store

Pool = psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection[Any]]

CSRF_HEADER: Final = "X-CSRF-Token"
CSRF_FIELD: Final = "csrf_token"


@dataclass(frozen=True, kw_only=True)
class Portal:
    """The parts of the running app."""

    settings: Settings
    dsn: str
    pool: Pool
    now_us: Callable[[], int]
    hub: Hub
    passwords: Passwords
    lockout: Lockout

    def now(self) -> datetime:
        """The present, as people are shown it."""
        return datetime.fromtimestamp(self.now_us() / 1_000_000, UTC)


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """The person behind a request and what they may see."""

    visit: store.Visit
    scope: AccessScope
    session_hash: bytes

    @property
    def user_id(self) -> int:
        """Who."""
        return self.visit.user_id


def get_portal(request: Request) -> Portal:
    """The running app's parts."""
    return cast("Portal", request.app.state.portal)


async def find_visitor(
    portal: Portal, session_id: str | None, *, touch: bool = True
) -> Visitor | None:
    """The person behind a session id, with their scope; None when the session is no good.

    `touch` False: the look does not count as use, so that an open page does not live for ever.
    """
    if not session_id:
        return None
    session_hash = hash_of(session_id)
    rules = portal.settings.portal
    async with portal.pool.connection() as conn:
        visit = await store.find_session(
            conn,
            session_hash,
            idle_min=rules.session_idle_min,
            absolute_h=rules.session_absolute_h,
        )
        if visit is None:
            return None
        if visit.stale and touch:
            await store.touch_session(conn, session_hash)
        levels, is_admin = await store.grants(conn, visit.user_id)
    scope = AccessScope({key: Level(level) for key, level in levels.items()}, is_admin)
    return Visitor(visit=visit, scope=scope, session_hash=session_hash)


async def get_visitor(request: Request, portal: Annotated[Portal, Depends(get_portal)]) -> Visitor:
    """The person behind the request.

    Raises Problem 401 without a good session, 403 when an unsafe request lacks the session's token.
    """
    name = cookie_name(secure=portal.settings.portal.secure_cookies)
    visitor = await find_visitor(portal, request.cookies.get(name))
    if visitor is None:
        raise Problem(HTTPStatus.UNAUTHORIZED, "Log in first, at /login.")
    if request.method not in SAFE_METHODS:
        await _need_token(request, visitor)
    request.state.visitor = visitor
    return visitor


async def _need_token(request: Request, visitor: Visitor) -> None:
    given = request.headers.get(CSRF_HEADER)
    if given is None and "form" in request.headers.get("content-type", ""):
        given = str((await request.form()).get(CSRF_FIELD, ""))
    if not hmac.compare_digest((given or "").encode(), visitor.visit.csrf_token.encode()):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            f"Expected the session's token in {CSRF_HEADER} or the form field {CSRF_FIELD}; "
            "GET /api/v1/session tells it.",
        )


Here = Annotated[Portal, Depends(get_portal)]
Person = Annotated[Visitor, Depends(get_visitor)]
