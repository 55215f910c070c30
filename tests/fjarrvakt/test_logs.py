"""Logs: one form for ours and the libraries', on stderr, without secrets."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from fjarrvakt import logs


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    handlers = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = handlers
    structlog.reset_defaults()


def test_json_lines_with_role_and_without_secrets(capsys):
    logs.configure("json", role="ingest")
    structlog.get_logger().info("batch", rows=3, password="hush", error="no: password=hush x")
    logging.getLogger("some.library").warning("at postgres://anna:hush@db/x")
    out, err = capsys.readouterr()
    assert out == ""
    assert "hush" not in err
    ours, theirs = map(json.loads, err.splitlines())
    assert (ours["event"], ours["rows"], ours["role"], ours["level"]) == (
        "batch",
        3,
        "ingest",
        "info",
    )
    assert ours["error"] == "no: password=*** x"
    assert theirs["role"] == "ingest"
    assert theirs["event"] == "at postgres://anna:***@db/x"


def test_an_exception_is_one_line_of_json(capsys):
    logs.configure("json")
    try:
        int("broken")
    except ValueError:
        structlog.get_logger().exception("batch_failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: invalid literal" in json.loads(line)["exception"]


def test_a_traceback_shows_no_local_variables(capsys):
    logs.configure("text")
    hidden = "hush" * 3
    try:
        int("broken")
    except ValueError:
        structlog.get_logger().exception("batch_failed")
        logging.getLogger("some.library").exception("theirs")
    err = capsys.readouterr().err
    assert err.count("ValueError: invalid literal") == 2
    assert hidden not in err


def test_text_without_colour_off_a_terminal(capsys):
    logs.configure("text", role="engine")
    structlog.get_logger().info("batch", rows=3)
    logging.getLogger("pymodbus").info("chatter")
    err = capsys.readouterr().err
    assert "batch" in err
    assert "rows=3" in err
    assert "\x1b" not in err
    assert "chatter" not in err
