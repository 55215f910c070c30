"""Our client against pymodbus's own server: orders, holes, exceptions, silence."""

import asyncio
import socket
from collections.abc import Mapping
from fractions import Fraction

import pytest
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from adapters.modbus.decode import decode_batch
from adapters.modbus.registermap import Point, RegisterMap
from adapters.modbus.source import ModbusError, ModbusUnit
from adapters.registers import MISSING, REGISTER_INDEX
from config.modbus_maps import load_maps
from simulators.modbus_meters import ModbusMeter, encoded, modbus_gateway

METER = "FJV-70101074-02-04"
SHOWN = {
    "energy_j": 3600 * 123_456_789_012,
    "volume_ml": 987_654_321_098,
    "e8_mlc": 77_000_000_000_000,
    "e9_mlc": 33_000_000_000_001,
    "power_w": -1500,
    "flow_l_h": 1234,
    "supply_temp_cc": 7153,
    "return_temp_cc": -250,
    "operating_h": 17_544,
    "info_code": 8,
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def unit(port: int, register_map: RegisterMap, number: int = 1) -> ModbusUnit:
    return ModbusUnit(
        "127.0.0.1",
        port,
        unit=number,
        meter=METER,
        register_map=register_map,
        timeout_s=0.2,
        retries=1,
    )


def registers_of(payload: bytes, register_map: RegisterMap) -> dict[str, int]:
    decoded = decode_batch([payload], {register_map.name: register_map})
    assert not decoded.refused
    row = decoded.rows.registers[0]
    return {
        name: int(row[index]) for name, index in REGISTER_INDEX.items() if row[index] != MISSING
    }


def test_the_simulators_map_comes_through_exactly():
    register_map = load_maps()["simulator"]
    got: list[tuple[str, bytes]] = []
    shown = dict(SHOWN)

    async def run() -> None:
        port = free_port()
        meter = ModbusMeter(unit=3, register_map=register_map, values=lambda: shown)
        async with modbus_gateway([meter], port=port), unit(port, register_map, 3) as one:
            await one.poll(lambda address, payload: got.append((address, payload)))
            shown["energy_j"] += 3600
            await one.poll(lambda address, payload: got.append((address, payload)))

    asyncio.run(run())
    assert [address for address, _ in got] == ["3", "3"]
    assert registers_of(got[0][1], register_map) == SHOWN
    assert registers_of(got[1][1], register_map)["energy_j"] == SHOWN["energy_j"] + 3600


@pytest.mark.parametrize("order", ["ABCD", "CDAB", "BADC", "DCBA"])
@pytest.mark.parametrize(
    ("kind", "register", "value", "scale"),
    [
        pytest.param("u32", "energy_j", 3_600_000 * 4242, Fraction(3_600_000), id="u32 kWh"),
        pytest.param("i32", "power_w", -25_000, Fraction(1000), id="i32 kW"),
        pytest.param("u64", "volume_ml", 2**50 + 7, Fraction(1), id="u64 ml"),
        pytest.param("f32", "supply_temp_cc", 7150, Fraction(100), id="f32 degrees"),
        pytest.param("f64", "e8_mlc", 61_469_906_000, Fraction(10**6), id="f64 m3 degrees"),
    ],
)
def test_orders_over_the_wire(kind: str, register: str, value: int, scale: Fraction, order: str):
    point = Point(register=register, function=3, address=40, type=kind, order=order, scale=scale)
    register_map = RegisterMap(name="m", points=(point,))

    async def run() -> bytes:
        port = free_port()
        meter = ModbusMeter(unit=1, register_map=register_map, values=lambda: {register: value})
        async with modbus_gateway([meter], port=port), unit(port, register_map) as one:
            return await one.read()

    assert registers_of(asyncio.run(run()), register_map) == {register: value}


def test_is_made_before_its_event_loop_and_reads_in_several():
    register_map, port = load_maps()["simulator"], free_port()
    one = unit(port, register_map)

    async def run() -> bytes:
        meter = ModbusMeter(unit=1, register_map=register_map, values=lambda: SHOWN)
        async with modbus_gateway([meter], port=port), one:
            return await one.read()

    assert asyncio.run(run()) == asyncio.run(run())


def two_blocks() -> RegisterMap:
    scale = Fraction(1)
    return RegisterMap(
        name="m",
        points=(
            Point(
                register="energy_j", function=3, address=0, type="u32", order="ABCD", scale=scale
            ),
            Point(
                register="power_w", function=3, address=90, type="i32", order="ABCD", scale=scale
            ),
        ),
    )


def serve(words: Mapping[int, int], refuse: ExcCodes | None = None) -> SimDevice:
    async def act(
        _function: int, _start: int, _address: int, _count: int, _now: list[int], _set: object
    ) -> ExcCodes | None:
        return refuse

    data = [
        SimData(address, values=[word], datatype=DataType.REGISTERS)
        for address, word in sorted(words.items())
    ]
    return SimDevice(1, simdata=data, action=act)


def ask(device: SimDevice, register_map: RegisterMap, number: int = 1) -> bytes:
    async def run() -> bytes:
        port = free_port()
        server = ModbusTcpServer(device, address=("127.0.0.1", port))
        await server.serve_forever(background=True)
        try:
            async with unit(port, register_map, number) as one:
                return await one.read()
        finally:
            await server.shutdown()

    return asyncio.run(run())


def test_a_block_with_a_hole_leaves_the_other():
    words = {0: 1, 1: 2}  # nothing at 90: the server answers exception 2
    payload = ask(serve(words), two_blocks())
    assert registers_of(payload, two_blocks()) == {"energy_j": 0x10002}


@pytest.mark.parametrize(
    ("device", "number", "says"),
    [
        pytest.param(
            serve({0: 1, 1: 2}, ExcCodes.DEVICE_BUSY), 1, "every block was refused", id="busy"
        ),
        pytest.param(serve({200: 1}), 1, "every block was refused", id="nothing there"),
        pytest.param(serve({0: 1}), 9, "unit 9", id="unknown unit"),
    ],
)
def test_refusals_are_told(device: SimDevice, number: int, says: str):
    with pytest.raises(ModbusError, match=says):
        ask(device, two_blocks(), number)


def test_silence_costs_its_time_out_and_the_next_poll_works():
    register_map = load_maps()["simulator"]
    mute = True

    async def run() -> tuple[float, bytes]:
        nonlocal mute
        loop = asyncio.get_running_loop()

        async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        port = free_port()
        silent = await asyncio.start_server(swallow, "127.0.0.1", port)
        one = unit(port, register_map)
        begin = loop.time()
        with pytest.raises(ModbusError, match=r"no answer to function 4, 26 registers from 0"):
            await one.read()
        took_s = loop.time() - begin
        silent.close()
        await silent.wait_closed()
        with pytest.raises(ModbusError, match="no connection"):
            await one.read()
        meter = ModbusMeter(unit=1, register_map=register_map, values=lambda: SHOWN)
        async with modbus_gateway([meter], port=port), one:
            return took_s, await one.read()

    took_s, payload = asyncio.run(run())
    assert 0.3 < took_s < 2.0
    assert registers_of(payload, register_map) == SHOWN


def test_encoded_covers_exactly_the_maps_addresses():
    register_map = load_maps()["simulator"]
    assert sorted(encoded(register_map, SHOWN)) == list(range(26))
