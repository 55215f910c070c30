"""Records to registers: units, first wins, quality, profiles; and no bytes that break it."""

import hashlib
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fjarrvakt  # noqa: F401 - names the folder of compiled kernels before numba is imported
from adapters import identity
from adapters.fnv import fnv1a64
from adapters.mbus.decode import decode_batch, decode_one, walk_batch, warm
from adapters.mbus.profile import NO_PROFILES, MeterProfile, MeterProfiles, RecordRule
from adapters.registers import MISSING, REGISTER_INDEX, REGISTERS, RegisterQuality, quality_of
from config.profiles import load_profiles

PROFILES = load_profiles()


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm()


def frame(records: str, meter: str = "ABC-12345678-01-04") -> bytes:
    manufacturer, ident, version, medium = identity.unpack(identity.parse(meter))
    head = ident.to_bytes(4, "little") + manufacturer.to_bytes(2, "little")
    body = bytes((8, 1, 0x72)) + head + bytes((version, medium, 7, 0x10, 0, 0))
    body += bytes.fromhex(records)
    size = len(body)
    return bytes((0x68, size, size, 0x68)) + body + bytes((sum(body) & 0xFF, 0x16))


def registers(records: str, meter: str = "ABC-12345678-01-04") -> dict[str, int]:
    rows = decode_batch([frame(records, meter)], PROFILES).rows
    return {
        name: value
        for name, value in zip(REGISTERS, rows.registers[0].tolist(), strict=True)
        if value != MISSING
    }


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        pytest.param("0403 01000000", {"energy_j": 3600}, id="1 Wh"),
        pytest.param("0400 01000000", {"energy_j": 4}, id="0.001 Wh is 3.6 J"),
        pytest.param("0400 05000000", {"energy_j": 18}, id="0.005 Wh is whole again"),
        pytest.param("0406 E7910000", {"energy_j": 37351 * 3_600_000}, id="1 kWh"),
        pytest.param("0C07 12000000", {"energy_j": 432_000_000}, id="10 kWh in BCD"),
        pytest.param("040E 02000000", {"energy_j": 2_000_000}, id="1 MJ"),
        pytest.param("040F 02000000", {"energy_j": 20_000_000}, id="10 MJ"),
        pytest.param("04FB00 03000000", {"energy_j": 3 * 360_000_000}, id="0.1 MWh"),
        pytest.param("04FB01 03000000", {"energy_j": 3 * 3_600_000_000}, id="1 MWh"),
        pytest.param("04FB08 03000000", {"energy_j": 300_000_000}, id="0.1 GJ"),
        pytest.param("04FB09 03000000", {"energy_j": 3_000_000_000}, id="1 GJ"),
        pytest.param("0413 01000000", {"volume_ml": 1000}, id="1 l"),
        pytest.param("0410 01000000", {"volume_ml": 1}, id="1 ml"),
        pytest.param("04FB10 01000000", {"volume_ml": 100_000_000}, id="100 m3"),
        pytest.param("022D 0300", {"power_w": 300}, id="0.1 kW"),
        pytest.param("0229 0F00", {"power_w": 0}, id="15 cW"),
        pytest.param("022A 0500", {"power_w": 0}, id="0.5 W rounds to even 0"),
        pytest.param("022A 0F00", {"power_w": 2}, id="1.5 W rounds to even 2"),
        pytest.param("022A FBFF", {"power_w": 0}, id="-0.5 W rounds to even 0"),
        pytest.param("022A F1FF", {"power_w": -2}, id="-1.5 W rounds to even -2"),
        pytest.param("0430 100E0000", {"power_w": 1}, id="3600 J/h"),
        pytest.param("0430 08070000", {"power_w": 0}, id="1800 J/h rounds to even 0"),
        pytest.param("043B 1F020000", {"flow_l_h": 543}, id="1 l/h"),
        pytest.param("043E 02000000", {"flow_l_h": 2000}, id="1 m3/h"),
        pytest.param("0443 02000000", {"flow_l_h": 12}, id="0.1 l/min"),
        pytest.param("044E 02000000", {"flow_l_h": 7200}, id="1 l/s"),
        pytest.param(
            "0259 E110 025D E800", {"supply_temp_cc": 4321, "return_temp_cc": 232}, id="C"
        ),
        pytest.param("0258 0F27", {"supply_temp_cc": 1000}, id="9.999 degC"),
        pytest.param("025B 5A00", {"supply_temp_cc": 9000}, id="90 degC"),
        pytest.param("0A5A 8402", {"supply_temp_cc": 2840}, id="28.4 degC in BCD"),
        pytest.param("0422 D9030000", {"operating_h": 985}, id="on time, hours"),
        pytest.param("0227 6800", {"operating_h": 2496}, id="operating time, days"),
        pytest.param("0420 08070000", {"operating_h": 0}, id="1800 s rounds to even 0"),
        pytest.param("3C22 05000000", {"error_h": 5}, id="on time in error state"),
        pytest.param("02FD17 0300", {"info_code": 3}, id="error flags"),
        pytest.param("053B 00003543", {"flow_l_h": 181}, id="real32"),
        pytest.param("0506 0000C03F", {"energy_j": 5_400_000}, id="real32, 1.5 kWh"),
        pytest.param("04863B 01000000 0413 01000000", {"volume_ml": 1000}, id="qualified"),
        pytest.param(
            "4406 01000000 841006 02000000 844006 03000000 1406 04000000 0413 01000000",
            {"volume_ml": 1000},
            id="storage, tariff, subunit and maximum are not live",
        ),
        pytest.param("0406 01000000 0406 02000000", {"energy_j": 3_600_000}, id="first wins"),
        pytest.param("0006 0413 01000000", {"volume_ml": 1000}, id="a record without data"),
    ],
)
def test_units(records, expected):
    assert registers(records) == expected


@pytest.mark.parametrize(
    ("records", "register", "quality"),
    [
        pytest.param("3B2D 999999", "power_w", RegisterQuality.METER_ERROR, id="error state"),
        pytest.param("0C2B DDDDEBBD", "power_w", RegisterQuality.METER_ERROR, id="display"),
        pytest.param("0426 18000000", "operating_h", RegisterQuality.OK, id="plain"),
        pytest.param("04A618 18000000", "operating_h", RegisterQuality.INVALID, id="data error"),
        pytest.param("048616 18000000", "energy_j", RegisterQuality.OUT_OF_RANGE, id="overflow"),
        pytest.param("055B 0000C07F", "supply_temp_cc", RegisterQuality.INVALID, id="NaN"),
        pytest.param("042F 00000040", "power_w", RegisterQuality.OUT_OF_RANGE, id="over int4"),
        pytest.param(
            "045B 48010000", "supply_temp_cc", RegisterQuality.OUT_OF_RANGE, id="over int2"
        ),
        pytest.param(
            "04FD17 00000080", "info_code", RegisterQuality.OUT_OF_RANGE, id="over int4 code"
        ),
        pytest.param(
            "07FB09 0000000000000010", "energy_j", RegisterQuality.OUT_OF_RANGE, id="int64"
        ),
        pytest.param(
            "0C06 000000F1", "energy_j", RegisterQuality.OUT_OF_RANGE, id="counter below 0"
        ),
        pytest.param("0D06 03414243", "energy_j", RegisterQuality.INVALID, id="text for energy"),
    ],
)
def test_quality(records, register, quality):
    rows = decode_batch([frame(records)], PROFILES).rows
    assert quality_of(int(rows.quality[0]), register) == quality
    missing = rows.registers[0, REGISTER_INDEX[register]] == MISSING
    assert missing == (quality != RegisterQuality.OK)
    assert rows.energy_step_j[0] == 0


@pytest.mark.parametrize("records", ["3B2D 999999 042D 02000000", "042D 02000000 3B2D 999999"])
def test_live_value_beside_one_in_error_state(records):
    rows = decode_batch([frame(records)], PROFILES).rows
    assert rows.registers[0, REGISTER_INDEX["power_w"]] == 200
    assert rows.quality[0] == 0


@pytest.mark.parametrize(
    ("records", "energy_step_j", "volume_step_ml"),
    [
        pytest.param("0406 01000000 0414 01000000", 3_600_000, 10_000, id="1 kWh, 10 l"),
        pytest.param("040F 01000000 0413 01000000", 10_000_000, 1_000, id="10 MJ, 1 l"),
        pytest.param("0400 01000000", 4, 0, id="0.001 Wh: nearest J"),
        pytest.param("0506 0000C03F 0513 0000C03F", 0, 0, id="real32: not known"),
        pytest.param("048677 01000000", 36_000_000, 0, id="VIFE x 10"),
    ],
)
def test_steps(records, energy_step_j, volume_step_ml):
    rows = decode_batch([frame(records)], PROFILES).rows
    assert (rows.energy_step_j[0], rows.volume_step_ml[0]) == (energy_step_j, volume_step_ml)


@pytest.mark.parametrize(
    ("volume", "count_mlc"),
    [
        pytest.param("0413 10270000", 10**5, id="V1 in 0.001 m3: tenths"),
        pytest.param("0414 10270000", 10**6, id="V1 in 0.01 m3: whole"),
        pytest.param("0415 10270000", 10**7, id="V1 in 0.1 m3: tens"),
        pytest.param("0416 10270000", 10**8, id="V1 in 1 m3: hundreds"),
    ],
)
def test_kamstrup_e8_e9_follow_the_volume(volume, count_mlc):
    """Kamstrup: physical = register / factor, factor 10, 1, 0.1, 0.01 by V1's resolution."""
    for e8_first in (
        f"04FF07 D16D0000 04FF08 FB2A0000 {volume}",
        f"{volume} 04EEFF07 D16D0000 04EEFF08 FB2A0000",
    ):
        found = registers(e8_first, "KAM-12345678-34-04")
        assert found["e8_mlc"] == 28113 * count_mlc
        assert found["e9_mlc"] == 11003 * count_mlc


def test_tv_1_volume_weighted_temperatures():
    """TV-1 of Kamstrup's manual: dV 297.39 m3, dE8 28113, dE9 11003 -> 94.53 and 37.00 degC."""
    found = registers("0414 2B740000 04FF07 D16D0000 04FF08 FB2A0000", "KAM-12345678-34-04")
    assert found["volume_ml"] == 297_390_000
    assert found["e8_mlc"] / found["volume_ml"] == pytest.approx(94.53, abs=0.005)
    assert found["e9_mlc"] / found["volume_ml"] == pytest.approx(37.00, abs=0.005)


def test_e8_without_volume_cannot_be_told():
    rows = decode_batch([frame("04FF07 D16D0000", "KAM-12345678-34-04")], PROFILES).rows
    assert quality_of(int(rows.quality[0]), "e8_mlc") == RegisterQuality.INVALID
    assert rows.registers[0, REGISTER_INDEX["e8_mlc"]] == MISSING


def test_kamstrup_sensor_faults_info_code_and_cooling():
    text = "0259 0000 025D 4448 04FF22 18000000 0406 01000000 04863C 02000000"
    rows = decode_batch([frame(text, "KAM-12345678-34-0D")], PROFILES).rows
    assert quality_of(int(rows.quality[0]), "supply_temp_cc") == RegisterQuality.METER_ERROR
    assert quality_of(int(rows.quality[0]), "return_temp_cc") == RegisterQuality.METER_ERROR
    assert rows.registers[0].tolist() == [
        *(3_600_000, 7_200_000, MISSING, MISSING, MISSING, MISSING),
        *(MISSING, MISSING, MISSING, MISSING, MISSING, 0x18),
    ]
    # Without a profile 0.00 degC is a temperature and 863C nobody's register.
    assert registers(text) == {
        "energy_j": 3_600_000,
        "supply_temp_cc": 0,
        "return_temp_cc": 18500,
    }


def test_profile_factor_and_volume_step_beyond_int64():
    rule = RecordRule(
        dib_vib=bytes.fromhex("07FF07"), register="e8_mlc", factor=10**12, times_volume_step=True
    )
    profiles = MeterProfiles((MeterProfile(name="t", manufacturer="ABC", records=(rule,)),))
    for volume, value in (("0410 01000000", 3 * 10**12), ("04FB11 01000000", MISSING)):
        rows = decode_batch([frame(volume + "07FF07 0300000000000000")], profiles).rows
        assert rows.registers[0, REGISTER_INDEX["e8_mlc"]] == value


@pytest.mark.parametrize(
    ("record", "utc"),
    [
        pytest.param("046D 1A2F6511", "2011-01-05T14:26", id="normal time is UTC+1"),
        pytest.param("046D 1AAF6517", "2011-07-05T13:26", id="summer-time bit"),
        pytest.param("066D 1E1A0F651100", "2011-01-05T14:26:30", id="type I"),
        pytest.param("046D 9A2F6511", None, id="marked invalid"),
        pytest.param("446D 1A2F6511", None, id="storage 1 is another time"),
        pytest.param("346D 1A2F6511", None, id="time of an error"),
        pytest.param("026C 6511", None, id="a date is no clock"),
    ],
)
def test_meter_clock(record, utc):
    rows = decode_batch([frame("0413 01000000" + record)], PROFILES).rows
    expected = MISSING if utc is None else int(np.datetime64(utc, "us").astype(np.int64))
    assert rows.meter_clock_us[0] == expected
    assert rows.at_us[0] == MISSING


def test_row_of_a_batch():
    payloads = [b"garbage", frame("0413 01000000"), frame("01FD1B 00"), frame("0406 02000000")]
    decoded = decode_batch(payloads, PROFILES)
    rows = decoded.rows
    assert rows.envelope.tolist() == [1, 3]
    assert {i: refusal.reason for i, refusal in decoded.refused.items()} == {
        0: "frame",
        2: "no_register",
    }
    assert [identity.text(meter) for meter in rows.identity.tolist()] == ["ABC-12345678-01-04"] * 2
    assert rows.access.tolist() == [7, 7]
    assert rows.status.tolist() == [0x10, 0x10]
    assert rows.content_hash.tolist() == [fnv1a64(payloads[1]), fnv1a64(payloads[3])]


def test_empty_batch():
    decoded = decode_batch([], PROFILES)
    assert len(decoded.rows) == 0
    assert decoded.rows.registers.shape == (0, len(REGISTERS))


def test_batch_of_many_chunks_is_each_alone(monkeypatch):
    payloads = [frame(f"0413 {n:02X}000000") for n in range(200)]
    payloads[50:50] = [b"garbage"]
    whole = decode_batch(payloads, PROFILES)
    monkeypatch.setattr("adapters.mbus.decode.CHUNK_BYTES", 100)
    parts = decode_batch(payloads, PROFILES)
    assert parts.refused == whole.refused
    for name, column in vars(whole.rows).items():
        np.testing.assert_array_equal(getattr(parts.rows, name), column)
    assert whole.rows.envelope.tolist() == [n for n in range(201) if n != 50]


def mutated(payloads: list[bytes], count: int, seed: int) -> list[bytes]:
    """Telegrams with a few bytes changed and the checksum mended, so they reach the records."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        payload = bytearray(chance.choice(payloads))
        for _ in range(chance.randrange(1, 5)):
            payload[chance.randrange(len(payload))] = chance.randrange(256)
        if chance.random() < 0.9 and len(payload) > 8:
            size = len(payload) - 6
            payload[:4] = 0x68, size & 0xFF, size & 0xFF, 0x68
            payload[-2:] = sum(payload[4:-2]) & 0xFF, 0x16
        made.append(bytes(payload))
    return made


def corpus(shared: Path) -> list[bytes]:
    return [
        bytes.fromhex(digits[: len(digits) // 2 * 2])
        for path in sorted((shared / "telegrams" / "mbus").rglob("*.hex"))
        for digits in [re.sub(r"[^0-9A-Fa-f]", "", path.read_text(encoding="latin-1"))]
    ]


def digest(payloads: list[bytes]) -> str:
    """A hash of every column both kernels make of a batch, and of the refusals."""
    walked = walk_batch(payloads)
    state = hashlib.sha256()
    for column in walked.telegrams:
        state.update(column.tobytes())
    for column in walked.records:
        state.update(column[: walked.record_count].tobytes())
    decoded = decode_batch(payloads, load_profiles())
    for column in vars(decoded.rows).values():
        state.update(column.tobytes())
    state.update(repr(sorted(decoded.refused.items())).encode())
    return state.hexdigest()


def test_without_numba_the_same_bits(shared: Path):
    """Plain Python wraps nothing: every column is equal, over the corpus and 400 mutations."""
    program = (
        "import sys; from pathlib import Path; from test_mbus_decode import *;"
        "real = corpus(Path(sys.argv[1])); print(digest(real + mutated(real, 400, 1)))"
    )
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(shared)],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(folders)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    real = corpus(shared)
    assert done.stdout.strip() == digest(real + mutated(real, 400, 1))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100))
def test_millions_of_mutated_telegrams(shared: Path, seed: int):
    """A write outside its array would end the process; 5 million telegrams do not."""
    payloads = mutated(corpus(shared), 50_000, 100 + seed)
    decoded = decode_batch(payloads, PROFILES)
    assert sorted([*decoded.rows.envelope.tolist(), *decoded.refused]) == list(range(50_000))


def test_mutated_telegrams_give_a_row_or_a_refusal(shared: Path):
    payloads = mutated(corpus(shared), 3000, 2)
    decoded = decode_batch(payloads, PROFILES)
    assert sorted([*decoded.rows.envelope.tolist(), *decoded.refused]) == list(range(3000))
    assert all(refusal.detail.startswith("expected ") for refusal in decoded.refused.values())
    for payload in payloads[:500]:
        assert decode_one(payload, PROFILES)["frame"] == payload.hex().upper()


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes(payload):
    decoded = decode_batch([payload], NO_PROFILES)
    assert len(decoded.rows) + len(decoded.refused) == 1
    document = decode_one(payload)
    assert document["ok"] == (document["error"] is None)


@given(st.binary(max_size=240), st.sampled_from([0x72, 0x73, 0x76, 0x78, 0x7A]))
@settings(max_examples=500, deadline=None)
def test_any_records_in_a_sound_frame(data, ci):
    body = bytes((8, 1, ci)) + data
    size = len(body)
    payload = bytes((0x68, size, size, 0x68)) + body + bytes((sum(body) & 0xFF, 0x16))
    document = decode_one(payload)
    for record in document["records"]:
        assert record["quality"] in ("ok", "meter_error", "out_of_range", "invalid", "undecodable")
    decoded = decode_batch([payload], NO_PROFILES)
    assert len(decoded.rows) + len(decoded.refused) == 1


def test_a_batch_of_2_gib_is_refused():
    class Huge(bytes):
        def __len__(self) -> int:
            return 2**31

    with pytest.raises(ValueError, match="less than 2 GiB"):
        walk_batch([Huge()])
