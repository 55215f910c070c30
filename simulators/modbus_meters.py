"""Meters that answer Modbus TCP with the registers of any register map."""

import struct
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from adapters.modbus.registermap import TYPES, Point, RegisterMap

Values = Callable[[], Mapping[str, int]]
"""The present value of every register by name, in the units of adapters/registers.py."""

_FORMATS: Final = {"u2": "H", "i2": "h", "u4": "I", "i4": "i", "u8": "Q", "f4": "f", "f8": "d"}


@dataclass(frozen=True, kw_only=True)
class ModbusMeter:
    """One unit: what it shows and where."""

    unit: int
    register_map: RegisterMap
    values: Values


@asynccontextmanager
async def modbus_gateway(
    meters: Sequence[ModbusMeter], *, port: int, host: str = "127.0.0.1"
) -> AsyncIterator[None]:
    """Serve the meters on one TCP port; each read sees the registers of that moment."""
    server = ModbusTcpServer([_device(meter) for meter in meters], address=(host, port))
    await server.serve_forever(background=True)
    try:
        yield
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus's gap


def encoded(register_map: RegisterMap, values: Mapping[str, int]) -> dict[int, int]:
    """Address on the wire -> 16 bits, for every point of the map."""
    words: dict[int, int] = {}
    for point in register_map.points:
        data = _on_the_wire(point, values[point.register])
        for place in range(point.count):
            words[point.address + place] = int.from_bytes(data[2 * place : 2 * place + 2], "big")
    return words


def _on_the_wire(point: Point, value: int) -> bytes:
    number = value / point.scale
    straight = struct.pack(
        ">" + _FORMATS[TYPES[point.type]],
        float(number) if point.type.startswith("f") else round(number),
    )
    wire = np.empty(point.size, np.uint8)
    wire[point.byte_order()] = np.frombuffer(straight, np.uint8)
    return wire.tobytes()


def _device(meter: ModbusMeter) -> SimDevice:
    """A device whose registers are made anew for every request."""
    addresses = sorted(encoded(meter.register_map, meter.values()))
    runs = np.split(addresses, np.flatnonzero(np.diff(addresses) > 1) + 1)
    data = [
        SimData(int(run[0]), values=[0] * len(run), datatype=DataType.REGISTERS) for run in runs
    ]

    async def show(  # pymodbus's signature
        _function: int,
        start: int,
        _address: int,
        _count: int,
        registers: list[int],
        _written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        for address, word in encoded(meter.register_map, meter.values()).items():
            if 0 <= address - start < len(registers):
                registers[address - start] = word
        return None

    return SimDevice(meter.unit, simdata=data, action=show)
