"""Ingest is killed again and again under load: nothing is lost, and nothing is stored twice."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import orjson
import psycopg
import pytest

from adapters import identity
from adapters.mbus import encode
from config.settings import Mqtt
from fjarrvakt.supervisor import is_ready
from ingest.journal import Journal
from ingest.role import JOURNAL_FILE
from simulators.gateway import Publication, connected_gateway
from store import admin, summary
from tests.conftest import Broker, free_port
from tests.scenarios.conftest import open_session

pytestmark = [pytest.mark.db, pytest.mark.concurrent]

METER = "FJV-00000001-01-04"
T0_S = 1_767_225_600  # 2026-01-01


def message(number: int) -> Publication:
    frame = encode.telegram(
        identity.parse(METER), [encode.integer("0406", number, 4)], access=number & 0xFF
    )
    stamp = str(np.datetime64(T0_S + 60 * number, "s")) + "Z"
    payload = orjson.dumps({"time": stamp, "telegram": frame.hex()})
    return Publication("gw/north/up/telegram", payload)


def start(dsn: str, broker: Broker, folder: Path, port: int) -> subprocess.Popen[bytes]:
    environ = os.environ | {
        "FJARRVAKT_DATABASE__DSN": dsn,
        "FJARRVAKT_DATA_DIR": str(folder),
        "FJARRVAKT_MQTT__HOST": broker.host,
        "FJARRVAKT_MQTT__PORT": str(broker.port),
        "FJARRVAKT_METRICS__INGEST_PORT": str(port),
        "FJARRVAKT_INGEST__BATCH_ROWS": "500",
    }
    command = [sys.executable, "-m", "fjarrvakt", "run", "--role", "ingest"]
    return subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)


def publish_all(broker: Broker, count: int) -> None:
    with connected_gateway(broker.host, broker.port, "north") as gateway:
        for first in range(0, count, 100):
            gateway.publish(message(number) for number in range(first, first + 100))
            time.sleep(0.25)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("count", "kills"),
    [
        pytest.param(6_000, 6, id="short"),
        pytest.param(200_000, 200, id="long", marks=pytest.mark.slow),
    ],
)
def test_nothing_lost_nothing_twice(
    dsn: str, conn: psycopg.Connection, broker: Broker, tmp_path: Path, count: int, kills: int
):
    customer = admin.put_customer(conn, number="1", name="One")
    facility = admin.add_facility(conn, name="North", customer_id=customer, shards=8)
    admin.register_meter(
        conn,
        identity=identity.parse(METER),
        identity_text=METER,
        facility_id=facility,
        commodity=1,
    )
    open_session(Mqtt(host=broker.host, port=broker.port))
    publisher = threading.Thread(target=publish_all, args=(broker, count))
    publisher.start()
    chance = random.Random(5)
    port = free_port()
    for _ in range(kills):
        process = start(dsn, broker, tmp_path, port)
        time.sleep(1.5 + chance.random())
        process.send_signal(signal.SIGKILL)
        process.wait()
    process = start(dsn, broker, tmp_path, port)
    publisher.join()
    while not is_ready(f"http://127.0.0.1:{port}/readyz"):
        time.sleep(0.05)
    deadline = time.monotonic() + 120
    readings = 0
    while readings < count and time.monotonic() < deadline:
        row = conn.execute("select count(*) from reading").fetchone()
        readings = row[0] if row else 0
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0

    values = conn.execute("select energy_j / 3600000 from reading order by at").fetchall()
    assert [value for (value,) in values] == list(range(count))
    found = summary.outcomes(conn)
    with Journal(tmp_path / JOURNAL_FILE, 1 << 30) as journal:
        received = sum(count for _, _, count, _ in journal.tallies())
        assert journal.status().depth == 0
    assert found["stored"] == count
    assert received == sum(found.values()), "every journaled envelope has one outcome"
    assert found["quarantined"] == found["waiting"] == 0
