"""`fjarrvakt run`: everything on one host, from one command, until it is told to stop."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.load import load
from fjarrvakt.postgres import EmbeddedPostgres
from fjarrvakt.server_files import free_port
from fjarrvakt.supervisor import is_ready, ready_urls

pytestmark = pytest.mark.db


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    names = ("METRICS__INGEST", "METRICS__ENGINE", "METRICS__NOTIFY", "PORTAL_")
    yield {
        **os.environ,
        **{f"FJARRVAKT_{name}_PORT": str(free_port()) for name in names},
        "FJARRVAKT_DATA_DIR": str(tmp_path),
        "FJARRVAKT_DATABASE__DSN": "",
    }
    EmbeddedPostgres(tmp_path / "postgres").destroy()


@pytest.fixture
def started(environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "fjarrvakt", "run"], env=environ, stderr=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


def wait(what: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def status(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_run_brings_up_everything_and_takes_it_down(environ, started, tmp_path):
    urls = ready_urls(load(None, environ)).values()
    wait(lambda: all(map(is_ready, urls)))
    server = EmbeddedPostgres(tmp_path / "postgres")
    server._load_state()
    assert server.alive()
    os.kill(server._pid(), signal.SIGKILL)  # the database dies; all becomes ready again
    wait(lambda: not all(map(is_ready, urls)), 30)
    wait(lambda: all(map(is_ready, urls)))
    started.send_signal(signal.SIGTERM)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 0
    assert "Traceback" not in said
    assert "Fatal" not in said
    assert not any(map(is_ready, urls))
    assert not server.alive()


def test_ingest_is_ready_without_a_database(environ):
    environ["FJARRVAKT_DATABASE__DSN"] = f"host=127.0.0.1 port={free_port()} dbname=none"
    urls = ready_urls(load(None, environ))
    with subprocess.Popen(
        [sys.executable, "-m", "fjarrvakt", "run"], env=environ, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait(lambda: is_ready(urls["ingest"]))
            assert not is_ready(urls["engine"])
        finally:
            process.terminate()
    assert process.returncode == 0


def test_readiness_says_what_is_missing(environ):
    environ["FJARRVAKT_DATABASE__DSN"] = f"host=127.0.0.1 port={free_port()} dbname=none"
    url = ready_urls(load(None, environ))["notify"]
    command = [sys.executable, "-m", "fjarrvakt", "run", "--role", "notify"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as process:
        try:
            wait(lambda: _answers(url))
            code, text = status(url)
            assert code == 503
            assert "database: OperationalError" in text
            assert status(url.replace("readyz", "livez")) == (200, "ok\n")
            assert status(url.replace("readyz", "nothing"))[0] == 404
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        status(url)
    except OSError:
        return False
    return True
