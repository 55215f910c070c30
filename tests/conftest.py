"""What tests stand on: a real PostgreSQL, a real broker, the shared real data."""

import itertools
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

# First of ours: it names the kernels' cache, before anything imports numba.
from fjarrvakt.postgres import EmbeddedPostgres
from store import migrate, partitions
from store.connection import connect

ROOT = Path(__file__).parents[1]
IN_CI = os.environ.get("CI") == "true"
_number = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever asks for a database needs a server: `make check` leaves these out."""
    for item in items:
        if {"server", "dsn", "conn"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("db")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI everything is installed, so whatever is skipped there has failed."""
    report = yield
    may_skip = hasattr(report, "wasxfail") or item.get_closest_marker("root") is not None
    if IN_CI and report.skipped and not may_skip:
        report.outcome = "failed"
        report.longrepr = f"in CI this must run; {report.longrepr[2]}"
    return report


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = Path(os.environ.get("FJARRVAKT_SHARED") or ROOT.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"no shared data in {folder}; FJARRVAKT_SHARED can name another folder")
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of a server's maintenance database."""
    if given := os.environ.get("FJARRVAKT_TEST_DSN"):
        yield given
        return
    folder = tmp_path_factory.mktemp("postgres")
    for left in tmp_path_factory.getbasetemp().parent.glob("*/postgres*/postgres.json"):
        EmbeddedPostgres(left.parent).destroy()  # of a session that was killed
    settings = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    postgres = EmbeddedPostgres(folder, settings=settings | {"shared_buffers": "128MB"})
    postgres.start()
    yield postgres.dsn("postgres")
    postgres.destroy()


@pytest.fixture(scope="session")
def template(server: str) -> Iterator[str]:
    """The name of a migrated database to be copied."""
    name = f"fjarrvakt_template_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        with connect(make_conninfo(server, dbname=name)) as conn:
            migrate.migrate(conn)
        yield name
        _drop(admin, name)


@pytest.fixture
def plain_dsn(server: str, template: str) -> Iterator[str]:
    name = f"fjarrvakt_test_{os.getpid()}_{next(_number)}"
    with psycopg.connect(server, autocommit=True) as admin:
        # Timescale's scheduler sits in every database that has it, which forbids copying it.
        timescale = admin.execute(
            "select 1 from pg_available_extensions where name = 'timescaledb'"
        ).fetchone()
        source = "template1" if timescale else template
        admin.execute(
            sql.SQL("create database {} template {}").format(
                sql.Identifier(name), sql.Identifier(source)
            )
        )
        fresh = make_conninfo(server, dbname=name)
        if timescale:
            with connect(fresh) as conn:
                migrate.migrate(conn)
        yield fresh
        _drop(admin, name)
        for key in [key for key in partitions._known if name in key]:
            del partitions._known[key]


@pytest.fixture
def dsn(plain_dsn: str) -> str:
    """A fresh, migrated database; tests/store has it in two flavours."""
    return plain_dsn


def _drop(admin: psycopg.Connection, name: str) -> None:
    admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def conn(dsn: str) -> Iterator[psycopg.Connection]:
    with connect(dsn, name="test") as connection:
        yield connection


class Broker(NamedTuple):
    host: str
    port: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A real mosquitto of this test's own."""
    program = shutil.which(
        "mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    )
    if program is None:
        pytest.skip("mosquitto is not installed")
    port = free_port()
    config = tmp_path / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
        "max_queued_messages 0\nmax_inflight_messages 1000\n"
    )
    log = (tmp_path / "mosquitto.log").open("wb")
    process = subprocess.Popen([program, "-c", config], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail((tmp_path / "mosquitto.log").read_text() or "mosquitto is silent")
                time.sleep(0.02)
        yield Broker("127.0.0.1", port)
    finally:
        process.terminate()
        process.wait(20)
        log.close()
