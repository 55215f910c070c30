"""Probes and metrics: alive without the database, ready only with it."""

import asyncio
from typing import Annotated, Final

import psycopg
import psycopg_pool
from fastapi import APIRouter, Query
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import PlainTextResponse, Response

from portal.context import Here, Portal
from store import portal as store

router = APIRouter(include_in_schema=False)

READY_S: Final = 3.0


@router.get("/livez")
@router.get("/healthz")
async def livez() -> PlainTextResponse:
    """The process turns its wheels."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
async def readyz(here: Here, verbose: Annotated[str | None, Query()] = None) -> PlainTextResponse:
    """The portal can keep its promise: the database answers, with our schema, in time."""
    fault = await _database_fault(here)
    lines = [f"database: {fault or 'ok'}"] if verbose is not None else [fault or "ok"]
    return PlainTextResponse("\n".join([*lines, ""]), 503 if fault else 200)


async def _database_fault(here: Portal) -> str | None:
    try:
        async with asyncio.timeout(READY_S), here.pool.connection(timeout=READY_S) as conn:
            await store.alive(conn)
    except (psycopg.Error, psycopg_pool.PoolTimeout, TimeoutError) as error:
        return f"{type(error).__name__} within {READY_S:g} s"
    return None


@router.get("/metrics")
async def metrics() -> Response:
    """Prometheus text. Keep it from the public in the proxy."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
