"""Login by e-mail and password, logout, and the person's language."""

import math
from http import HTTPStatus
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Form, Request
from prometheus_client import Counter
from starlette.responses import RedirectResponse, Response

from portal.context import Here, Person, Portal, find_visitor
from portal.language import OFFERED
from portal.render import page
from portal.sessions import cookie_name, drop_cookie, hash_of, new_session, set_cookie
from store import portal as store

router = APIRouter(include_in_schema=False)

LOGINS: Final = Counter("fjarrvakt_logins_total", "Login attempts by result", ["result"])

log = structlog.get_logger()


def safe_next(target: str | None) -> str:
    """A path of ours to go on to; anything else is the start page."""
    if target and target.startswith("/") and not target.startswith(("//", "/\\", "/login")):
        return target.replace("\r", "").replace("\n", "")
    return "/"


@router.get("/login")
async def show_login(request: Request, here: Here, next: str = "/") -> Response:  # noqa: A002 - the address's word
    """The login page; whoever is logged in goes on at once."""
    name = cookie_name(secure=here.settings.portal.secure_cookies)
    if await find_visitor(here, request.cookies.get(name)) is not None:
        return RedirectResponse(safe_next(next), HTTPStatus.SEE_OTHER)
    return _page(request, next=next)


@router.post("/login")
async def log_in(
    request: Request,
    here: Here,
    email: Annotated[str, Form(max_length=254)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002 - the address's word
) -> Response:
    """Check the password; a right one opens a fresh session and ends the browser's old one."""
    account = email.strip().lower()
    address = request.client.host if request.client else ""
    wait_s = here.lockout.wait_s(account, address)
    if wait_s > 0:
        LOGINS.labels("locked").inc()
        minutes = math.ceil(wait_s / 60)
        return _page(request, HTTPStatus.TOO_MANY_REQUESTS, "locked", next, email, minutes)
    user_id = await _check(here, account, password)
    if user_id is None:
        here.lockout.failed(account, address)
        LOGINS.labels("refused").inc()
        return _page(request, HTTPStatus.UNAUTHORIZED, "wrong", next, email)
    here.lockout.succeeded(account)
    LOGINS.labels("ok").inc()
    return await _open(request, here, user_id, safe_next(next))


def _page(
    request: Request,
    status: int = HTTPStatus.OK,
    fault: str | None = None,
    next: str = "/",  # noqa: A002 - the address's word
    email: str = "",
    minutes: int = 0,
) -> Response:
    target = safe_next(next)
    return page(
        request, "login.html", status=status, fault=fault, next=target, email=email, minutes=minutes
    )


async def _check(here: Portal, email: str, password: str) -> int | None:
    async with here.pool.connection() as conn:
        account = await store.user_by_email(conn, email)
    right, fresh = await here.passwords.check(account.password_hash if account else None, password)
    if account is None or not right:
        return None
    if fresh is not None:
        async with here.pool.connection() as conn:
            await store.rehash(conn, account.user_id, fresh)
    return account.user_id


async def _open(request: Request, here: Portal, user_id: int, target: str) -> Response:
    rules = here.settings.portal
    session = new_session()
    async with here.pool.connection() as conn:
        await store.sweep_sessions(
            conn, idle_min=rules.session_idle_min, absolute_h=rules.session_absolute_h
        )
        old = request.cookies.get(cookie_name(secure=rules.secure_cookies))
        if old:
            await store.close_session(conn, hash_of(old))
        await store.open_session(conn, session.session_hash, user_id, session.csrf_token)
    response = RedirectResponse(target, HTTPStatus.SEE_OTHER)
    set_cookie(response, session.session_id, secure=rules.secure_cookies)
    return response


@router.post("/logout")
async def log_out(here: Here, person: Person) -> Response:
    """End the session, here and in the database."""
    async with here.pool.connection() as conn:
        await store.close_session(conn, person.session_hash)
    response = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    drop_cookie(response, secure=here.settings.portal.secure_cookies)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@router.post("/language")
async def choose_language(
    here: Here,
    person: Person,
    language: Annotated[str, Form()],
    next: Annotated[str, Form()] = "/",  # noqa: A002 - the address's word
) -> Response:
    """Remember the language for pages, notices and mails."""
    if language in OFFERED:
        async with here.pool.connection() as conn:
            await store.set_language(conn, person.user_id, language)
    return RedirectResponse(safe_next(next), HTTPStatus.SEE_OTHER)
