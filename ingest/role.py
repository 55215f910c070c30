"""The ingest role: brokers, buses and units deliver into the journal, one drainer empties it."""

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Final

import structlog

from adapters.mqtt.source import MqttSource
from config.clock import NowUs
from config.modbus_maps import load_maps
from config.profiles import load_profiles
from config.settings import Mqtt, Settings
from ingest.decode import Dictionary
from ingest.drain import Drainer
from ingest.journal import Journal
from ingest.poll import Poller
from ingest.receive import Receiver

_log = structlog.get_logger()

JOURNAL_FILE: Final = "journal/ingest.sqlite"
_STANDBY_S: Final = 1.0
_TAKE_MAX: Final = 1_000
_TAKE_WAIT_S: Final = 0.2


class SettingsError(ValueError):
    """The settings name something that is not there."""


def run(settings: Settings, dsn: str, now_us: NowUs, stop: threading.Event) -> None:
    """Receive, poll and drain until `stop`; then take nothing more, commit what was taken, end.

    Raises SettingsError when a unit's register map is unknown.
    """
    dictionary = Dictionary(profiles=load_profiles(), maps=load_maps())
    for unit in settings.modbus:
        if unit.profile not in dictionary.maps:
            raise SettingsError(
                f"modbus unit {unit.name}: no register map {unit.profile!r}; "
                f"there are {', '.join(sorted(dictionary.maps))}"
            )
    path = settings.data_dir / JOURNAL_FILE
    with Journal(path, settings.ingest.journal_bytes_max) as journal:
        if not _await_turn(journal, stop):
            return
        receiver = Receiver(path, settings.ingest.journal_bytes_max, now_us)
        poller = Poller(settings, dictionary.maps, receiver)
        works = _Works(stop)
        works.start("journal", receiver.run)
        works.start("poll", lambda: asyncio.run(poller.run(stop)))
        if settings.mqtt.host:
            works.start("mqtt", lambda: _carry(settings.mqtt, receiver, stop))
        drainer = Drainer(
            dsn=dsn,
            journal=journal,
            dictionary=dictionary,
            settings=settings.ingest,
            now_us=now_us,
            host=socket.gethostname(),
        )
        try:
            drainer.run(stop, receiver.committed)
        finally:
            stop.set()
            receiver.stop()
            works.join()


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


class _Works:
    """The role's threads. One that dies takes the role with it: half an ingest looks whole."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._threads: list[threading.Thread] = []
        self._failed: list[Exception] = []

    def start(self, name: str, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001  # raised again by join
                _log.exception("a thread of ingest died, the role ends", thread=name)
                self._failed.append(error)
                self._stop.set()

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def join(self) -> None:
        """Wait for all of them. Raises what the first that died had raised."""
        for thread in self._threads:
            thread.join()
        if self._failed:
            raise self._failed[0]


def _carry(settings: Mqtt, receiver: Receiver, stop: threading.Event) -> None:
    """Carry what the broker delivers to the receiver, until `stop`."""
    source = MqttSource(
        settings.host,
        settings.port,
        client_id=settings.client_id,
        topics=settings.topics,
        username=settings.username,
        password=settings.password.get_secret_value(),
        session_expiry_s=settings.session_expiry_s,
        protocol=settings.protocol,
    )
    source.start()
    try:
        while not stop.is_set():
            for message in source.take(_TAKE_MAX, _TAKE_WAIT_S):
                receiver.deliver(
                    f"mqtt:{settings.name}", message.topic, message.payload, message.ack
                )
        receiver.finished.wait()  # acknowledge what was committed before the connection closes
    finally:
        source.stop()
