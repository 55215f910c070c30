"""Orders, types, scales and invalid marks of Modbus registers; bad payloads."""

import struct
from fractions import Fraction

import numpy as np
import orjson
import pytest

from adapters import identity
from adapters.modbus.decode import decode_batch
from adapters.modbus.registermap import Block, Point, RegisterMap
from adapters.registers import MISSING, REGISTER_INDEX, RegisterQuality, quality_of

METER = "KAM-06855817-34-04"


def point(register: str, address: int, kind: str, **more: object) -> Point:
    fields = {"function": 3, "order": "ABCD", "scale": Fraction(1)} | more
    return Point(register=register, address=address, type=kind, **fields)  # type: ignore[arg-type]


def payload(data: bytes, *, address: int = 0, function: int = 3, profile: str = "m") -> bytes:
    return orjson.dumps(
        {"profile": profile, "meter": METER, "blocks": [[function, address, data.hex()]]}
    )


def decoded(one: Point, data: bytes) -> tuple[int, RegisterQuality]:
    """Value and quality of one point read alone."""
    answer = payload(data, address=one.address, function=one.function)
    rows = decode_batch([answer], {"m": RegisterMap(name="m", points=(one,))}).rows
    value = int(rows.registers[0, REGISTER_INDEX[one.register]])
    return value, quality_of(int(rows.quality[0]), one.register)


# 123456.78 as IEEE single is 47F1 2063 or so; the bytes are permuted as the letters say.
@pytest.mark.parametrize(
    ("order", "places"),
    [
        pytest.param("ABCD", (0, 1, 2, 3), id="as it is"),
        pytest.param("CDAB", (2, 3, 0, 1), id="words swapped (ha-core#44553)"),
        pytest.param("BADC", (1, 0, 3, 2), id="bytes swapped (pymodbus#2544)"),
        pytest.param("DCBA", (3, 2, 1, 0), id="both"),
    ],
)
@pytest.mark.parametrize(
    ("kind", "layout", "number"),
    [
        pytest.param("f32", ">f", 7654.25, id="f32"),
        pytest.param("u32", ">I", 0xDEADBEEF, id="u32"),
        pytest.param("i32", ">i", -7, id="i32"),
    ],
)
def test_orders(order: str, places: tuple[int, ...], kind: str, layout: str, number: float):
    straight = struct.pack(layout, number)
    wire = bytes(straight[place] for place in places)
    one = point("power_w", 10, kind, order=order, scale=Fraction(1, 1))
    value, quality = decoded(one, wire)
    if kind == "u32":  # 3.7 GW do not fit the register; the pattern was read right
        assert (value, quality) == (MISSING, RegisterQuality.OUT_OF_RANGE)
        value, _ = decoded(point("energy_j", 10, kind, order=order), wire)
        assert value == 0xDEADBEEF
    else:
        assert (value, quality) == (round(number), RegisterQuality.OK)


@pytest.mark.parametrize(
    ("kind", "order", "wire"),
    [
        pytest.param("u64", "ABCD", "0102030405060708", id="ABCD"),
        pytest.param("u64", "CDAB", "0708050603040102", id="CDAB"),
        pytest.param("u64", "BADC", "0201040306050807", id="BADC"),
        pytest.param("u64", "DCBA", "0807060504030201", id="DCBA"),
    ],
)
def test_orders_of_eight_bytes(kind: str, order: str, wire: str):
    value, _ = decoded(point("energy_j", 0, kind, order=order), bytes.fromhex(wire))
    assert value == 0x0102030405060708


@pytest.mark.parametrize(
    ("one", "wire", "value", "quality"),
    [
        pytest.param(
            point("energy_j", 0, "u64", scale=Fraction(3600)),
            struct.pack(">Q", 2**40 + 1),
            (2**40 + 1) * 3600,
            "OK",
            id="u64 Wh exact above 2**53",
        ),
        pytest.param(
            point("energy_j", 0, "u64", scale=Fraction(3600)),
            struct.pack(">Q", 2**63),
            MISSING,
            "OUT_OF_RANGE",
            id="u64 that no int64 holds",
        ),
        pytest.param(
            point("supply_temp_cc", 0, "i16", scale=Fraction(1)),
            struct.pack(">h", -321),
            -321,
            "OK",
            id="i16 hundredths, below zero",
        ),
        pytest.param(
            point("supply_temp_cc", 0, "u16", scale=Fraction(1, 10)),
            struct.pack(">H", 725),
            72,
            "OK",
            id="half to even, down",
        ),
        pytest.param(
            point("supply_temp_cc", 0, "u16", scale=Fraction(1, 10)),
            struct.pack(">H", 735),
            74,
            "OK",
            id="half to even, up",
        ),
        pytest.param(
            point("supply_temp_cc", 0, "f32", scale=Fraction(100)),
            struct.pack(">f", 71.53),
            7153,
            "OK",
            id="f32 degrees",
        ),
        pytest.param(
            point("energy_j", 0, "f64", scale=Fraction(3_600_000)),
            struct.pack(">d", 5347.614),
            19_251_410_400,
            "OK",
            id="f64 kWh",
        ),
        pytest.param(
            point("power_w", 0, "f32"),
            struct.pack(">f", float("nan")),
            MISSING,
            "INVALID",
            id="NaN",
        ),
        pytest.param(
            point("power_w", 0, "f32"),
            struct.pack(">f", float("-inf")),
            MISSING,
            "INVALID",
            id="minus infinity",
        ),
        pytest.param(
            point("power_w", 0, "i32", invalid=(0x80000000,)),
            bytes.fromhex("80000000"),
            MISSING,
            "INVALID",
            id="0x80000000",
        ),
        pytest.param(
            point("supply_temp_cc", 0, "i16", invalid=(0x8000, 0xFFFF)),
            bytes.fromhex("ffff"),
            MISSING,
            "INVALID",
            id="0xFFFF",
        ),
        pytest.param(
            point("supply_temp_cc", 0, "i16", invalid=(0x8000,)),
            bytes.fromhex("ffff"),
            -1,
            "OK",
            id="0xFFFF is -1 where it is no mark",
        ),
        pytest.param(
            point("energy_j", 0, "i32"),
            struct.pack(">i", -1),
            MISSING,
            "OUT_OF_RANGE",
            id="a counter below zero",
        ),
        pytest.param(
            point("return_temp_cc", 0, "f32", scale=Fraction(100)),
            struct.pack(">f", 1e30),
            MISSING,
            "OUT_OF_RANGE",
            id="swapped words look like this",
        ),
    ],
)
def test_values(one: Point, wire: bytes, value: int, quality: str):
    assert decoded(one, wire) == (value, RegisterQuality[quality])


def test_a_batch_of_two_models_keeps_its_places():
    a = RegisterMap(name="a", points=(point("energy_j", 0, "u16"), point("power_w", 1, "u16")))
    b = RegisterMap(name="b", points=(point("volume_ml", 7, "u32"),), volume_step_ml=1000)
    batch = [
        payload(struct.pack(">HH", 5, 6), profile="a"),
        payload(struct.pack(">I", 9), address=7, profile="b"),
        b"[]",
        payload(struct.pack(">H", 8), profile="a"),  # the second block was refused by the meter
    ]
    result = decode_batch(batch, {"a": a, "b": b})
    assert set(result.refused) == {2}
    found = {
        int(envelope): {
            name: int(row[index]) for name, index in REGISTER_INDEX.items() if row[index] != MISSING
        }
        for envelope, row in zip(result.rows.envelope, result.rows.registers, strict=True)
    }
    assert found == {0: {"energy_j": 5, "power_w": 6}, 1: {"volume_ml": 9}, 3: {"energy_j": 8}}
    assert set(result.rows.identity) == {identity.parse(METER)}
    assert set(result.rows.at_us) == {MISSING}
    steps = dict(
        zip(result.rows.envelope.tolist(), result.rows.volume_step_ml.tolist(), strict=True)
    )
    assert steps == {0: 0, 1: 1000, 3: 0}
    assert np.unique(result.rows.content_hash).size == 3


@pytest.mark.parametrize(
    ("bad", "reason", "says"),
    [
        pytest.param(b"\xff\x00", "json", "expected", id="not JSON"),
        pytest.param(b'{"profile": "m"}', "json", "KeyError", id="key missing"),
        pytest.param(payload(b"").replace(b'""', b'"zz"'), "json", "ValueError", id="not hex"),
        pytest.param(payload(b"\0\0", profile="x"), "protocol", "'x'; known: m", id="unknown map"),
        pytest.param(payload(b"\0\0").replace(b"KAM", b"K"), "identity", "K-0685", id="identity"),
        pytest.param(payload(b"\0\0", address=9), "no_register", "no block holds", id="elsewhere"),
        pytest.param(payload(b"\0\0", function=4), "no_register", "no block holds", id="function"),
        pytest.param(payload(b"\0"), "no_register", "no block holds", id="half a register"),
    ],
)
def test_bad_payloads(bad: bytes, reason: str, says: str):
    maps = {"m": RegisterMap(name="m", points=(point("energy_j", 0, "u16"),))}
    refusal = decode_batch([bad], maps).refused[0]
    assert refusal.reason == reason
    assert says in refusal.detail


@pytest.mark.parametrize(
    ("addresses", "blocks"),
    [
        pytest.param([0, 2, 4], [Block(3, 0, 6)], id="neighbours"),
        pytest.param([0, 18], [Block(3, 0, 20)], id="a gap of 16 is read through"),
        pytest.param([0, 19], [Block(3, 0, 2), Block(3, 19, 2)], id="a gap of 17 is not"),
        pytest.param([4, 0], [Block(3, 0, 6)], id="any order"),
        pytest.param(
            list(range(0, 140, 10)), [Block(3, 0, 122), Block(3, 130, 2)], id="125 registers a read"
        ),
    ],
)
def test_block_planner(addresses: list[int], blocks: list[Block]):
    points = tuple(point("energy_j", address, "u32") for address in addresses)
    assert list(RegisterMap(name="m", points=points).blocks()) == blocks


def test_functions_are_read_apart():
    points = (point("energy_j", 0, "u32"), point("power_w", 2, "u32", function=4))
    planned = RegisterMap(name="m", points=points).blocks()
    assert planned == (Block(3, 0, 2), Block(4, 2, 2))
