"""What every answer carries and every request must pass.

Pure ASGI: three layers in the decorator form make small answers five times slower.
"""

import time
from http import HTTPStatus
from typing import Final

from prometheus_client import Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal.problems import problem_response

CSP: Final = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)

HEADERS: Final = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def _cache_control(path: str) -> str:
    """Pages and answers are personal; vendored files change with releases only."""
    if path.startswith("/static/vendor/"):
        return "public, max-age=86400"
    return "no-cache" if path.startswith("/static/") else "no-store"


SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

SECONDS: Final = Histogram(
    "fjarrvakt_http_request_seconds",
    "Time until an answer began, by method and class of status",
    ["method", "status"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)


class SecurityHeaders:
    """Adds HEADERS, and keeps answers with personal data out of shared caches."""

    def __init__(self, app: ASGIApp, *, hsts: bool) -> None:
        self.app = app
        self.headers = HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if hsts else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI calls it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", _cache_control(scope["path"]))
            await send(message)

        await self.app(scope, receive, send_with_headers)


class SameOrigin:
    """Refuses unsafe requests a browser says come from another site (Sec-Fetch-Site)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI calls it."""
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            site = Headers(scope=scope).get("sec-fetch-site", "none")
            if site not in ("same-origin", "none"):
                refusal = problem_response(
                    HTTPStatus.FORBIDDEN,
                    f"Expected a request from our own pages, got Sec-Fetch-Site: {site}.",
                )
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)


class Timing:
    """Observes how long answers take to begin."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI calls it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()

        async def send_and_observe(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = f"{message['status'] // 100}xx"
                SECONDS.labels(scope["method"], status).observe(time.perf_counter() - began)
            await send(message)

        await self.app(scope, receive, send_and_observe)
