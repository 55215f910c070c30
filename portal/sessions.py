"""Session ids: 256 random bits in the cookie, their SHA-256 in the database."""

import hashlib
import secrets
from typing import NamedTuple

from starlette.responses import Response


class NewSession(NamedTuple):
    """A session to be opened: what the cookie says, what the database keeps, the forms' token."""

    session_id: str
    session_hash: bytes
    csrf_token: str


def new_session() -> NewSession:
    """Fresh randomness; every login gets its own, so a fixed id is worth nothing."""
    session_id = secrets.token_urlsafe(32)
    return NewSession(session_id, hash_of(session_id), secrets.token_urlsafe(32))


def hash_of(session_id: str) -> bytes:
    """What the database keeps of a session id."""
    return hashlib.sha256(session_id.encode()).digest()


def cookie_name(*, secure: bool) -> str:
    """`__Host-` binds the cookie to this host and to TLS; without TLS browsers refuse that name."""
    return "__Host-sid" if secure else "sid"


def set_cookie(response: Response, session_id: str, *, secure: bool) -> None:
    """Give the browser its session."""
    response.set_cookie(
        cookie_name(secure=secure),
        session_id,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def drop_cookie(response: Response, *, secure: bool) -> None:
    """Take the session from the browser."""
    response.delete_cookie(
        cookie_name(secure=secure), path="/", secure=secure, httponly=True, samesite="lax"
    )
