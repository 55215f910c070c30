"""Runs one role in this process: logs, warm kernels, health, signals, then the role's own loop."""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from http.server import ThreadingHTTPServer
from importlib import import_module
from typing import Final

import structlog
from prometheus_client import Gauge

from config.clock import NowUs, make_clock
from config.settings import Settings
from fjarrvakt import health, logs, warm
from fjarrvakt.version import VERSION

_KERNEL_ROLES: Final = frozenset({"ingest", "engine"})

_BUILD: Final = Gauge("fjarrvakt_build_info", "1; the labels tell what runs", ["version", "role"])

log = structlog.get_logger()


def run_role(role: str, settings: Settings, dsn: str, *, tied: bool) -> None:
    """Do this role's work until SIGTERM or SIGINT; `tied`: or until standard input closes.

    Raises OSError when the role's port is taken.
    """
    begin = time.monotonic()
    logs.configure(settings.log_format, role=role)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if tied:
        threading.Thread(target=_end_with_parent, name="tied", daemon=True).start()
    _BUILD.labels(VERSION, role).set(1)
    now_us = make_clock(settings.clock)
    if role == "portal":
        _run_portal(settings, dsn, now_us)
        return
    begun = threading.Event()
    server = _serve_health(role, settings, dsn, begun)
    try:
        if role in _KERNEL_ROLES:
            compiled_s = warm.ensure_warm()
            if compiled_s is not None:
                log.info("kernels_compiled", seconds=round(compiled_s, 1))
        work = _WORK[role](settings, dsn, now_us, stop)
        log.info("role_started", seconds=round(time.monotonic() - begin, 2))
        begun.set()
        work()
    finally:
        if server is not None:
            server.shutdown()
            server.server_close()
    log.info("role_stopped")


def _end_with_parent() -> None:
    while os.read(0, 4096):  # sys.stdin would be locked by us when the interpreter ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _serve_health(
    role: str, settings: Settings, dsn: str, begun: threading.Event
) -> ThreadingHTTPServer | None:
    port = getattr(settings.metrics, f"{role}_port")
    if not port:
        return None
    checks: dict[str, health.Check] = {"begun": health.has_begun(begun)}
    if role == "ingest":
        journal_file = import_module("ingest.role").JOURNAL_FILE
        checks["journal"] = health.journal_writable(settings.data_dir / journal_file)
    else:
        checks["database"] = health.database_complete(dsn)
    return health.serve(settings.metrics.host, port, checks)


Work = Callable[[Settings, str, NowUs, threading.Event], Callable[[], None]]
"""Imports a role and gives the call that does its work."""


def _ingest(
    settings: Settings, dsn: str, now_us: NowUs, stop: threading.Event
) -> Callable[[], None]:
    from ingest import role

    return lambda: role.run(settings, dsn, now_us, stop)


def _engine(
    settings: Settings, dsn: str, now_us: NowUs, stop: threading.Event
) -> Callable[[], None]:
    from config.rules import engine_rules
    from engine import worker

    rules = engine_rules(settings)
    return lambda: worker.run(dsn, rules, now_us, stop)


def _notify(
    settings: Settings, dsn: str, now_us: NowUs, stop: threading.Event
) -> Callable[[], None]:
    from notify import worker

    return lambda: worker.run(settings, dsn, now_us, stop)


_WORK: Final[Mapping[str, Work]] = {"ingest": _ingest, "engine": _engine, "notify": _notify}


def _run_portal(settings: Settings, dsn: str, now_us: NowUs) -> None:
    import uvicorn

    from portal.app import create_app

    config = uvicorn.Config(
        create_app(settings, dsn, now_us),
        host=settings.portal.host,
        port=settings.portal.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,  # live pages hold a connection open for ever
    )
    uvicorn.Server(config).run()
