"""The app: its parts, its routes, its life."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Final

import psycopg_pool
from fastapi import APIRouter, FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from config.settings import Settings
from portal import health, login, problems
from portal.api import alarms, events, facilities, notices, session, staff
from portal.context import Pool, Portal
from portal.hub import Hub
from portal.lockout import Lockout
from portal.middleware import SameOrigin, SecurityHeaders, Timing
from portal.pages import act, facility, overview
from portal.passwords import Passwords

VERSION: Final = "1"
POOL_MAX: Final = 12
POOL_WAIT_S: Final = 10.0

DESCRIPTION: Final = """\
Measurements, alarms and notices of the facilities you may see. Columns instead of rows; intervals
are half-open [from, to); instants are UTC; metering days are 24 hours of normal time (UTC+1 all
year). What you may not see and what does not exist answer alike: 404.
"""


def create_app(settings: Settings, dsn: str, now_us: Callable[[], int]) -> FastAPI:
    """The portal. Run it with one worker a process: the live streams are woken in it.

    It begins without the database and waits for it; `/readyz` says when it is there.
    """
    # An open page holds no connection: streams take one only while they look.
    pool: Pool = psycopg_pool.AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=POOL_MAX,
        timeout=POOL_WAIT_S,
        open=False,
        check=psycopg_pool.AsyncConnectionPool.check_connection,  # a restarted server is noticed
        kwargs={
            "autocommit": True,
            "application_name": "fjarrvakt-portal",
            "options": "-c timezone=UTC",
        },
    )
    parts = Portal(
        settings=settings,
        dsn=dsn,
        pool=pool,
        now_us=now_us,
        hub=Hub(dsn),
        passwords=Passwords(),
        lockout=Lockout(time.monotonic),
    )

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await pool.open()
        await parts.hub.start()
        try:
            yield
        finally:
            await parts.hub.close()
            await pool.close()

    app = FastAPI(
        title="Fjärrvakt",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=life,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # Swagger UI comes from a CDN
        redoc_url=None,
    )
    app.state.portal = parts
    _add_routes(app)
    problems.install(app)
    # Last added is outermost.
    app.add_middleware(GZipMiddleware, minimum_size=2000, compresslevel=1)
    app.add_middleware(SameOrigin)
    app.add_middleware(SecurityHeaders, hsts=settings.portal.secure_cookies)
    app.add_middleware(Timing)
    return app


def _add_routes(app: FastAPI) -> None:
    api = APIRouter(prefix="/api/v1")
    # Streams before facilities and notices: their paths are longer forms of theirs.
    for module in (events, session, facilities, alarms, notices, staff):
        api.include_router(module.router)
    app.include_router(api)
    for room in (health, login, overview, facility, act):
        app.include_router(room.router)
    static = StaticFiles(directory=str(files("portal").joinpath("static")))
    app.mount("/static", static, name="static")
