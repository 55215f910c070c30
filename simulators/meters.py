"""The fleet's polled meters on the wire: one behind M-Bus over TCP, one on Modbus TCP."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Final

import numpy as np

from config.modbus_maps import load_maps
from simulators.fleet import Course, Fleet
from simulators.mbus_meters import MbusMeter, mbus_gateway
from simulators.modbus_meters import ModbusMeter, modbus_gateway
from simulators.telegrams import register_values, telegrams

NowUs = Callable[[], int]

MBUS_ADDRESS: Final = 1
MODBUS_UNIT: Final = 1
MODBUS_MAP: Final = "simulator"


def mbus_meter(fleet: Fleet, course: Course, now_us: NowUs) -> MbusMeter:
    """The meter as it answers at the clock's present."""

    def frames() -> list[bytes]:
        return telegrams(fleet, course, np.array([now_us()]), address=MBUS_ADDRESS)

    return MbusMeter(MBUS_ADDRESS, frames)


def modbus_meter(fleet: Fleet, course: Course, now_us: NowUs) -> ModbusMeter:
    """The meter as it answers at the clock's present, by the register map `simulator`."""

    def values() -> dict[str, int]:
        present = register_values(fleet, course, np.array([now_us()]))
        return {name: int(value[0]) for name, value in present.items()} | {"info_code": 0}

    register_map = load_maps()[MODBUS_MAP]
    return ModbusMeter(unit=MODBUS_UNIT, register_map=register_map, values=values)


@contextmanager
def polled_meters(
    fleet: Fleet, now_us: NowUs, *, mbus_port: int, modbus_port: int
) -> Iterator[None]:
    """Serve the fleet's polled meters on two loopback ports, in a thread of their own.

    Raises OSError or RuntimeError when a port cannot be opened.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="polled-meters", daemon=True)
    thread.start()
    servers = AsyncExitStack()
    try:
        opening = _open(servers, fleet, now_us, mbus_port, modbus_port)
        asyncio.run_coroutine_threadsafe(opening, loop).result()
        yield
    finally:
        asyncio.run_coroutine_threadsafe(servers.aclose(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _open(
    servers: AsyncExitStack, fleet: Fleet, now_us: NowUs, mbus_port: int, modbus_port: int
) -> None:
    live = {
        protocol: [course for course in fleet.courses if course.meter.live == protocol]
        for protocol in ("mbus", "modbus")
    }
    on_bus = [mbus_meter(fleet, course, now_us) for course in live["mbus"]]
    on_modbus = [modbus_meter(fleet, course, now_us) for course in live["modbus"]]
    await servers.enter_async_context(mbus_gateway(on_bus, port=mbus_port))
    await servers.enter_async_context(modbus_gateway(on_modbus, port=modbus_port))
