"""The whole path in one process: broker, ingest, engine and portal, each as its role runs it."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import argon2
import httpx
import psycopg
import pytest
import uvicorn
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from adapters import identity
from config.rules import engine_rules
from config.settings import Mqtt, Portal, Settings
from engine import worker
from ingest import role
from ingest.journal import Journal
from portal.app import create_app
from simulators.gateway import Publication, connected_gateway
from store import admin, rules, summary
from tests.conftest import Broker, free_port

EMAIL, PASSWORD = "whole@path.example", "correct horse battery"
WAIT_S = 120


class Installation:
    """A running installation and the handles a test needs."""

    def __init__(self, settings: Settings, conn: psycopg.Connection, broker: Broker) -> None:
        self.settings = settings
        self.conn = conn
        self.broker = broker
        self.customer = admin.put_customer(conn, number="1", name="Whole path")
        self.user = admin.put_user(
            conn,
            email=EMAIL,
            name="Whole Path",
            password_hash=argon2.PasswordHasher(time_cost=1, memory_cost=1024).hash(PASSWORD),
            customer_numbers=["1"],
            level="admin",
        )

    def facility(self, name: str, *, station: str | None = None) -> int:
        station_id = admin.put_station(self.conn, code=station, name=station) if station else None
        return admin.add_facility(
            self.conn, name=name, customer_id=self.customer, shards=8, station_id=station_id
        )

    def meter(
        self, facility: int, identity_text: str, commodity: Literal[1, 2] = 1, **more: Any
    ) -> int:
        return admin.register_meter(
            self.conn,
            identity=identity.parse(identity_text),
            identity_text=identity_text,
            facility_id=facility,
            commodity=commodity,
            **more,
        )

    def rule(self, facility: int, kind: str, winter: int, summer: int, commodity: int = 1) -> int:
        limits = rules.Limits(datetime(2000, 1, 1, tzinfo=UTC), winter, summer)
        return rules.put_rule(
            self.conn,
            facility_id=facility,
            commodity=commodity,
            kind=kind,
            limits=limits,
            set_by="test",
            recipients=[self.user],
        )

    def publish(self, publications: Iterable[Publication]) -> int:
        with connected_gateway(self.broker.host, self.broker.port, "scenario") as gateway:
            return gateway.publish(publications)

    def settle(self, telegrams: int) -> None:
        """Wait until so many telegrams have an outcome and the engine has nothing left to do."""
        deadline = time.monotonic() + WAIT_S
        journal = Journal(self.settings.data_dir / role.JOURNAL_FILE, 1 << 30)
        with journal:
            while time.monotonic() < deadline:
                done = sum(summary.outcomes(self.conn).values())
                if done >= telegrams and summary.pending(self.conn).ledger == 0:
                    assert done == telegrams
                    assert journal.status().depth == 0
                    return
                time.sleep(0.05)
        found, waits = summary.outcomes(self.conn), summary.pending(self.conn)
        pytest.fail(f"not settled after {WAIT_S} s: {found}, {waits}, expected {telegrams}")


@pytest.fixture
def installation(
    dsn: str, conn: psycopg.Connection, broker: Broker, tmp_path: Path
) -> Iterator[Installation]:
    settings = Settings(
        data_dir=tmp_path,
        mqtt=Mqtt(host=broker.host, port=broker.port),
        portal=Portal(secure_cookies=False),
    )
    open_session(settings.mqtt)
    stop = threading.Event()
    now_us = _now_us
    works = (
        lambda: role.run(settings, dsn, now_us, stop),
        lambda: worker.run(dsn, engine_rules(settings), now_us, stop),
    )
    threads = [threading.Thread(target=work) for work in works]
    made = Installation(settings, conn, broker)
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)


def open_session(mqtt: Mqtt) -> None:
    """Subscribe under ingest's client id: a broker keeps messages only for sessions it knows."""
    client = Client(
        CallbackAPIVersion.VERSION2, client_id=mqtt.client_id, protocol=MQTTProtocolVersion.MQTTv5
    )
    subscribed = threading.Event()
    client.on_connect = lambda *_: client.subscribe([(topic, 1) for topic in mqtt.topics])
    client.on_subscribe = lambda *_: subscribed.set()
    expiry = Properties(PacketTypes.CONNECT)
    expiry.SessionExpiryInterval = mqtt.session_expiry_s
    client.connect(mqtt.host, mqtt.port, clean_start=False, properties=expiry)
    client.loop_start()
    assert subscribed.wait(20)
    client.disconnect()
    client.loop_stop()


@pytest.fixture
def api(installation: Installation, dsn: str) -> Iterator[httpx.Client]:
    """A logged-in client of the portal on a real port."""
    port = free_port()
    config = uvicorn.Config(
        create_app(installation.settings, dsn, _now_us),
        host="127.0.0.1",
        port=port,
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"Accept": "application/json"}, timeout=60
    ) as client:
        answer = client.post("/login", data={"email": EMAIL, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        yield client
    server.should_exit = True
    thread.join(20)


def _now_us() -> int:
    return time.time_ns() // 1000


Get = Callable[..., dict[str, Any]]


@pytest.fixture
def get(api: httpx.Client) -> Get:
    """`get("/facilities/1/hours", from_=..., to=...)` gives the JSON of /api/v1."""

    def call(path: str, **parameters: Any) -> dict[str, Any]:
        named = {key.rstrip("_"): value for key, value in parameters.items()}
        answer = api.get(f"/api/v1{path}", params=named)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    return call
