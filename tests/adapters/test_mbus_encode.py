"""The encoder: frames as the standard writes them, and what it sends comes back decoded."""

import time

import numpy as np
import pytest

import fjarrvakt  # noqa: F401 - names the folder of compiled kernels before numba is imported
from adapters import identity
from adapters.mbus import encode
from adapters.mbus.decode import decode_batch, decode_one
from adapters.mbus.mapping import scaled
from adapters.registers import MISSING, REGISTER_INDEX
from config.profiles import load_profiles

PROFILES = load_profiles()
METER = identity.parse("FJV-12345678-01-04")


def test_short_and_control_frames():
    assert encode.short_frame(0x40, 1).hex() == "1040014116"  # SND_NKE, MBDOC48 5.4
    assert encode.short_frame(0x5B, 0xFE).hex() == "105bfe5916"  # REQ_UD2
    assert encode.long_frame(0xFE, 0x50, control=0x53).hex() == "680303685 3fe50a116".replace(
        " ", ""
    )
    with pytest.raises(ValueError, match="up to 252 bytes, got 253"):
        encode.long_frame(1, 0x72, bytes(253))


def test_telegram_by_hand():
    payload = encode.telegram(
        identity.parse("PAD-12345678-01-07"),
        [
            encode.integer("0313", 12565, 3),
            bytes.fromhex("DA023B1301"),
            encode.bcd("8B6004", 21837, 6),
        ],
        address=2,
        access=0x55,
    )
    # MBDOC48 6.3.2, the example of the variable structure
    assert (
        payload.hex()
        == "681f1f680802727856341224400107550000000313153100da023b13018b60043718021816"
    )


@pytest.mark.parametrize(
    ("record", "value"),
    [
        pytest.param(encode.integer("042B", -5, 4), -5, id="negative integer"),
        pytest.param(encode.integer("0703", 2**63 - 1, 8), 2**63 - 1, id="64 bits"),
        pytest.param(encode.bcd("0C2B", 12345678, 8), 12345678, id="BCD"),
        pytest.param(encode.bcd("0A2B", -123, 4), -123, id="negative BCD"),
        pytest.param(encode.real32("052B", 0.5), 0.5, id="real32"),
        pytest.param(
            encode.date_time("046D", 1_294_237_560_000_000), "2011-01-05T15:26:00", id="type F"
        ),
    ],
)
def test_records(record, value):
    assert decode_one(encode.telegram(METER, [record]))["records"][0]["value"] == value


@pytest.mark.parametrize(("value", "digits"), [(10_000, 4), (-1000, 4)])
def test_bcd_that_does_not_fit(value, digits):
    with pytest.raises(ValueError, match=f"{value} does not fit {digits} digits"):
        encode.bcd("0A2B", value, digits)


def test_application_error():
    assert encode.application_error(1, 8).hex() == "68040468080170088116"


def hours(count: int, *, scale: int = 1) -> dict[str, np.ndarray]:
    """Registers of a building over so many hours, off the counts by what the meter cannot show."""
    n = np.arange(count, dtype=np.int64)
    return {
        "energy_j": 10**9 + n * 12_345_678 * scale,
        "cooling_energy_j": n * 7_777_777,
        "volume_ml": n * 123_457 * scale,
        "e8_mlc": n * 9_876_543 * scale,
        "e9_mlc": n * 4_321_987 * scale,
        "operating_h": n,
        "supply_temp_cc": 7000 + n % 4000,
        "return_temp_cc": 3000 - n % 6000,  # below 0 too
        "power_w": n % 500 * 100,
        "flow_l_h": n % 3000,
        "meter_clock_us": 1_514_764_800_000_000 + n * 3_600_000_000,
    }


@pytest.mark.parametrize(
    ("layout", "version", "means"),
    [
        pytest.param(
            encode.calculator_layout(volume_step_ml=1_000, cooling=True),
            1,
            {"energy_j": 3_600_000, "volume_ml": 1000, "e8_mlc": 100_000, "e9_mlc": 100_000},
            id="calculator, 1 l",
        ),
        pytest.param(
            encode.calculator_layout(cooling=True),
            1,
            {"energy_j": 3_600_000, "volume_ml": 10_000, "e8_mlc": 10**6, "e9_mlc": 10**6},
            id="calculator, 10 l",
        ),
        pytest.param(encode.precise_layout(cooling=True), 2, {"energy_j": 3600}, id="precise"),
    ],
)
@pytest.mark.parametrize("medium", [0x04, 0x0A, 0x0B, 0x0C, 0x0D])
def test_hourly_comes_back_floored(layout, version, means, medium):
    values = hours(1000)
    meters = identity.pack(identity.manufacturer_code("FJV"), 0x12345678, version, medium)
    telegrams = encode.encode_hourly(layout, meters, values, access=np.arange(1000), status=4)
    assert {len(telegram) for telegram in telegrams} == {layout.size}
    decoded = decode_batch(telegrams, PROFILES)
    assert decoded.refused == {}
    rows = decoded.rows
    for register, sent in values.items():
        if register == "meter_clock_us":
            assert rows.meter_clock_us.tolist() == sent.tolist()
            continue
        step = means.get(register, means["energy_j"] if register == "cooling_energy_j" else 1)
        got = rows.registers[:, REGISTER_INDEX[register]]
        assert got.tolist() == (sent // step * step).tolist(), register
    assert rows.access.tolist() == [n % 256 for n in range(1000)]
    assert set(rows.status.tolist()) == {4}
    assert set(rows.identity.tolist()) == {meters}
    assert set(rows.energy_step_j.tolist()) == {means["energy_j"]}
    assert set(rows.volume_step_ml.tolist()) == {means.get("volume_ml", 1)}


def test_one_identity_a_telegram():
    meters = METER + (np.arange(3) << 16)
    telegrams = encode.encode_hourly(encode.precise_layout(), meters, hours(3))
    assert decode_batch(telegrams, PROFILES).rows.identity.tolist() == meters.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            {"supply_temp_cc": np.array([40_000])}, "fit 2 bytes, got 40000", id="too hot"
        ),
        pytest.param({"energy_j": np.array([2**62])}, "fit 4 bytes", id="too much"),
        pytest.param({"flow_l_h": np.array([MISSING])}, "MISSING cannot be sent", id="missing"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        encode.encode_hourly(encode.calculator_layout(), METER, hours(1) | change)


def test_volume_step_is_one_of_two():
    with pytest.raises(ValueError, match="1000 or 10000 ml is expected, got 100"):
        encode.calculator_layout(volume_step_ml=100)


def test_many_are_made_quickly():
    """500 000 a second is the bar of the benchmark; here a tenth: machines are busy."""
    values = hours(50_000)
    start = time.process_time()
    encode.encode_hourly(encode.calculator_layout(), METER, values)
    assert 50_000 / (time.process_time() - start) > 50_000


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param((5, 1, 10, 0), 0, id="half to even 0"),
        pytest.param((15, 1, 10, 0), 2, id="half to even 2"),
        pytest.param((-15, 1, 10, 0), -2, id="negative half to even"),
        pytest.param((-25, 1, 10, 0), -2, id="negative half down to even"),
        pytest.param((26, 1, 10, 0), 3, id="above half"),
        pytest.param((1, 1, 1, 18), 10**18, id="largest exponent"),
        pytest.param((10, 1, 1, 18), MISSING, id="beyond int64"),
        pytest.param((-(2**63), 1, 1, 0), MISSING, id="the least int64"),
        pytest.param((2**63 - 1, 1, 1, 0), 2**63 - 1, id="the largest int64"),
        pytest.param((0, 3600, 1, 60), 0, id="0 in any unit"),
        pytest.param((1, 1, 3600, -18), MISSING, id="smaller than can be told"),
        pytest.param((1, 10**12, 1, 15), MISSING, id="factor beyond int64"),
    ],
)
def test_scaled(arguments, expected):
    assert scaled(*arguments) == expected
