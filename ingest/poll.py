"""The polling schedule: every bus and unit at its own interval, in one event loop."""

import asyncio
import functools
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from adapters.mbus.bus import MbusBus
from adapters.modbus.registermap import RegisterMap
from adapters.modbus.source import ModbusError, ModbusUnit
from config.settings import Settings
from ingest import metrics
from ingest.receive import Receiver

_log = structlog.get_logger()

_MISFIRE_S: Final = 3600  # a poll that could not run in time is made up for once, not dropped

Poll = Callable[[], Awaitable[bool]]
"""Asks once; whether a telegram came."""


class Poller:
    """Polls what the settings name.

    A poll that takes longer than its interval is not begun twice; one bus or unit waits for no
    other. With a clock that runs faster than time the intervals shrink with it.
    """

    def __init__(
        self, settings: Settings, maps: Mapping[str, RegisterMap], receiver: Receiver
    ) -> None:
        self._settings = settings
        self._maps = maps
        self._receiver = receiver

    async def run(self, stop: threading.Event) -> None:
        """Poll until `stop`; the first polls happen at once."""
        scheduler = AsyncIOScheduler(event_loop=asyncio.get_running_loop())
        for name, interval_s, poll in self._polls():
            scheduler.add_job(
                _measured,
                "interval",
                (name, poll),
                seconds=interval_s / self._settings.clock.speed,
                next_run_time=datetime.now(UTC),
                coalesce=True,
                max_instances=1,
                misfire_grace_time=_MISFIRE_S,
            )
        scheduler.start()
        await asyncio.to_thread(stop.wait)
        scheduler.shutdown(wait=False)

    def _polls(self) -> list[tuple[str, float, Poll]]:
        polls: list[tuple[str, float, Poll]] = []
        for one in self._settings.mbus:
            bus = MbusBus(one.host, one.port, timeout_s=one.timeout_s)
            deliver = functools.partial(self._receiver.deliver, f"mbus:{one.name}")
            polls.append(
                (one.name, one.interval_s, _mbus_poll(bus, one.primary_addresses, deliver))
            )
        for unit in self._settings.modbus:
            meter = ModbusUnit(
                unit.host,
                unit.port,
                unit=unit.unit,
                meter=unit.meter,
                register_map=self._maps[unit.profile],
                timeout_s=unit.timeout_s,
            )
            deliver = functools.partial(self._receiver.deliver, f"modbus:{unit.name}")
            polls.append((unit.name, unit.interval_s, _modbus_poll(meter, deliver)))
        return polls


def _mbus_poll(
    bus: MbusBus, addresses: tuple[int, ...], deliver: Callable[[str, bytes], None]
) -> Poll:
    async def poll() -> bool:
        failed = await bus.poll(addresses, deliver)
        return len(failed) < len(addresses)

    return poll


def _modbus_poll(unit: ModbusUnit, deliver: Callable[[str, bytes], None]) -> Poll:
    async def poll() -> bool:
        try:
            await unit.poll(deliver)
        except ModbusError as error:
            _log.warning("modbus unit failed", error=str(error))
            return False
        return True

    return poll


async def _measured(name: str, poll: Poll) -> None:
    begin = time.perf_counter()
    try:
        came = await poll()
    except asyncio.CancelledError:
        return  # the role ends; the scheduler would call it a fault of the job
    except Exception:  # noqa: BLE001  # one meter's surprise must not end its polling
        _log.exception("poll failed unexpectedly, the next comes at its time", bus=name)
        came = False
    metrics.POLL_SECONDS.labels(name).observe(time.perf_counter() - begin)
    if came:
        metrics.POLL_LAST_SUCCESS.labels(name).set_to_current_time()
    else:
        metrics.POLL_FAILURES.labels(name).inc()
