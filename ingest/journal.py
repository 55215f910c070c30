"""The journal: what has arrived, durable on this host before anyone is told that it has.

One SQLite file (WAL, synchronous FULL). Any number of processes append; one drains, under a file
lock. `append` returns only when its rows are on disk, many in one commit. What was drained is
deleted after the database's commit; per source and hour a count and an order-free sum of checksums
stay for ever, so that `verify` can prove what became of it.
"""

import fcntl
import os
import sqlite3
import uuid
import zlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

_SCHEMA: Final = """
create table if not exists journal(uuid text not null);
create table if not exists envelope(
    position integer primary key autoincrement, source text not null, address text not null,
    received_at_us integer not null, payload blob not null, checksum integer not null);
create table if not exists tally(
    source text not null, hour_us integer not null, count integer not null,
    checksum_sum integer not null, primary key (source, hour_us)) without rowid;
"""
_HOUR_US: Final = 3_600_000_000
_SUM_MASK: Final = (1 << 62) - 1
_BUSY_MS: Final = 30_000


class Envelope(NamedTuple):
    """Something that arrived: `source` is protocol:name, `address` the topic or bus address."""

    source: str
    address: str
    received_at_us: int
    payload: bytes


class Entry(NamedTuple):
    """An envelope at its place in the journal; not `intact`: its bytes changed on disk."""

    position: int
    envelope: Envelope
    intact: bool


class Status(NamedTuple):
    """What `fjarrvakt journal status` shows."""

    depth: int
    oldest_at_us: int | None
    bytes_used: int
    bytes_max: int


class JournalFullError(Exception):
    """The journal has no room: nothing was taken, nobody may be told that it was."""

    def __init__(self, used: int, limit: int) -> None:
        super().__init__(
            f"journal full: {used} of {limit} bytes; nothing is acknowledged until the database "
            "takes what waits (see ingest.journal_bytes_max)"
        )


def checksum(envelope: Envelope) -> int:
    """CRC-32 over all four parts; stored beside each envelope and summed per source and hour."""
    head = f"{envelope.source}\0{envelope.address}\0{envelope.received_at_us}\0".encode()
    return zlib.crc32(envelope.payload, zlib.crc32(head))


class Journal:
    """One journal file, for one thread; open another for another thread.

    Raises sqlite3.DatabaseError when the file is no journal.
    """

    def __init__(self, path: Path, bytes_max: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._bytes_max = bytes_max
        self._db = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_MS / 1000)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        self._db.execute("begin immediate")
        for statement in _SCHEMA.split(";"):
            self._db.execute(statement)
        if self._db.execute("select count(*) from journal").fetchone() == (0,):
            self._db.execute("insert into journal values (?)", (str(uuid.uuid4()),))
        self._db.execute("commit")
        self.uuid = str(self._db.execute("select uuid from journal").fetchone()[0])
        self._page = int(self._db.execute("pragma page_size").fetchone()[0])
        self._lock_file: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file and of the drainer's lock."""
        self._db.close()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def append(self, envelopes: Sequence[Envelope]) -> None:
        """Take all of these, durably, in this order, or none.

        Raises JournalFullError, or sqlite3.OperationalError when the disk is full or will not
        write; nothing was taken then.
        """
        used = self._bytes_used()
        if used + sum(len(envelope.payload) for envelope in envelopes) > self._bytes_max:
            raise JournalFullError(used, self._bytes_max)
        sums = [checksum(envelope) for envelope in envelopes]
        tally: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
        for envelope, one in zip(envelopes, sums, strict=True):
            entry = tally[envelope.source, envelope.received_at_us // _HOUR_US * _HOUR_US]
            entry[0] += 1
            entry[1] += one
        self._db.execute("begin immediate")
        try:
            self._db.executemany(
                "insert into envelope(source, address, received_at_us, payload, checksum)"
                " values (?, ?, ?, ?, ?)",
                ((*envelope, one) for envelope, one in zip(envelopes, sums, strict=True)),
            )
            self._db.executemany(
                "insert into tally values (?, ?, ?, ?) on conflict do update set"
                " count = count + excluded.count,"
                f" checksum_sum = (checksum_sum + excluded.checksum_sum) & {_SUM_MASK}",
                [(*key, count, total & _SUM_MASK) for key, (count, total) in tally.items()],
            )
            self._db.execute("commit")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("rollback")
            raise

    def read(self, after: int, limit: int) -> list[Entry]:
        """Up to `limit` entries behind position `after`, in order, each checked."""
        rows = self._db.execute(
            "select position, source, address, received_at_us, payload, checksum"
            " from envelope where position > ? order by position limit ?",
            (after, limit),
        )
        entries = []
        for position, source, address, received_at_us, payload, expected in rows:
            envelope = Envelope(source, address, received_at_us, payload)
            entries.append(Entry(position, envelope, checksum(envelope) == expected))
        return entries

    def forget(self, through: int) -> None:
        """Delete up to and including this position; the database has them."""
        self._db.execute("delete from envelope where position <= ?", (through,))

    def become_drainer(self) -> bool:
        """Take the lock that only one drainer holds; False when another process has it."""
        if self._lock_file is None:
            self._lock_file = os.open(self._path.with_suffix(".drainer"), os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def status(self) -> Status:
        """Depth, age and size."""
        # Positions have no holes, so the ends tell the depth without a scan.
        first, last = self._db.execute(
            "select (select min(position) from envelope), (select max(position) from envelope)"
        ).fetchone()
        if first is None:
            return Status(0, None, self._bytes_used(), self._bytes_max)
        (oldest,) = self._db.execute(
            "select received_at_us from envelope where position = ?", (first,)
        ).fetchone()
        return Status(last - first + 1, oldest, self._bytes_used(), self._bytes_max)

    def tallies(self) -> list[tuple[str, int, int, int]]:
        """All that was ever taken: (source, hour [µs], count, sum of checksums)."""
        return self._db.execute("select * from tally order by source, hour_us").fetchall()

    def _bytes_used(self) -> int:
        pages, free = (
            int(self._db.execute(f"pragma {name}").fetchone()[0])
            for name in ("page_count", "freelist_count")
        )
        return (pages - free) * self._page
