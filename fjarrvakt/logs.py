"""Logging: structlog to stderr as text or JSON, one form for our events and the libraries'."""

import logging
import os
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, Literal

import orjson
import structlog

_SECRET_KEY: Final = re.compile(r"password|secret|token|dsn|authorization", re.IGNORECASE)
_SECRET_TEXT: Final = re.compile(r"(password\s*=\s*|://[^:/@\s]+:)([^\s@]+)", re.IGNORECASE)

_QUIET: Final = (
    "uvicorn.access",
    "apscheduler",
    "pymodbus",
    "numba",
    "asyncio",
    "httpx",
    "amqtt",
    "mail.log",
)
"""Libraries that say more than we want below a warning."""


def configure(form: Literal["text", "json"], *, role: str = "") -> None:
    """Send every log of this process to stderr in this form, marked with its role."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _redact,
    ]
    if form == "json":
        render: list[Any] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_to_json),
        ]
    else:
        colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        render = [
            structlog.dev.ConsoleRenderer(
                colors=colors,
                pad_event_to=0,
                pad_level=False,
                # The default shows local variables, and with them secrets.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.clear_contextvars()
    if role:
        # Contextvars do not reach threads started later; a base value in the processors does.
        structlog.configure(processors=[_mark(role), *shared, *render])
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*([_mark(role)] if role else []), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _mark(role: str) -> Any:
    def add(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["role"] = role
        return event

    return add


def _redact(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets out, whether a field of their own or inside a text (a dsn in an error)."""
    for key, value in event.items():
        if _SECRET_KEY.search(key):
            event[key] = "***"
        elif isinstance(value, str):
            event[key] = _SECRET_TEXT.sub(r"\1***", value)
    return event


def _to_json(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
