"""A whole installation on this host: database, schema, every role, until told to stop."""

import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg
import structlog

from config.load import PREFIX
from config.settings import Settings
from fjarrvakt import logs
from fjarrvakt.database import Database, database
from fjarrvakt.supervisor import ROLES, Supervisor
from store import migrate
from store.connection import connect

log = structlog.get_logger()


def run_all(settings: Settings, config: Path | None) -> None:
    """Run every role until SIGTERM or SIGINT; ingest at once, the others when the schema is there.

    Raises fjarrvakt.server_files.PostgresError and fjarrvakt.supervisor.RoleError.
    """
    logs.configure(settings.log_format, role="supervisor")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with database(settings, lambda text: log.info("postgres", what=text)) as found:
        supervisor = Supervisor(config, role_environ(os.environ, found.dsn))
        try:
            # Ingest keeps its promise without a database; what it takes waits in the journal.
            supervisor.start(["ingest"])
            if bring_up_to_date(found, supervisor, stop):
                supervisor.start([role for role in ROLES if role != "ingest"])
            look_after(supervisor, found.revive, stop)
        finally:
            supervisor.stop()
    log.info("stopped")


def role_environ(environ: Mapping[str, str], dsn: str) -> dict[str, str]:
    """The environment of a role: this one, and the database everybody shares."""
    kept = {key: value for key, value in environ.items() if key != f"{PREFIX}DATABASE__DSN_FILE"}
    return kept | {f"{PREFIX}DATABASE__DSN": dsn}


def bring_up_to_date(found: Database, supervisor: Supervisor, stop: threading.Event) -> bool:
    """Migrate, as often as it takes the database to answer; false when told to stop before."""
    while not stop.is_set():
        try:
            with connect(found.dsn, name="fjarrvakt-migrate") as conn:
                done = migrate.migrate(conn)
        except psycopg.OperationalError as error:
            log.warning("database_away", error=str(error).strip(), retry_s=2)
            supervisor.watch(stop, 2)
        else:
            if done:
                log.info("migrated", to=done[-1].version, applied=len(done))
            return True
    return False


def look_after(supervisor: Supervisor, revive: Callable[[], None], stop: threading.Event) -> None:
    """Restart whatever dies, the embedded PostgreSQL too, until `stop`."""
    while not stop.is_set():
        supervisor.watch(stop, 1)
        revive()
