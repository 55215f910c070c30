"""The ingest role: brokers, buses and units deliver into the journal, one drainer empties it."""

import socket
import threading
from typing import Final

import structlog

from config.clock import NowUs
from config.modbus_maps import load_maps
from config.profiles import load_profiles
from config.settings import Settings
from ingest.decode import Dictionary
from ingest.drain import Drainer
from ingest.journal import Journal
from ingest.receive import Receiver

_log = structlog.get_logger()

JOURNAL_FILE: Final = "journal/ingest.sqlite"
_STANDBY_S: Final = 1.0


def run(settings: Settings, dsn: str, now_us: NowUs, stop: threading.Event) -> None:
    """Receive, poll and drain until `stop`; then take nothing more, commit what was taken, end."""
    path = settings.data_dir / JOURNAL_FILE
    dictionary = Dictionary(profiles=load_profiles(), maps=load_maps())
    with Journal(path, settings.ingest.journal_bytes_max) as journal:
        if not _await_turn(journal, stop):
            return
        receiver = Receiver(path, settings.ingest.journal_bytes_max, now_us)
        receiver.start()
        drainer = Drainer(dsn, journal, dictionary, settings.ingest, now_us, socket.gethostname())
        sources = _start_sources(settings, dictionary, receiver, stop)
        try:
            drainer.run(stop, receiver.committed)
        finally:
            stop.set()
            for end in sources:
                end()
            receiver.stop()


def _await_turn(journal: Journal, stop: threading.Event) -> bool:
    """Wait as standby while another process drains this journal."""
    told = False
    while not journal.become_drainer():
        if not told:
            _log.info("standby: another ingest drains this journal")
            told = True
        if stop.wait(_STANDBY_S):
            return False
    return True
