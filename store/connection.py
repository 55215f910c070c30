"""Connections to PostgreSQL: autocommit, UTC, named; transactions are always written out."""

import psycopg


def connect(dsn: str, *, name: str = "fjarrvakt") -> psycopg.Connection:
    """A connection with autocommit on, so that `with conn.transaction()` really commits at its end.

    Raises psycopg.OperationalError when the server does not answer.
    """
    return psycopg.connect(
        dsn,
        autocommit=True,
        application_name=name,
        options="-c timezone=UTC",
        connect_timeout=10,
    )
