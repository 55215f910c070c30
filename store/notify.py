"""The outbox, deliveries and notices. Leases and due times follow the database's clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg.rows import class_row

from store.queries import load

Q: Final = load("notify")


@dataclass(frozen=True, kw_only=True)
class Happening:
    """One transition of one alarm with what a person needs to understand it.

    `limit_value`, `raised_value` and `value` are 0.01 °C for the temperature kinds and W for the
    power kinds; `value` is None when the transition carries none.
    """

    transition_id: int
    occurrence_id: int
    event: str
    from_state: str
    to_state: str
    source_at: datetime
    value: int | None
    kind: str
    commodity: int
    since: datetime
    until: datetime | None
    season: str
    limit_value: int
    raised_value: int
    extreme_value: int
    window_h: int
    facility_id: int
    facility_name: str


@dataclass(frozen=True, kw_only=True)
class OutboxEvent(Happening):
    """A happening that waits to be expanded, with its rule's channels and recipients."""

    event_id: int
    portal_only: bool
    channels: list[str]
    recipients: list[int]
    customer_id: int


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who holds a grant on a customer."""

    customer_id: int
    user_id: int
    language: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A delivery this worker holds until its lease runs out.

    `message_id` is not None when an earlier try may have put a copy on its way.
    """

    delivery_id: int
    transition_id: int
    recipient: int
    tries: int
    message_id: str | None


@dataclass(frozen=True, kw_only=True)
class MailOrder(Happening):
    """What a claimed mail says and to whom."""

    delivery_id: int
    email: str
    language: str


def take_events(conn: psycopg.Connection, limit: int) -> list[OutboxEvent]:
    """Lock up to `limit` events that wait; call inside the transaction that stamps them."""
    with conn.cursor(row_factory=class_row(OutboxEvent)) as cursor:
        return cursor.execute(Q["take_events"], {"limit": limit}).fetchall()


def people_of_customers(conn: psycopg.Connection, customer_ids: Sequence[int]) -> list[Person]:
    """Everybody with a grant on one of the customers."""
    with conn.cursor(row_factory=class_row(Person)) as cursor:
        return cursor.execute(
            Q["people_of_customers"], {"customer_ids": list(customer_ids)}
        ).fetchall()


def add_delivery(
    conn: psycopg.Connection, *, transition_id: int, channel: str, recipient: int, state: str
) -> bool:
    """Add a delivery unless this (transition, channel, recipient) has one; True when it is new."""
    parameters = {
        "transition_id": transition_id,
        "channel": channel,
        "recipient": recipient,
        "state": state,
    }
    return conn.execute(Q["add_delivery"], parameters).rowcount == 1


def add_notice(conn: psycopg.Connection, notice: Mapping[str, Any]) -> None:
    """Write one portal notice and announce it to listening portals when the transaction commits."""
    row = conn.execute(Q["add_notice"], notice).fetchone()
    if row is not None:
        announcement = {"user_id": notice["user_id"], "notice_id": row[0]}
        conn.execute(Q["announce_notice"], announcement)


def stamp_events(conn: psycopg.Connection, event_ids: Sequence[int]) -> None:
    """Mark events as expanded."""
    conn.execute(Q["stamp_event"], {"event_ids": list(event_ids)})


def claim_mail(conn: psycopg.Connection, *, limit: int, lease_s: float) -> list[Claim]:
    """Take up to `limit` mails that are due, or whose worker's lease ran out."""
    with conn.cursor(row_factory=class_row(Claim)) as cursor:
        return cursor.execute(Q["claim_mail"], {"limit": limit, "lease_s": lease_s}).fetchall()


def describe_mail(conn: psycopg.Connection, delivery_ids: Sequence[int]) -> list[MailOrder]:
    """What the claimed mails say, in no particular order."""
    with conn.cursor(row_factory=class_row(MailOrder)) as cursor:
        return cursor.execute(Q["describe_mail"], {"delivery_ids": list(delivery_ids)}).fetchall()


def begin_data(conn: psycopg.Connection, claim: Claim, *, message_id: str, lease_s: float) -> bool:
    """Note that the text now goes out, and renew the lease; False when the claim was lost."""
    parameters = {**_key(claim), "message_id": message_id, "lease_s": lease_s}
    return conn.execute(Q["begin_data"], parameters).rowcount == 1


def mark_sent(conn: psycopg.Connection, claim: Claim, *, answer: str) -> None:
    """Note the server's acceptance with its words."""
    conn.execute(Q["mark_sent"], {**_key(claim), "answer": answer})


def mark_retry(
    conn: psycopg.Connection, claim: Claim, *, delay_s: float, error: str, uncertain: bool
) -> None:
    """Give the delivery back, due in `delay_s` [s]; `uncertain`: a copy may have gone out."""
    parameters = {**_key(claim), "delay_s": delay_s, "error": error, "uncertain": uncertain}
    conn.execute(Q["mark_retry"], parameters)


def mark_failed(conn: psycopg.Connection, claim: Claim, *, error: str) -> None:
    """End the delivery as failed."""
    conn.execute(Q["mark_failed"], {**_key(claim), "error": error})


def _key(claim: Claim) -> dict[str, int]:
    return {"delivery_id": claim.delivery_id, "tries": claim.tries}


def depth(conn: psycopg.Connection) -> tuple[int, int]:
    """(events not yet expanded, deliveries not yet ended)."""
    row = conn.execute(Q["depth"]).fetchone()
    return (row[0], row[1]) if row is not None else (0, 0)
