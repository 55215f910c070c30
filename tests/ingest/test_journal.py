import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.journal import Envelope, Journal, JournalFullError, checksum

MB = 1 << 20


def envelope(number: int, *, size: int = 20) -> Envelope:
    return Envelope(
        "mqtt:main", f"gw/{number % 3}/up/telegram", 1_700_000_000_000_000 + number, b"x" * size
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal" / "ingest.sqlite"


def test_keeps_order_and_content_over_a_restart(path):
    taken = [envelope(number) for number in range(1000)]
    with Journal(path, MB) as journal:
        journal.append(taken[:400])
        journal.append(taken[400:])
        name = journal.uuid
    with Journal(path, MB) as journal:
        entries = journal.read(0, 10_000)
        assert journal.uuid == name
    assert [entry.envelope for entry in entries] == taken
    assert [entry.position for entry in entries] == list(range(1, 1001))
    assert all(entry.intact for entry in entries)


def test_positions_are_never_used_again_after_forgetting(path):
    with Journal(path, MB) as journal:
        journal.append([envelope(1), envelope(2)])
        journal.forget(2)
    with Journal(path, MB) as journal:
        journal.append([envelope(3)])
        assert [entry.position for entry in journal.read(0, 10)] == [3]
        assert journal.status().depth == 1


def test_full_journal_takes_all_or_nothing_and_goes_on_when_there_is_room(path):
    with Journal(path, MB) as journal:
        journal.append([envelope(number, size=10_000) for number in range(80)])
        with pytest.raises(JournalFullError, match="nothing is acknowledged"):
            journal.append([envelope(number, size=10_000) for number in range(80)])
        assert journal.status().depth == 80
        journal.forget(80)
        journal.append([envelope(number, size=10_000) for number in range(80)])
        assert journal.status().depth == 80


def test_tally_outlives_what_was_drained(path):
    taken = [envelope(number) for number in range(10)]
    with Journal(path, MB) as journal:
        journal.append(taken)
        journal.forget(10)
        hour = 1_700_000_000_000_000 // 3_600_000_000 * 3_600_000_000
        assert journal.tallies() == [("mqtt:main", hour, 10, sum(map(checksum, taken)))]


def test_a_byte_changed_on_disk_is_noticed(path):
    with Journal(path, MB) as journal:
        journal.append([envelope(1), envelope(2)])
    with sqlite3.connect(path) as db:
        db.execute("update envelope set payload = ? where position = 1", (b"y" * 20,))
    with Journal(path, MB) as journal:
        assert [entry.intact for entry in journal.read(0, 10)] == [False, True]


def test_one_drainer_at_a_time(path):
    with Journal(path, MB) as first, Journal(path, MB) as second:
        assert first.become_drainer()
        assert not second.become_drainer()
        first.close()
        assert second.become_drainer()


WRITER = """
import sys
from pathlib import Path
from ingest.journal import Envelope, Journal
journal = Journal(Path(sys.argv[1]), 1 << 30)
name = sys.argv[2]
for number in range(100_000):
    journal.append([Envelope("mqtt:" + name, str(number), 1_700_000_000_000_000, b"z" * 50)])
    print(number, flush=True)
"""


def test_what_was_told_as_taken_survives_kill_9_of_several_writers(path):
    """Two processes append and say what they have; both are killed in the middle of it."""
    with Journal(path, 1 << 30):
        pass
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name], stdout=subprocess.PIPE, text=True
        )
        for name in ("a", "b")
    ]
    told = {}
    for name, writer in zip("ab", writers, strict=True):
        assert writer.stdout is not None
        for _ in range(30):
            told[name] = int(writer.stdout.readline())
    for writer in writers:
        os.kill(writer.pid, signal.SIGKILL)
    for name, writer in zip("ab", writers, strict=True):
        rest, _ = writer.communicate()
        lines = [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        told[name] = int(lines[-1]) if lines else told[name]
    with Journal(path, 1 << 30) as journal:
        entries = journal.read(0, 1_000_000)
    for name in "ab":
        mine = [int(e.envelope.address) for e in entries if e.envelope.source == f"mqtt:{name}"]
        assert mine == list(range(len(mine))), "per-source order, no hole"
        assert len(mine) > told[name]
