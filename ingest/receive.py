"""From the field into the journal: nobody is told "got it" before the journal has committed."""

import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from config.clock import NowUs
from ingest import metrics
from ingest.journal import Envelope, Journal, JournalFullError

_log = structlog.get_logger()

_GROUP_MAX: Final = 5_000
_RETRY_S: Final = 1.0


class Arrival(NamedTuple):
    """An envelope and how to tell its sender that it is safe."""

    envelope: Envelope
    ack: Callable[[], None]


def _nobody() -> None:
    """Polled meters wait for no acknowledgement."""


class Receiver:
    """Groups what many sources deliver into few commits; the queue is bounded, so senders wait.

    `deliver` may be called from any thread and blocks while the queue is full: that is the
    back-pressure which reaches the broker as unread TCP bytes.
    """

    def __init__(self, path: Path, bytes_max: int, now_us: NowUs) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._now_us = now_us
        self._queue: queue.Queue[Arrival] = queue.Queue(maxsize=2 * _GROUP_MAX)
        self._stop = threading.Event()
        self.committed = threading.Event()
        self.finished = threading.Event()

    def stop(self) -> None:
        """Take nothing more; `run` commits what has been delivered and ends."""
        self._stop.set()

    def deliver(
        self, source: str, address: str, payload: bytes, ack: Callable[[], None] = _nobody
    ) -> None:
        """Hand over what arrived now; `ack` follows its commit. Blocks while the queue is full.

        After `stop` it takes nothing and acknowledges nothing.
        """
        arrival = Arrival(Envelope(source, address, self._now_us(), payload), ack)
        while not self._stop.is_set():
            try:
                self._queue.put(arrival, timeout=_RETRY_S)
            except queue.Full:
                continue
            return

    def run(self) -> None:
        """Commit groups and acknowledge them, until stopped; for a thread of its own."""
        try:
            with Journal(self._path, self._bytes_max) as journal:
                while not (self._stop.is_set() and self._queue.empty()):
                    self._serve(journal)
        finally:
            self.finished.set()

    def _serve(self, journal: Journal) -> None:
        group = self._take()
        while not self._commit(journal, group):
            if self._stop.wait(_RETRY_S):
                return  # not acknowledged: the senders still have it
        for arrival in group:
            arrival.ack()

    def _take(self) -> list[Arrival]:
        try:
            group = [self._queue.get(timeout=0.1)]
        except queue.Empty:
            return []
        while len(group) < _GROUP_MAX:
            try:
                group.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return group

    def _commit(self, journal: Journal, group: list[Arrival]) -> bool:
        """True when the group is durable; else offer it again: nothing is ever dropped."""
        try:
            if group:
                journal.append([arrival.envelope for arrival in group])
        except (JournalFullError, sqlite3.OperationalError) as error:
            metrics.JOURNAL_FULL.inc()
            _log.error("journal takes nothing, nothing is acknowledged", error=str(error))
            return False
        self.committed.set()
        return True
