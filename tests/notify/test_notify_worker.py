"""The outbox against a real database and a real SMTP server that misbehaves on purpose."""
# ruff: noqa: ARG002, N802 - aiosmtpd gives its handlers their names and arguments

import asyncio
import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default

import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from config.settings import Notify, Settings
from notify import worker
from store import notify as store
from tests.conftest import free_port
from tests.portal import seed

pytestmark = [pytest.mark.db, pytest.mark.concurrent]


class Inbox:
    """An SMTP server that answers DATA by a script; what it took (250) and what it was shown."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.shown: list[str] = []
        self.bodies: list[bytes] = []
        self.answers: list[str] = []
        self.recipient_answers: list[str] = []
        self.hang = threading.Event()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.recipient_answers.pop(0) if self.recipient_answers else "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        message_id = str(message_from_bytes(envelope.content, policy=default)["Message-ID"])
        self.shown.append(message_id)
        answer = self.answers.pop(0) if self.answers else "250 OK queued"
        if answer == "drop":
            server.transport.close()
            return "250 never read"
        if answer == "hang":
            self.taken.append(message_id)
            self.hang.set()
            await asyncio.sleep(1.0)
            return "250 too late"
        if answer.startswith("250"):
            self.taken.append(message_id)
            self.bodies.append(envelope.content)
        return answer


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def settings(inbox: Inbox) -> Iterator[Settings]:
    port = free_port()
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield Settings(notify=Notify(smtp_host="127.0.0.1", smtp_port=port, poll_s=0.05))
    with contextlib.suppress(RuntimeError):
        controller.stop()


@pytest.fixture
def people(conn: psycopg.Connection) -> dict[str, int]:
    customer = seed.add_customer(conn, "100412", "Tallbackens Fastigheter AB")
    facility = seed.add_facility(conn, customer, "Kvarngatan 12")
    return {
        "maria": seed.add_user(conn, "maria@example.com", {customer: "admin"}),
        "jon": seed.add_user(conn, "jon@example.com", {customer: "read"}, language="en"),
        "stranger": seed.add_user(
            conn, "x@example.com", {seed.add_customer(conn, "2", "Annan"): "admin"}
        ),
        "facility": facility,
        "rule": seed.add_rule(conn, facility),
    }


def now_us() -> int:
    return seed.us(seed.NOW)


def states(conn: psycopg.Connection) -> dict[str, list[str]]:
    rows = conn.execute(
        "select channel, array_agg(state order by delivery_id) from delivery group by 1"
    ).fetchall()
    return dict(rows)


def due_now(conn: psycopg.Connection) -> None:
    conn.execute("update delivery set due = now() where state = 'new'")


def drain(settings: Settings, conn: psycopg.Connection) -> None:
    while worker.step(settings.notify, conn, now_us):
        pass


def test_one_event_reaches_everybody_once(conn, people, settings, inbox):
    seed.raise_alarm(conn, people["rule"], seed.NOW)
    drain(settings, conn)
    drain(settings, conn)
    assert states(conn) == {"portal": ["sent", "sent"], "mail": ["sent", "sent"]}
    assert len(inbox.taken) == len(set(inbox.taken)) == 2
    notices = conn.execute(
        "select user_id, facility_id, created_at, title, read_at from notice order by user_id"
    ).fetchall()
    assert [row[0] for row in notices] == [people["maria"], people["jon"]]
    assert notices[0][1:3] == (people["facility"], seed.NOW)
    assert "vintergränsen är 45" in notices[0][3]
    assert "winter limit is 45" in notices[1][3]
    assert store.depth(conn) == (0, 0)


def test_expanding_again_changes_nothing(conn, people, settings, inbox):
    seed.raise_alarm(conn, people["rule"], seed.NOW)
    drain(settings, conn)
    conn.execute("update outbox set expanded_at = null")
    drain(settings, conn)
    assert len(inbox.taken) == 2
    assert conn.execute("select count(*) from notice").fetchone() == (2,)


def test_old_readings_give_a_notice_only(conn, people, settings, inbox):
    seed.raise_alarm(conn, people["rule"], seed.NOW, portal_only=True)
    drain(settings, conn)
    assert states(conn) == {"portal": ["sent", "sent"]}
    assert inbox.taken == []


def test_notices_are_announced_to_listening_portals(dsn, conn, people, settings):
    with psycopg.connect(dsn, autocommit=True) as listener:
        listener.execute("listen fjarrvakt_notice")
        seed.raise_alarm(conn, people["rule"], seed.NOW)
        drain(settings, conn)
        heard = [note.payload.split(":")[0] for note in listener.notifies(timeout=5, stop_after=2)]
    assert heard == [str(people["maria"]), str(people["jon"])]


def test_without_a_server_mail_waits_visibly(conn, people):
    seed.raise_alarm(conn, people["rule"], seed.NOW)
    nowhere = Settings(notify=Notify(smtp_host=""))
    assert worker.step(nowhere.notify, conn, now_us)
    assert states(conn) == {"portal": ["sent", "sent"], "mail": ["new", "new"]}


ANSWERS = [
    pytest.param([], ["451 greylisted"], "new", "sent", 2, 0, id="451 at DATA, then 250"),
    pytest.param(["451 later"], [], "new", "sent", 1, 0, id="451 at RCPT, then 250"),
    pytest.param([], ["550 no such user"], "failed", "failed", 1, 0, id="550 at DATA ends it"),
    pytest.param(["550 unknown"], [], "failed", "failed", 0, 0, id="550 at RCPT ends it"),
    pytest.param([], ["421 closing"], "new", "sent", 2, 0, id="421 is temporary"),
    pytest.param([], ["drop"], "new", "sent", 2, 1,
                 id="connection dies after DATA: again, same Message-ID, counted"),
]  # fmt: skip


@pytest.mark.parametrize(("rcpt", "data", "first", "last", "shown", "repeated"), ANSWERS)
def test_what_the_server_says(
    conn, people, settings, inbox, rcpt, data, first, last, shown, repeated
):
    conn.execute("update alarm_rule set recipients = %s", ([people["maria"]],))
    inbox.recipient_answers, inbox.answers = list(rcpt), list(data)
    seed.raise_alarm(conn, people["rule"], seed.NOW)
    before = worker.NOTIFICATIONS.labels("mail", "repeated")._value.get()
    drain(settings, conn)
    assert states(conn)["mail"] == [first]
    due_now(conn)
    drain(settings, conn)
    assert states(conn)["mail"] == [last]
    assert len(inbox.shown) == shown
    assert len(set(inbox.shown)) <= 1
    assert worker.NOTIFICATIONS.labels("mail", "repeated")._value.get() - before == repeated
    error = conn.execute("select last_error from delivery where channel = 'mail'").fetchone()
    assert "maria@" not in str(error)


def test_retries_back_off_and_end(conn, people, settings, inbox):
    conn.execute("update alarm_rule set recipients = %s", ([people["maria"]],))
    inbox.answers = ["451 no"] * 20
    seed.raise_alarm(conn, people["rule"], seed.NOW)
    waits = []
    for _ in range(settings.notify.tries_max):
        drain(settings, conn)
        row = conn.execute(
            "select state, extract(epoch from due - now())::float8 from delivery"
            " where channel = 'mail'"
        ).fetchone()
        waits.append(row[1])
        due_now(conn)
    assert row[0] == "failed"
    assert 23 < waits[0] < 37
    assert 95 < waits[1] < 145
    assert len(inbox.shown) == 8


@pytest.mark.parametrize(("tries", "jitter", "seconds"), [
    pytest.param(1, 0.5, 30, id="first"), pytest.param(2, 0.5, 120, id="second"),
    pytest.param(3, 0.0, 384, id="lower end"), pytest.param(8, 0.5, 21600, id="capped"),
])  # fmt: skip
def test_back_off(tries, jitter, seconds):
    assert worker.back_off_s(tries, jitter) == pytest.approx(seconds)


def test_no_server_answers(conn, people):
    seed.raise_alarm(conn, people["rule"], seed.NOW)
    away = Settings(notify=Notify(smtp_host="127.0.0.1", smtp_port=free_port()))
    drain(away, conn)
    assert states(conn)["mail"] == ["new", "new"]


def test_a_lost_claim_writes_nothing(conn, people):
    seed.raise_alarm(conn, people["rule"], seed.NOW)
    worker.expand_events(conn, now_us)
    old = store.claim_mail(conn, limit=1, lease_s=-1)[0]
    new = next(
        claim
        for claim in store.claim_mail(conn, limit=5, lease_s=60)
        if claim.delivery_id == old.delivery_id
    )
    assert not store.begin_data(conn, old, message_id="<x@y>", lease_s=60)
    store.mark_failed(conn, old, error="too late")
    assert store.begin_data(conn, new, message_id="<x@y>", lease_s=60)
    assert states(conn)["mail"].count("sending") == 2


def test_two_workers_share_without_doubling(dsn, conn, people, settings, inbox):
    for _ in range(30):
        seed.raise_alarm(conn, people["rule"], seed.NOW)
    stop = threading.Event()
    workers = [
        threading.Thread(target=worker.run, args=(settings, dsn, now_us, stop)) for _ in range(2)
    ]
    for thread in workers:
        thread.start()
    deadline = time.monotonic() + 30
    while len(inbox.taken) < 60 and time.monotonic() < deadline:
        time.sleep(0.05)
    stop.set()
    for thread in workers:
        thread.join(20)
    assert len(inbox.taken) == len(set(inbox.taken)) == 60
    assert set(states(conn)["mail"]) == {"sent"}


def test_killed_between_data_and_250(dsn, conn, people, settings, inbox):
    """The one case where a second copy exists: the server took it, we died before we knew."""
    conn.execute("update alarm_rule set recipients = %s", ([people["maria"]],))
    seed.raise_alarm(conn, people["rule"], seed.NOW)
    inbox.answers = ["hang"]
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_run_for_ever, args=(settings, dsn))
    process.start()
    assert inbox.hang.wait(30)
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)
    assert states(conn)["mail"] == ["sending"]
    drain(settings, conn)
    assert states(conn)["mail"] == ["sending"], "the lease still runs"
    conn.execute("update delivery set lease_until = now() where state = 'sending'")
    before = worker.NOTIFICATIONS.labels("mail", "repeated")._value.get()
    time.sleep(1.0)  # the server is still asleep over the first copy
    drain(settings, conn)
    assert states(conn)["mail"] == ["sent"]
    assert len(inbox.taken) == 2
    assert len(set(inbox.taken)) == 1
    assert worker.NOTIFICATIONS.labels("mail", "repeated")._value.get() - before == 1


def _run_for_ever(settings: Settings, dsn: str) -> None:
    worker.run(settings, dsn, now_us, threading.Event())
