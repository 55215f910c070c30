"""The notify role: outbox events become deliveries, deliveries become notices and mails.

Mechanics (leases, back-off) follow the database's clock, because processes share them; what people
read (a notice's time, a mail's date) follows `now_us`.
"""

import asyncio
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import aiosmtplib
import psycopg
import structlog
from prometheus_client import Counter, Gauge

from config.settings import Notify, Settings
from notify import compose, smtp
from notify.expand import Decision, expand, news
from store import notify as store
from store.connection import connect

EVENTS_A_STEP: Final = 500
MAILS_A_STEP: Final = 50
LEASE_S: Final = 180.0
"""Longer than one mail may take (three answers of `smtp.TIMEOUT_S`); renewed before each text."""

BACK_OFF_S: Final = 30.0
BACK_OFF_MAX_S: Final = 6 * 3600.0
RECONNECT_S: Final = 2.0

NOTIFICATIONS: Final = Counter(
    "fjarrvakt_notifications_total",
    "Notifications by channel and what became of them; repeated: a mail sent again after an "
    "outcome nobody could learn, so a second copy may exist",
    ["channel", "result"],
)
OUTBOX_DEPTH: Final = Gauge("fjarrvakt_outbox_depth", "Events not yet expanded into deliveries")
DELIVERIES_WAITING: Final = Gauge("fjarrvakt_deliveries_waiting", "Deliveries not yet ended")

log = structlog.get_logger()


def run(settings: Settings, dsn: str, now_us: Callable[[], int], stop: threading.Event) -> None:
    """Expand and deliver until `stop` is set. A database that goes away is waited for."""
    while not stop.is_set():
        try:
            with connect(dsn, name="fjarrvakt-notify") as conn:
                while not stop.is_set():
                    if not step(settings.notify, conn, now_us):
                        _measure(conn)
                        stop.wait(settings.notify.poll_s)
        except psycopg.OperationalError as error:
            log.warning("notify.database_away", error=type(error).__name__, retry_s=RECONNECT_S)
            stop.wait(RECONNECT_S)


def step(settings: Notify, conn: psycopg.Connection, now_us: Callable[[], int]) -> bool:
    """Expand one batch of events and send one batch of mails; True when there was work."""
    expanded = expand_events(conn, now_us)
    mailed = send_mails(settings, conn, now_us) if settings.smtp_host else 0
    return bool(expanded or mailed)


def expand_events(conn: psycopg.Connection, now_us: Callable[[], int]) -> int:
    """Turn waiting events into deliveries and notices, in one transaction; the number of events."""
    with conn.transaction():
        events = store.take_events(conn, EVENTS_A_STEP)
        if not events:
            return 0
        people = store.people_of_customers(conn, sorted({event.customer_id for event in events}))
        language = {person.user_id: person.language for person in people}
        told = notices = 0
        for event in events:
            decisions = expand(
                news(event.event, event.from_state),
                portal_only=event.portal_only,
                channels=event.channels,
                recipients=event.recipients,
                granted=[p.user_id for p in people if p.customer_id == event.customer_id],
            )
            for decision in decisions:
                if decision.told and _deliver(conn, event, decision, language, now_us):
                    told += 1
                    notices += decision.channel == "portal"
                elif not decision.told:
                    NOTIFICATIONS.labels(decision.channel, "not_told").inc()
        store.stamp_events(conn, [event.event_id for event in events])
    NOTIFICATIONS.labels("portal", "sent").inc(notices)
    log.info("notify.expanded", events=len(events), deliveries=told, notices=notices)
    return len(events)


def _deliver(
    conn: psycopg.Connection,
    event: store.OutboxEvent,
    decision: Decision,
    language: dict[int, str],
    now_us: Callable[[], int],
) -> bool:
    portal = decision.channel == "portal"
    is_new = store.add_delivery(
        conn,
        transition_id=event.transition_id,
        channel=decision.channel,
        recipient=decision.recipient,
        state="sent" if portal else "new",
    )
    if is_new and portal:
        text = compose.compose(event, language[decision.recipient])
        notice = {
            "transition_id": event.transition_id,
            "user_id": decision.recipient,
            "facility_id": event.facility_id,
            "created_at": _moment(now_us),
            "title": text.title,
            "body": text.body,
        }
        store.add_notice(conn, notice)
    return is_new


def send_mails(settings: Notify, conn: psycopg.Connection, now_us: Callable[[], int]) -> int:
    """Claim the mails that are due and try each once; the number claimed."""
    claims = store.claim_mail(conn, limit=MAILS_A_STEP, lease_s=LEASE_S)
    if claims:
        orders = store.describe_mail(conn, [claim.delivery_id for claim in claims])
        by_delivery = {order.delivery_id: order for order in orders}
        work = [(claim, by_delivery[claim.delivery_id]) for claim in claims]
        results = asyncio.run(_send(settings, conn, work, _moment(now_us)))
        log.info("notify.mailed", claimed=len(claims), **_count(results))
    return len(claims)


async def _send(
    settings: Notify,
    conn: psycopg.Connection,
    work: list[tuple[store.Claim, store.MailOrder]],
    date: datetime,
) -> list[str]:
    client = smtp.make_client(settings)
    away: str | None = None
    results = []
    for claim, order in work:
        if away is None and not client.is_connected:
            away = await _connect(client)
        if away is not None:
            outcome: smtp.Outcome = smtp.Retry(away)
        else:
            message = compose.mail(
                order, sender=settings.sender, public_url=settings.public_url, date=date
            )
            begin = _Begin(conn, claim, str(message["Message-ID"]))
            outcome = await smtp.attempt(client, settings.sender, message, begin)
        results.append(_record(settings, conn, claim, outcome))
    if client.is_connected:
        try:
            await client.quit()
        except (aiosmtplib.SMTPException, OSError):
            client.close()  # everything is said already
    return results


async def _connect(client: aiosmtplib.SMTP) -> str | None:
    """Connect; None, or why not. Whatever the server says now is not the recipient's fault."""
    try:
        await client.connect()
    except (aiosmtplib.SMTPException, OSError) as error:
        client.close()
        return f"{type(error).__name__}: {error}"[:500]
    return None


class _Begin:
    """Records that a text goes out; says False when another worker took the delivery meanwhile."""

    def __init__(self, conn: psycopg.Connection, claim: store.Claim, message_id: str) -> None:
        self._conn, self._claim, self._message_id = conn, claim, message_id

    def __call__(self) -> bool:
        held = store.begin_data(
            self._conn, self._claim, message_id=self._message_id, lease_s=LEASE_S
        )
        if held and self._claim.message_id is not None:
            NOTIFICATIONS.labels("mail", "repeated").inc()
        return held


def _record(
    settings: Notify, conn: psycopg.Connection, claim: store.Claim, outcome: smtp.Outcome
) -> str:
    match outcome:
        case smtp.Sent(answer):
            store.mark_sent(conn, claim, answer=answer)
            result = "sent"
        case smtp.Refused(error):
            store.mark_failed(conn, claim, error=error)
            result = "failed"
        case smtp.Retry(error, uncertain) if claim.tries < settings.tries_max:
            store.mark_retry(
                conn,
                claim,
                delay_s=back_off_s(claim.tries, secrets.SystemRandom().random()),
                error=error,
                uncertain=uncertain or claim.message_id is not None,
            )
            result = "retry"
        case smtp.Retry(error):
            store.mark_failed(conn, claim, error=f"given up after {claim.tries} tries: {error}")
            result = "failed"
        case smtp.Lost():
            result = "lost"
    NOTIFICATIONS.labels("mail", result).inc()
    return result


def back_off_s(tries: int, jitter: float) -> float:
    """Wait after this many tries: 30 s x 4^(tries-1), at most 6 h, +-20 % by `jitter`. [s].

    `jitter` is in [0, 1).
    """
    return min(BACK_OFF_S * 4.0 ** (tries - 1), BACK_OFF_MAX_S) * (0.8 + 0.4 * jitter)


def _count(results: list[str]) -> dict[str, int]:
    return {name: results.count(name) for name in sorted(set(results))}


def _measure(conn: psycopg.Connection) -> None:
    events, deliveries = store.depth(conn)
    OUTBOX_DEPTH.set(events)
    DELIVERIES_WAITING.set(deliveries)


def _moment(now_us: Callable[[], int]) -> datetime:
    return datetime.fromtimestamp(now_us() / 1_000_000, UTC)
