"""A broker for the demo: mosquitto where it is installed, else amqtt inside this process."""

import asyncio
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection
from time import monotonic, sleep
from typing import Any, Final, NamedTuple

from fjarrvakt.server_files import is_free

_START_S: Final = 20


class Broker(NamedTuple):
    """Where the broker listens, and whether it speaks MQTT 5 (mosquitto) or 3.1.1 only (amqtt)."""

    port: int
    version: int


class BrokerError(RuntimeError):
    """No broker can be had; the message says why and what to do."""


@contextmanager
def running(folder: Path, port: int, say: Callable[[str], None]) -> Iterator[Broker]:
    """A broker on this loopback port for the length of a `with`; it keeps its state in `folder`.

    Raises BrokerError.
    """
    if not is_free(port):
        raise BrokerError(f"the broker does not start: port {port} is taken by another program")
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    program = shutil.which("mosquitto", path=places)
    if program is not None:
        with _mosquitto(program, folder, port):
            yield Broker(port, 5)
    else:
        say(
            "mosquitto is not installed: an embedded broker stands in. It speaks MQTT 3.1.1 and "
            "forgets what was not acknowledged; good for a demo, not for metering"
        )
        with _amqtt(port):
            yield Broker(port, 4)


@contextmanager
def _mosquitto(program: str, folder: Path, port: int) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\n"
        "allow_anonymous true\n"
        # The defaults drop what queues beyond 1 000 messages, and all of it at a crash.
        "max_queued_messages 0\n"
        "max_inflight_messages 1000\n"
        "persistence true\n"
        f"persistence_location {folder}/\n"
        "autosave_interval 5\n"
    )
    log = folder / "mosquitto.log"
    # Under root mosquitto would become the user mosquitto, who may not enter this folder.
    as_us = ["user root\n"] if os.geteuid() == 0 else []
    with config.open("a") as out:
        out.writelines(as_us)
    with log.open("wb") as out_log:
        process = subprocess.Popen(  # noqa: S603 - found on the path
            [program, "-c", str(config)], stdout=out_log, stderr=out_log, start_new_session=True
        )
    try:
        _wait_for(port, lambda: process.poll() is None, lambda: log.read_text(errors="replace"))
        yield
    finally:
        process.terminate()
        try:
            process.wait(_START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _amqtt(port: int) -> Iterator[None]:
    try:
        from amqtt.broker import Broker as Embedded
    except ImportError:
        raise BrokerError(
            "no broker: install mosquitto (apt-get install mosquitto) or the embedded one "
            "(pip install 'fjarrvakt[broker]')"
        ) from None
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="broker", daemon=True)
    thread.start()
    config: dict[str, Any] = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }

    async def start() -> Any:
        embedded = Embedded(config)
        await embedded.start()
        return embedded

    embedded = asyncio.run_coroutine_threadsafe(start(), loop).result(_START_S)
    try:
        _wait_for(port, thread.is_alive, lambda: "the embedded broker is silent")
        yield
    finally:
        asyncio.run_coroutine_threadsafe(embedded.shutdown(), loop).result(_START_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_S)
        loop.close()


def _wait_for(port: int, alive: Callable[[], bool], last_words: Callable[[], str]) -> None:
    deadline = monotonic() + _START_S
    while True:
        try:
            create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if not alive() or monotonic() > deadline:
                raise BrokerError(f"the broker does not start: {last_words()[-1000:]}") from None
            sleep(0.02)
        else:
            return
