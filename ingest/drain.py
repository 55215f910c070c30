"""From the journal into the database: one drainer per journal, batch after batch."""

import threading
import time
from typing import Final

import psycopg
import structlog

from config.clock import NowUs
from config.settings import Ingest
from ingest import metrics
from ingest.decode import Arrivals, Dictionary
from ingest.journal import Journal
from ingest.pipeline import from_journal, store_batch
from ingest.registry import Registry, read_registry
from ingest.settle import Rules, from_archive
from store import ingest as store
from store.connection import connect

_log = structlog.get_logger()

_BACK_OFF_MAX_S: Final = 30.0
_RELEASE_ROWS: Final = 5_000


class Drainer:
    """Moves batches while the database answers; when it does not, waits and begins again.

    A batch is applied exactly once: its rows and the journal's position share a transaction, and
    the journal forgets it only after the commit.
    """

    def __init__(
        self,
        *,
        dsn: str,
        journal: Journal,
        dictionary: Dictionary,
        settings: Ingest,
        now_us: NowUs,
        host: str,
    ) -> None:
        self._dsn = dsn
        self._journal = journal
        self._dictionary = dictionary
        self._settings = settings
        self._now_us = now_us
        self._host = host
        self._rules = Rules(
            copy_window_us=settings.copy_window_min * 60_000_000,
            future_tolerance_us=settings.future_tolerance_s * 1_000_000,
        )

    def run(self, stop: threading.Event, news: threading.Event) -> None:
        """Drain until `stop`; `news` is set by the receiver when the journal has grown."""
        back_off_s = 0.5
        while not stop.is_set():
            try:
                with connect(self._dsn, name="fjarrvakt-ingest") as conn:
                    self._drain(conn, stop, news)
            except psycopg.OperationalError as error:
                _log.warning(
                    "database does not answer, the journal keeps what arrives",
                    error=str(error).strip(),
                    retry_s=back_off_s,
                )
                stop.wait(back_off_s)
                back_off_s = min(2 * back_off_s, _BACK_OFF_MAX_S)
            else:
                back_off_s = 0.5

    def _drain(
        self, conn: psycopg.Connection, stop: threading.Event, news: threading.Event
    ) -> None:
        journal_id, position = store.open_journal(conn, self._journal.uuid, self._host)
        self._journal.forget(position)
        conn.execute("listen fjarrvakt_registry")
        registry = self._refreshed(conn)
        while not stop.is_set():
            if any(conn.notifies(timeout=0)):
                registry = self._refreshed(conn)
            entries = self._journal.read(position, self._settings.batch_rows)
            self._measure()
            if not entries:
                news.wait(self._settings.batch_wait_s)
                news.clear()
                continue
            begin = time.perf_counter()
            last = entries[-1].position
            self._store(
                conn, from_journal(entries, journal_id), registry, (journal_id, position, last)
            )
            position = last
            self._journal.forget(position)
            seconds = time.perf_counter() - begin
            metrics.COMMIT_SECONDS.observe(seconds)
            _log.info("batch stored", envelopes=len(entries), seconds=round(seconds, 3))

    def _refreshed(self, conn: psycopg.Connection) -> Registry:
        """Read the registry again and release the telegrams whose meter has an owner now."""
        registry = read_registry(conn)
        owned = set(registry.identities.tolist())
        waiting = [one for one in store.waiting_identities(conn) if one in owned]
        while waiting:
            telegrams = store.read_waiting(conn, waiting, _RELEASE_ROWS)
            if not telegrams:
                break
            self._store(conn, from_archive(telegrams), registry, None)
            _log.info("waiting telegrams released", telegrams=len(telegrams))
        return registry

    def _store(
        self,
        conn: psycopg.Connection,
        arrivals: Arrivals,
        registry: Registry,
        advance: tuple[int, int, int] | None,
    ) -> None:
        store_batch(
            conn, arrivals, self._dictionary, registry, self._rules, self._now_us(), advance
        )

    def _measure(self) -> None:
        status = self._journal.status()
        metrics.JOURNAL_DEPTH.set(status.depth)
        metrics.JOURNAL_BYTES.set(status.bytes_used)
        age_us = self._now_us() - status.oldest_at_us if status.oldest_at_us is not None else 0
        metrics.JOURNAL_OLDEST.set(max(age_us, 0) / 1e6)
