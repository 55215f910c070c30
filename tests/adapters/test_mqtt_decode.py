"""Publications good and bad: what each becomes, and the sentence for what it does not."""

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import identity
from adapters.fnv import fnv1a64
from adapters.mbus import decode as mbus
from adapters.mbus import encode
from adapters.mqtt.decode import decode_batch, parse_topic
from adapters.mqtt.reading import ReadingError, known_keys, parse_reading
from adapters.registers import MISSING, REGISTER_INDEX, Decoded, RegisterQuality, quality_of
from config.profiles import load_profiles

PROFILES = load_profiles()
METER = "FJV-70100027-01-04"
TELEGRAM, READING, WEATHER = (f"gw/gw-01/up/{kind}" for kind in ("telegram", "reading", "weather"))
NOON_US = int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()) * 1_000_000
FRAME = encode.telegram(identity.parse(METER), [encode.integer("0406", 77, 4)], access=5)


@pytest.fixture(scope="module", autouse=True)
def warmed():
    mbus.warm()  # compiling would break the deadline of Hypothesis


def decode(topic: str, payload: bytes) -> Decoded:
    return decode_batch([topic], [payload], PROFILES)


def reading(**fields: Any) -> bytes:
    return orjson.dumps({"meter": METER, "time": "2026-01-31T12:00:00Z"} | fields)


def registers(decoded: Decoded, row: int = 0) -> dict[str, int]:
    values = decoded.rows.registers[row]
    return {
        name: int(values[index])
        for name, index in REGISTER_INDEX.items()
        if values[index] != MISSING
    }


@pytest.mark.parametrize(
    ("payload", "at_us"),
    [
        pytest.param(FRAME, MISSING, id="binary"),
        pytest.param(FRAME.hex().encode(), MISSING, id="hex"),
        pytest.param(FRAME.hex(" ").upper().encode() + b"\r\n", MISSING, id="hex with spaces"),
        pytest.param(orjson.dumps({"telegram": FRAME.hex()}), MISSING, id="JSON without time"),
        pytest.param(
            orjson.dumps({"time": "2026-01-31T12:00:00Z", "telegram": FRAME.hex()}),
            NOON_US,
            id="JSON",
        ),
        pytest.param(
            b'\n {"time": "2026-01-31T13:00:00+01:00", "rssi": -70, "telegram": "%s"}'
            % FRAME.hex().encode(),
            NOON_US,
            id="JSON with another zone and more keys",
        ),
        pytest.param(
            orjson.dumps({"time": "2026-01-31T12:00:00.250Z", "telegram": FRAME.hex()}),
            NOON_US + 250_000,
            id="milliseconds",
        ),
    ],
)
def test_telegram_forms(payload: bytes, at_us: int):
    decoded = decode(TELEGRAM, payload)
    assert registers(decoded) == {"energy_j": 77 * 3_600_000}
    assert decoded.rows.at_us.tolist() == [at_us]
    assert decoded.rows.identity.tolist() == [identity.parse(METER)]
    # Of the meter's bytes alone, so that copies through different gateways are known.
    assert decoded.rows.content_hash.tolist() == [fnv1a64(FRAME)]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(
            {"energy_kwh": 5347.614}, {"energy_j": 19_251_410_400}, id="kWh with decimals"
        ),
        pytest.param({"energy_mwh": 1.234567891}, {"energy_j": 4_444_444_408}, id="MWh rounded"),
        pytest.param(
            {"energy_j": 9_007_199_254_740_993}, {"energy_j": 9_007_199_254_740_993}, id="2**53 + 1"
        ),
        pytest.param({"volume_m3": 0.0000005}, {"volume_ml": 0}, id="half a ml to even, down"),
        pytest.param({"volume_m3": 0.0000015}, {"volume_ml": 2}, id="half a ml to even, up"),
        pytest.param(
            {"supply_temp_c": 71.525}, {"supply_temp_cc": 7152}, id="half to even as written"
        ),
        pytest.param(
            {"supply_temp_c": 1.005}, {"supply_temp_cc": 100}, id="1.005 is 1.00499 in binary"
        ),
        pytest.param({"return_temp_c": -3.215}, {"return_temp_cc": -322}, id="below zero"),
        pytest.param(
            {"power_kw": 12.5, "flow_m3_h": 0.321},
            {"power_w": 12_500, "flow_l_h": 321},
            id="gauges",
        ),
        pytest.param(
            {"e8_m3c": 28113, "e9_m3c": 11003},
            {"e8_mlc": 28_113_000_000, "e9_mlc": 11_003_000_000},
            id="E8, E9",
        ),
        pytest.param(
            {"energy_kwh": 1, "power_kw": None}, {"energy_j": 3_600_000}, id="null is absent"
        ),
        pytest.param(
            {"cooling_energy_kwh": 2, "operating_h": 17_000, "error_h": 3, "info_code": 16},
            {"cooling_energy_j": 7_200_000, "operating_h": 17_000, "error_h": 3, "info_code": 16},
            id="others",
        ),
    ],
)
def test_readings(fields: dict[str, Any], expected: dict[str, int]):
    payload = reading(**fields)
    decoded = decode(READING, payload)
    assert not decoded.refused
    assert registers(decoded) == expected
    assert decoded.rows.at_us.tolist() == [NOON_US]
    assert decoded.rows.content_hash.tolist() == [fnv1a64(payload)]


def test_reading_with_everything_beside_the_registers():
    payload = reading(
        energy_kwh=1, access=200, status=4, energy_step_j=3_600_000, volume_step_ml=10
    )
    rows = decode(READING, payload).rows
    assert (rows.access[0], rows.status[0]) == (200, 4)
    assert (rows.energy_step_j[0], rows.volume_step_ml[0]) == (3_600_000, 10)
    assert decode(READING, reading(energy_kwh=1)).rows.access[0] == -1


@pytest.mark.parametrize(
    ("fields", "register"),
    [
        pytest.param({"supply_temp_c": 400}, "supply_temp_cc", id="a temperature no column holds"),
        pytest.param({"energy_kwh": -1}, "energy_j", id="a counter below zero"),
        pytest.param({"energy_mwh": 1e300}, "energy_j", id="past int64"),
        pytest.param({"power_kw": 3_000_000}, "power_w", id="past int32"),
    ],
)
def test_out_of_range_is_marked_and_the_rest_kept(fields: dict[str, Any], register: str):
    decoded = decode(READING, reading(volume_m3=3, **fields))
    assert registers(decoded) == {"volume_ml": 3_000_000}
    assert quality_of(int(decoded.rows.quality[0]), register) is RegisterQuality.OUT_OF_RANGE


@given(
    st.decimals(min_value=0, max_value=10**9, allow_nan=False, places=9),
    st.sampled_from([("energy_kwh", 3_600_000), ("volume_m3", 10**6), ("e8_m3c", 10**6)]),
)
def test_decimals_are_exact_as_written(number: Decimal, key: tuple[str, int]):
    name, factor = key
    payload = f'{{"meter": "{METER}", "{name}": {number:f}}}'.encode()
    registers = parse_reading(orjson.loads(payload), payload).registers
    found = [value for value in registers if value != MISSING]
    assert found == [int((number * factor).to_integral_value(ROUND_HALF_EVEN))]


@pytest.mark.parametrize(
    ("topic", "payload", "reason", "says"),
    [
        pytest.param(
            "gw/a/up/hello",
            b"",
            "topic",
            "'gw/a/up/hello': expected gw/<gateway>/up/",
            id="topic kind",
        ),
        pytest.param("gw//up/telegram", b"", "topic", "expected gw/<gateway>", id="no gateway"),
        pytest.param("house/42", b"", "topic", "expected gw/<gateway>", id="foreign topic"),
        pytest.param(TELEGRAM, b"", "frame", "empty payload", id="empty"),
        pytest.param(
            TELEGRAM, b"\x00\x17garbled", "frame", "expected an M-Bus telegram as hex", id="garbage"
        ),
        pytest.param(
            TELEGRAM, b"68ab1", "frame", "expected an M-Bus telegram as hex", id="odd hex"
        ),
        pytest.param(TELEGRAM, b'{"time": "2026', "json", "not JSON", id="cut JSON"),
        pytest.param(
            TELEGRAM,
            b'{"telegram": 5}',
            "json",
            "'telegram' must be hex text, got 5",
            id="telegram a number",
        ),
        pytest.param(TELEGRAM, b'{"telegram": "zz"}', "frame", "got 'zz'", id="telegram no hex"),
        pytest.param(
            TELEGRAM,
            orjson.dumps({"telegram": FRAME.hex(), "time": "noon"}),
            "json",
            "time 'noon'",
            id="no time",
        ),
        pytest.param(
            TELEGRAM,
            orjson.dumps({"telegram": FRAME.hex(), "time": "2026-01-31T12:00:00"}),
            "json",
            "with its zone",
            id="time without zone",
        ),
        pytest.param(
            TELEGRAM,
            orjson.dumps({"telegram": FRAME.hex(), "time": "1970-01-01T00:00:00Z"}),
            "json",
            "from 2000",
            id="a clock that was never set",
        ),
        pytest.param(
            TELEGRAM,
            orjson.dumps({"telegram": FRAME.hex(), "time": 17}),
            "json",
            "'time' must be text",
            id="time a number",
        ),
        pytest.param(
            TELEGRAM,
            FRAME[:-2] + bytes((FRAME[-2] ^ 1, 0x16)),
            "checksum",
            "checksum",
            id="checksum",
        ),
        pytest.param(READING, b"[1]", "json", "expected a JSON object", id="no object"),
        pytest.param(READING, b"\xff", "json", "not JSON", id="no UTF-8"),
        pytest.param(READING, b'{"energy_kwh": NaN}', "json", "not JSON", id="NaN"),
        pytest.param(
            READING,
            reading(energy=1),
            "json",
            "unknown key 'energy'; known: meter, time, energy_j",
            id="unknown key",
        ),
        pytest.param(
            READING,
            reading(energy_kwh="5"),
            "json",
            "'energy_kwh' must be a number, got '5'",
            id="text",
        ),
        pytest.param(
            READING, reading(energy_kwh=True), "json", "must be a number, got True", id="truth"
        ),
        pytest.param(
            READING, reading(energy_kwh=1, energy_j=1), "json", "both give energy_j", id="twice"
        ),
        pytest.param(
            READING,
            reading(energy_kwh=1, access=256),
            "json",
            "'access' must be an integer from 0 to 255",
            id="access",
        ),
        pytest.param(
            READING,
            reading(energy_kwh=1, meter=5),
            "json",
            "'meter' must be text",
            id="meter a number",
        ),
        pytest.param(
            READING,
            reading(energy_kwh=1, meter="x-1"),
            "identity",
            "meter identity 'x-1'",
            id="identity",
        ),
        pytest.param(READING, reading(), "no_register", "no measured value", id="nothing measured"),
        pytest.param(
            WEATHER,
            b'{"time": "2026-01-31T12:00:00Z"}',
            "json",
            "'station' must be text",
            id="no station",
        ),
        pytest.param(
            WEATHER,
            b'{"station": "1", "outdoor_temp_c": 1}',
            "json",
            "'time' is missing",
            id="no time of weather",
        ),
        pytest.param(
            WEATHER,
            b'{"station": "1", "time": "2026-01-31T12:00:00Z"}',
            "json",
            "'outdoor_temp_c' must be a number",
            id="no temperature",
        ),
        pytest.param(
            WEATHER,
            b'{"station": "1", "time": "2026-01-31T12:00:00Z", "outdoor_temp_c": 99}',
            "json",
            "from -90 to 60",
            id="too hot",
        ),
    ],
)
def test_refusals(topic: str, payload: bytes, reason: str, says: str):
    decoded = decode(topic, payload)
    assert len(decoded.rows) == 0
    assert not decoded.outdoor
    assert decoded.refused[0].reason == reason
    assert says in decoded.refused[0].detail


def test_weather():
    payload = b'{"station": "98230", "time": "2026-01-31T12:00:00Z", "outdoor_temp_c": -3.25}'
    (outdoor,) = decode(WEATHER, payload).outdoor
    assert outdoor == (0, "98230", NOON_US, -325)


def test_a_mixed_batch_keeps_its_places():
    batch = [
        (READING, reading(energy_kwh=1)),
        (TELEGRAM, b"rubbish"),
        (TELEGRAM, FRAME),
        (WEATHER, b'{"station": "1", "time": "2026-01-31T12:00:00Z", "outdoor_temp_c": 2}'),
        (READING, reading(volume_m3=2)),
        (TELEGRAM, FRAME[:-3]),
        (TELEGRAM, FRAME.hex().encode()),
    ]
    decoded = decode_batch([topic for topic, _ in batch], [body for _, body in batch], PROFILES)
    assert decoded.rows.envelope.tolist() == [0, 2, 4, 6]
    assert [registers(decoded, row) for row in range(4)] == [
        {"energy_j": 3_600_000},
        {"energy_j": 77 * 3_600_000},
        {"volume_ml": 2_000_000},
        {"energy_j": 77 * 3_600_000},
    ]
    assert set(decoded.refused) == {1, 5}
    assert [one.envelope for one in decoded.outdoor] == [3]
    assert len(decode_batch([], [], PROFILES).rows) == 0


@given(st.sampled_from([TELEGRAM, READING, WEATHER, "gw/a"]), st.binary(max_size=80))
def test_any_bytes_give_one_outcome(topic: str, payload: bytes):
    decoded = decode(topic, payload)
    assert len(decoded.rows) + len(decoded.outdoor) + len(decoded.refused) == 1


ANY_VALUE = (
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers(-(2**63), 2**63)
    | st.sampled_from(["", "7", METER, "2026-01-31T12:00:00Z"])
)


@given(st.dictionaries(st.sampled_from(known_keys()), ANY_VALUE))
def test_any_fields_give_a_reading_or_a_reason(fields: dict[str, Any]):
    payload = orjson.dumps(fields)
    reason = "read"
    try:
        parse_reading(orjson.loads(payload), payload)
    except ReadingError as error:
        reason = error.reason
    assert reason in {"read", "json", "identity", "no_register"}


def test_every_key_is_documented():
    text = (Path(__file__).parents[2] / "docs" / "payloads.md").read_text("utf-8")
    for key in known_keys():
        assert f"`{key}`" in text, key
    for topic in ("telegram", "reading", "weather"):
        assert parse_topic(f"gw/x/up/{topic}") == ("x", topic)
        assert f"gw/<gateway>/up/{topic}" in text


def test_documented_examples_decode():
    text = (Path(__file__).parents[2] / "docs" / "payloads.md").read_text("utf-8")
    examples = [block.split("\n", 2) for block in text.split("```mqtt\n")[1:]]
    assert len(examples) >= 4
    for topic, payload, _ in examples:
        decoded = decode(topic, payload.encode())
        assert not decoded.refused, decoded.refused
        assert len(decoded.rows) + len(decoded.outdoor) == 1
        if len(decoded.rows):
            assert np.any(decoded.rows.registers != MISSING)
