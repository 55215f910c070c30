"""A role's own small web server: /metrics, /livez and /readyz, apart from its work.

Alive means the process turns its wheels; ready means it can keep its own promise, which for ingest
does not include the database.
"""

import sqlite3
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psycopg
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from store import migrate
from store.connection import connect

Check = Callable[[], str | None]
"""None when all is well, else what is wrong."""

_TEXT: Final = "text/plain; charset=utf-8"


def serve(host: str, port: int, checks: Mapping[str, Check]) -> ThreadingHTTPServer:
    """Start serving in a thread of its own; `shutdown()` and `server_close()` end it.

    Raises OSError when the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        """Answers three paths."""

        def do_GET(self) -> None:
            """One request."""
            path = urlsplit(self.path).path
            if path == "/metrics":
                self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
            elif path in ("/livez", "/healthz"):
                self._answer(200, b"ok\n")
            elif path == "/readyz":
                found = {name: check() for name, check in checks.items()}
                lines = [f"{name}: {reason or 'ok'}\n" for name, reason in found.items()]
                self._answer(503 if any(found.values()) else 200, "".join(lines).encode())
            else:
                self._answer(404, b"/metrics, /livez, /readyz\n")

        def _answer(self, status: int, body: bytes, kind: str = _TEXT) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes every few seconds are no news."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def journal_writable(path: Path) -> Check:
    """Whether a line could be written to the journal at `path` now."""

    def check() -> str | None:
        try:
            journal = sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=1)
            try:
                journal.execute("begin immediate")
                journal.execute("rollback")
            finally:
                journal.close()
        except sqlite3.Error as error:
            return f"{path}: {error}"
        return None

    return check


def database_complete(dsn: str) -> Check:
    """Whether the database answers and has the schema of this release."""

    def check() -> str | None:
        try:
            with connect(dsn, name="fjarrvakt-readyz") as conn:
                waiting = migrate.pending(conn)
        except psycopg.Error as error:
            return type(error).__name__
        return f"{len(waiting)} migrations are pending" if waiting else None

    return check


def has_begun(begun: threading.Event) -> Check:
    """Whether the role has left its preparations behind."""
    return lambda: None if begun.is_set() else "starting"
