"""Roles as processes: restarted when they die, ended together, never left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.load import load
from fjarrvakt.supervisor import RoleError, Supervisor, is_ready, ready_urls
from tests.conftest import free_port

pytestmark = pytest.mark.db


@pytest.fixture
def environ(tmp_path: Path, dsn: str) -> dict[str, str]:
    ports = {
        f"FJARRVAKT_METRICS__{role}_PORT": str(free_port())
        for role in ("INGEST", "ENGINE", "NOTIFY")
    }
    return {
        **os.environ,
        **ports,
        "FJARRVAKT_PORTAL__PORT": str(free_port()),
        "FJARRVAKT_DATA_DIR": str(tmp_path / "data"),
        "FJARRVAKT_DATABASE__DSN": dsn,
        "FJARRVAKT_LOG_FORMAT": "json",
    }


@pytest.fixture
def supervisor(environ: dict[str, str]) -> Iterator[Supervisor]:
    one = Supervisor(None, environ)
    yield one
    one.stop()


def wait(what: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_role_that_dies_is_restarted(supervisor, environ):
    url = ready_urls(load(None, environ))["notify"]
    supervisor.start(["notify"])
    wait(lambda: is_ready(url))
    first = supervisor.pids()["notify"]
    os.kill(first, signal.SIGKILL)

    def another() -> bool:
        supervisor.step()
        return supervisor.pids().get("notify", first) != first

    wait(another)
    wait(lambda: is_ready(url))
    last = supervisor.pids()["notify"]
    supervisor.stop()
    assert gone(last)
    assert not is_ready(url)


def test_every_role_becomes_ready_and_serves_metrics(supervisor, environ):
    urls = ready_urls(load(None, environ))
    supervisor.start(list(urls))
    wait(lambda: all(map(is_ready, urls.values())), 120)
    for role, url in urls.items():
        for path, expected in (("metrics", "fjarrvakt_build_info"), ("livez", "ok")):
            with urllib.request.urlopen(url.replace("readyz", path), timeout=5) as answer:
                assert expected in answer.read().decode(), role
    begin = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - begin < 20


def test_wrong_settings_are_not_tried_again(environ):
    supervisor = Supervisor(None, environ | {"FJARRVAKT_PORTAL__PORT": "none"})
    supervisor.start(["notify"])
    with pytest.raises(RoleError, match="notify refuses"):
        supervisor.watch(threading.Event(), 30)
    supervisor.stop()


def test_roles_end_with_a_supervisor_that_is_killed(environ):
    program = (
        "import os, time\n"
        "from fjarrvakt.supervisor import Supervisor\n"
        "one = Supervisor(None, os.environ)\n"
        "one.start(['notify'])\n"
        "print(one.pids()['notify'], flush=True)\n"
        "time.sleep(60)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program], env=environ, stdout=subprocess.PIPE, text=True
    )
    role = int(owner.stdout.readline())
    wait(lambda: is_ready(ready_urls(load(None, environ))["notify"]))
    owner.kill()
    owner.communicate()
    wait(lambda: gone(role))
