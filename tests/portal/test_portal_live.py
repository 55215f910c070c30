"""Live streams: what wakes them, what they say, and when they end."""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from portal.api import events
from tests.portal import seed

pytestmark = [pytest.mark.db, pytest.mark.concurrent]


@contextmanager
def listening(client: httpx.Client, path: str, last: str | None = None) -> Iterator[queue.Queue]:
    """The stream's blocks as they come; None when it has ended."""
    blocks: queue.Queue[str | None] = queue.Queue()
    stop = threading.Event()
    headers = {"Last-Event-ID": last} if last else {}

    def read() -> None:
        try:
            with client.stream("GET", path, headers=headers, timeout=20) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                block = []
                for line in answer.iter_lines():
                    if stop.is_set():
                        return
                    if line:
                        block.append(line)
                    else:
                        blocks.put("\n".join(block))
                        block = []
        except httpx.HTTPError:
            pass
        finally:
            blocks.put(None)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield blocks
    finally:
        stop.set()


def data_of(block: str) -> dict:
    return json.loads(block.split("data: ", 1)[1])


def test_a_new_notice_arrives_and_a_missed_one_is_replayed(world, log_in, conn):
    client = log_in()
    with listening(client, "/api/v1/notices/events") as blocks:
        first = blocks.get(timeout=10)
        assert first.startswith("retry: 3000\nid: ")
        transition = seed.add_transition(
            conn, world.active, ("clear", "unacknowledged", "normal"), seed.NOW
        )
        notice = seed.add_notice(conn, transition, world.maria, world.house, "åter normalt")
        conn.execute("select pg_notify('fjarrvakt_notice', %s)", (f"{world.maria}:{notice}",))
        body = data_of(blocks.get(timeout=10))
        assert (body["title"], body["unread"]) == ("åter normalt", 2)
    with listening(client, "/api/v1/notices/events", last=str(notice - 1)) as blocks:
        block = blocks.get(timeout=10)
        assert block.startswith(f"id: {notice}\nevent: notice\n")


def test_other_peoples_notices_wake_nobody_else(world, log_in, conn, monkeypatch):
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.3)
    with listening(log_in("jon@example.com"), "/api/v1/notices/events") as blocks:
        assert blocks.get(timeout=10).startswith("retry")
        conn.execute("select pg_notify('fjarrvakt_notice', %s)", (f"{world.maria}:1",))
        assert blocks.get(timeout=10) == ": still here"


def test_a_new_hour_changes_the_facility(world, log_in, conn):
    client = log_in()
    with listening(client, f"/api/v1/facilities/{world.house}/events") as blocks:
        assert blocks.get(timeout=10).startswith("retry")
        conn.execute(
            "insert into hour (facility_id, commodity, start_at, energy_j, volume_ml, e8_mlc,"
            " e9_mlc, quality, method_version) values (%s, 1, '2026-11-12 08:00Z', 180000000,"
            " 1000000, 80000000, 50000000, 1, 1)",
            (world.house,),
        )
        conn.execute("select pg_notify('fjarrvakt_change', %s)", (str(world.house),))
        body = data_of(blocks.get(timeout=10))
    assert body["latest"][0]["power_kw"] == 50
    assert body["latest"][0]["return_temp_c"] == 50
    assert [alarm["occurrence_id"] for alarm in body["alarms"]] == [world.active, world.over]


def test_a_stream_ends_with_its_session(world, log_in, conn, monkeypatch):
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.2)
    with listening(log_in(), f"/api/v1/facilities/{world.house}/events") as blocks:
        assert blocks.get(timeout=10).startswith("retry")
        conn.execute("delete from session")
        while (block := blocks.get(timeout=10)) is not None:
            assert block == ": still here"


def test_a_stream_ends_when_access_does(world, log_in, conn, monkeypatch):
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.2)
    with listening(log_in(), f"/api/v1/facilities/{world.house}/events") as blocks:
        assert blocks.get(timeout=10).startswith("retry")
        conn.execute("delete from grant_customer where user_id = %s", (world.maria,))
        while (block := blocks.get(timeout=10)) is not None:
            assert block == ": still here"
