"""A portal with a small world: two customers, three people, heat, cooling and both."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import httpx
import psycopg
import pytest
import uvicorn
from fastapi import FastAPI

from config.settings import Portal, Settings
from portal.app import create_app
from tests.conftest import free_port
from tests.portal import seed


@dataclass(frozen=True)
class World:
    """Ids of what the fixture made. `foreign` belongs to the other customer."""

    customer: int
    other_customer: int
    house: int
    both: int
    foreign: int
    rule: int
    maria: int
    active: int
    over: int
    foreign_alarm: int


@pytest.fixture
def world(conn: psycopg.Connection) -> World:
    """Twenty days of history: a warm return since six days, an alarm of last month that is over."""
    customer = seed.add_customer(conn, "100412", "Tallbackens Fastigheter AB")
    other = seed.add_customer(conn, "200500", "Annan AB")
    house = seed.add_facility(conn, customer, "Kvarngatan 12")
    both = seed.add_facility(conn, customer, "Skolgatan 8", commodities=(1, 2))
    foreign = seed.add_facility(conn, other, "Hemliga gatan 1")
    maria = seed.add_user(conn, "maria@example.com", {customer: "admin"})
    seed.add_user(conn, "jon@example.com", {customer: "read"}, name="Jon Berg", language="en")
    seed.add_user(conn, "other@example.com", {other: "full"}, name="Åsa Annan")
    for facility in (house, both, foreign):
        seed.fill_history(conn, facility, days=20)
    seed.fill_history(conn, both, commodity=2, days=20)
    rule = seed.add_rule(conn, house)
    foreign_rule = seed.add_rule(conn, foreign)
    over, _ = seed.raise_alarm(
        conn, rule, seed.NOW - timedelta(days=30), until=seed.NOW - timedelta(days=29), value=4630
    )
    active, transition = seed.raise_alarm(conn, rule, seed.NOW - timedelta(days=5), value=5640)
    foreign_alarm, _ = seed.raise_alarm(conn, foreign_rule, seed.NOW - timedelta(days=5))
    seed.add_notice(conn, transition, maria, house, "Kvarngatan 12: returtemperaturen är 56,4 °C")
    for facility in (house, both):
        seed.add_readings(conn, facility)
    return World(customer, other, house, both, foreign, rule, maria, active, over, foreign_alarm)


@pytest.fixture
def app(dsn: str) -> FastAPI:
    settings = Settings(portal=Portal(secure_cookies=False))
    return create_app(settings, dsn, lambda: seed.us(seed.NOW))


@pytest.fixture
def site(app: FastAPI) -> Iterator[str]:
    """The portal on a real port: the address."""
    port = free_port()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


LogIn = Callable[..., httpx.Client]


@pytest.fixture
def log_in(site: str, world: World) -> Iterator[LogIn]:  # noqa: ARG001 - people to log in
    """`log_in("maria@example.com")` gives a client with a session and its CSRF token set."""
    clients = []

    def make(email: str = "maria@example.com", accept: str = "application/json") -> httpx.Client:
        client = httpx.Client(base_url=site, headers={"Accept": accept}, timeout=20)
        clients.append(client)
        answer = client.post("/login", data={"email": email, "password": seed.PASSWORD})
        assert answer.status_code == 303, answer.text
        token = client.get("/api/v1/session").json()["csrf_token"]
        client.headers["X-CSRF-Token"] = token
        return client

    yield make
    for client in clients:
        client.close()
