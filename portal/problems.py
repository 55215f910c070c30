"""Errors as RFC 9457 problem+json for programs, as a page for people."""

import secrets
from http import HTTPStatus
from typing import Any, Final

import orjson
import psycopg
import psycopg_pool
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from portal.render import page

NOT_FOUND_DETAIL: Final = "There is no such thing, or you have no access to it."

log = structlog.get_logger()


class Problem(HTTPException):
    """An answer that says what was expected, what came, and what to do."""

    def __init__(self, status: HTTPStatus, detail: str, **more: Any) -> None:
        super().__init__(status.value, detail)
        self.more = more


def not_found() -> Problem:
    """The one answer for unknown and for forbidden."""
    return Problem(HTTPStatus.NOT_FOUND, NOT_FOUND_DETAIL)


def invalid(detail: str, *, field: str) -> Problem:
    """A value that does not do, with the field it came in."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field=field)


def problem_response(status: int, detail: str, **more: Any) -> Response:
    """A problem+json body."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }
    return Response(orjson.dumps(body), status, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Let every error of `app` leave in one of the two forms."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(psycopg_pool.PoolTimeout, _unavailable)
    app.add_exception_handler(psycopg.OperationalError, _unavailable)
    app.add_exception_handler(Exception, _unexpected)


def _is_program(request: Request) -> bool:
    return request.url.path.startswith("/api/") or "text/html" not in request.headers.get(
        "accept", ""
    )


async def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    more = error.more if isinstance(error, Problem) else {}
    if _is_program(request):
        response = problem_response(error.status_code, str(error.detail), **more)
        response.headers.update(error.headers or {})
        return response
    if error.status_code == HTTPStatus.UNAUTHORIZED:
        target = request.url.path if request.method == "GET" else "/"
        return RedirectResponse(f"/login?next={target}", HTTPStatus.SEE_OTHER)
    known = {404: "not_found", 403: "forbidden", 429: "too_many"}
    kind = known.get(error.status_code, "error")
    return page(request, "problem.html", status=error.status_code, kind=kind, reference=None)


async def _validation(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    errors = [
        {"field": ".".join(str(part) for part in one["loc"]), "message": one["msg"]}
        for one in error.errors()
    ]
    detail = "; ".join(f"{one['field']}: {one['message']}" for one in errors)
    if _is_program(request):
        return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)
    return page(request, "problem.html", status=422, kind="error", reference=None)


async def _unavailable(request: Request, error: Exception) -> Response:
    log.warning("portal.database_away", error=type(error).__name__, path=request.url.path)
    if _is_program(request):
        detail = "The database does not answer. Nothing is lost; try again in a minute."
        return problem_response(HTTPStatus.SERVICE_UNAVAILABLE, detail)
    return page(request, "problem.html", status=503, kind="error", reference=None)


async def _unexpected(request: Request, error: Exception) -> Response:
    reference = secrets.token_hex(4)
    log.error("portal.unexpected", reference=reference, path=request.url.path, exc_info=error)
    if _is_program(request):
        detail = f"Something went wrong here, not with you. Reference {reference}."
        return problem_response(500, detail, reference=reference)
    return page(request, "problem.html", status=500, kind="error", reference=reference)
