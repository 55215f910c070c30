"""The simulated field while it lives: gateways that publish, meters that wait to be polled."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from config.clock import NowUs
from fjarrvakt.demo.stage import Ports
from simulators.fleet import Fleet
from simulators.gateway import connected_gateway
from simulators.history import live_publications
from simulators.meters import polled_meters

_log = structlog.get_logger()
_BEAT_S: Final = 0.05


@contextmanager
def field(fleet: Fleet, ports: Ports, now_us: NowUs, since_us: int) -> Iterator[None]:
    """Meters and gateways speak from `since_us` on, by this clock, until the `with` ends."""
    with polled_meters(fleet, now_us, mbus_port=ports.mbus, modbus_port=ports.modbus):
        stop = threading.Event()
        publisher = threading.Thread(
            target=_publish, args=(fleet, ports.broker, now_us, since_us, stop), daemon=True
        )
        publisher.start()
        try:
            yield
        finally:
            stop.set()
            publisher.join()


def _publish(fleet: Fleet, port: int, now_us: NowUs, since_us: int, stop: threading.Event) -> None:
    """Publish what falls due; after a fault, what was not acknowledged is still due."""
    while not stop.is_set():
        try:
            with connected_gateway("127.0.0.1", port, "demo-gateways") as gateway:
                while not stop.wait(_BEAT_S):
                    until_us = min(now_us(), fleet.end_us)
                    gateway.publish(live_publications(fleet, since_us, until_us))
                    since_us = until_us
        except (OSError, TimeoutError) as error:
            _log.warning("demo gateways lost their broker", error=str(error))
            stop.wait(1.0)
