"""Wireless telegrams: real ones, worked examples, keys, compact frames, any bytes."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fjarrvakt  # noqa: F401 - names the folder of compiled kernels before numba is imported
from adapters import identity
from adapters.mbus.profile import NO_PROFILES
from adapters.registers import MISSING, REGISTER_INDEX
from adapters.wmbus.compact import FormatKey
from adapters.wmbus.decode import decode_batch, decode_one, learned_from, warm
from adapters.wmbus.frame import crc16
from config.profiles import load_profiles

PROFILES = load_profiles()

# OMS specification volume 2 annex N: the gas meter ELS 12345678 under profile A and profile B.
GAS_METER = identity.parse("ELS-12345678-33-03")
PROFILE_A = bytes.fromhex(
    "2E4493157856341233037A2A0020255923C95AAA26D1B2E7493B013EC4A6F6D3529B520EDFF0EA6DEFC99D6D69EBF3"
)
KEY_A = bytes.fromhex("0102030405060708090A0B0C0D0E0F11")
PROFILE_B = bytes.fromhex(
    "434493157856341233038C2075900F002C25B30A000021924D4F2FB66E017A75002007109058475F4BC91DF878B8"
    "0A1B0F98B629024AAC727942BFC549233C0140829B93"
)
KEY_B = bytes(range(16))
OTHER_KEY = bytes(16)

HEAT_METER = identity.parse("ABC-87654321-01-04")
HEAD = bytes.fromhex("4304 21436587 01 04")  # M and A of ABC 87654321
FULL_RECORDS = bytes.fromhex("0406 E7910000 0413 01000000 0259 D20F")
FULL_LAYOUT = bytes.fromhex("0406 0413 0259")


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm()


def frame(body: str | bytes) -> bytes:
    """A stripped frame of ABC 87654321 with everything from CI on."""
    body = body if isinstance(body, bytes) else bytes.fromhex(body)
    head = bytes.fromhex("44 4304") + HEAD[2:]
    return bytes((len(head) + len(body),)) + head + body


def full(records: bytes = FULL_RECORDS) -> bytes:
    return frame(b"\x78" + records)


def compact(records: bytes = FULL_RECORDS, layout: bytes = FULL_LAYOUT) -> bytes:
    data = records[2:6] + records[8:12] + records[14:16]
    head = crc16(layout).to_bytes(2, "little") + crc16(records).to_bytes(2, "little")
    return frame(b"\x79" + head + data)


def reason(payload: bytes, keys: dict[int, bytes] | None = None) -> str | None:
    found = decode_batch([payload], keys or {}, {}, NO_PROFILES)
    return found.refused[0].reason if 0 in found.refused else None


def lines(shared: Path, name: str) -> list[dict[str, Any]]:
    """The wireless ones; a compact frame's full frame stands before it."""
    text = (shared / "telegrams/wmbus" / f"{name}.jsonl").read_text("utf-8")
    return [line for line in map(json.loads, text.splitlines()) if line["link"] == "wireless"]


def key_of(line: dict[str, Any]) -> bytes | None:
    return None if line["key"] == "NOKEY" else bytes.fromhex(line["key"])


def decoded(corpus: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each line with what was learned from the lines before it."""
    formats: dict[FormatKey, bytes] = {}
    found = []
    for line in corpus:
        key = key_of(line)
        for before in line.get("preceding_telegrams", []):
            formats |= learned_from(bytes.fromhex(before), key, formats)
        payload = bytes.fromhex(line["telegram"])
        formats |= learned_from(payload, key, formats)
        found.append(decode_one(payload, key, PROFILES, formats))
    return found


# Fields' units by suffix: the unit of our records and how many of it one is.
UNITS = {
    "kwh": {"Wh": 1e3, "J": 3.6e6},
    "m3": {"m3": 1},
    "kw": {"W": 1e3, "J/h": 3.6e6},
    "m3h": {"m3/h": 1, "m3/min": 1 / 60, "m3/s": 1 / 3600},
    "c": {"degC": 1, "K": 1},
    "h": {"s": 3600},
}
# All ones or the least number: "no value" to us, a number to the reference.
NO_VALUES = {-2147483648, -2147483.648, -32768, -0.001, -1}
NOT_ASKED = {
    ("c5isf", "max_power_last_month_kw"): "VIFE 25 says per minute: no power in W",
    ("sharky774", "operating_time_in_error_h"): "VIFE 18 says data error: the 0 is no value",
    ("qwater", "volume_flow_m3h"): "VIFE 56: how long a limit was exceeded, no flow",
    ("qwaterv2", "volume_flow_m3h"): "VIFE 56: how long a limit was exceeded, no flow",
    ("waterstarm", "consumption_at_history_14_m3"): "its records hold all ones",
}


def makers_own(found: dict[str, Any]) -> bool:
    """Whether a part of the telegram has a layout of its maker's own.

    That is CI A0 to B7 (one undecodable record), a block after DIF 0F, or all of it under VIF FF.
    """
    records = found["records"]
    block = any(r["quality"] == "undecodable" or r["dib"] in ("0F", "1F") for r in records)
    return block or any(r["dib"].endswith("0D") and r["vib"].startswith("FF") for r in records)


def missing_fields(line: dict[str, Any], found: dict[str, Any]) -> dict[str, float]:
    """Expected fields with a unit that no record of ours has the value of."""
    missing = {}
    for name, value in line["expected"].items():
        units = UNITS.get(name.rsplit("_", 1)[-1])
        if units is None or not isinstance(value, int | float) or value in NO_VALUES:
            continue
        values = [
            record["value"] / units[record["unit"]]
            for record in found["records"]
            if record["unit"] in units and isinstance(record["value"], int | float)
        ]
        if not any(abs(ours - value) <= max(5e-7, 1e-6 * abs(value)) for ours in values):
            missing[name] = value
    return {
        name: value for name, value in missing.items() if (line["driver"], name) not in NOT_ASKED
    }


@pytest.mark.foreign
@pytest.mark.parametrize("name", ["heat", "water_hca"])
def test_real_telegrams_give_what_the_reference_gives(shared, name):
    corpus = lines(shared, name)
    assert len(corpus) > 35
    wrong = []
    for line, found in zip(corpus, decoded(corpus), strict=True):
        missing = missing_fields(line, found)
        if missing and not makers_own(found):
            wrong.append((line["driver"], line["telegram"][:40], missing, found["error"]))
    assert wrong == []


# The reference takes the id from elsewhere than the meter's address in the transport layer, or the
# link layer without one.
OTHER_ID = {
    "78563412": "qheat: the link layer's, which is the radio's; the transport layer has 32547698",
    "60904720": "hydrus: its maker sends version and type before the id",
    "66236629": "izarv2: from the maker's own payload",
}
# HCAs that send their maker's layout where records stand, without DIF 0F.
NO_RECORDS = {"bfw240radio"}


@pytest.mark.foreign
@pytest.mark.parametrize("name", ["heat", "water_hca"])
def test_real_telegrams_name_their_meter(shared, name):
    corpus = lines(shared, name)
    for line, found in zip(corpus, decoded(corpus), strict=True):
        if line["meter_id"] not in OTHER_ID:
            assert found["id"].lower() == line["meter_id"], line["telegram"]
        assert found["ok"] or line["driver"] in NO_RECORDS, found["error"]
        if found["ok"] and line["telegram"][20:22] in ("A0", "A1", "A2", "A3", "B6"):
            assert [r["quality"] for r in found["records"]] == ["undecodable"]
            assert found["records"][0]["text"] == line["telegram"][22:]


# Registers by the names the reference has for them, and what one of its units is in ours.
REGISTERS = {
    "energy_j": (3.6e6, ("total_energy_consumption_kwh", "total_kwh", "total_heating_kwh")),
    "volume_ml": (1e6, ("total_volume_m3", "total_m3", "total_heating_m3")),
    "power_w": (1e3, ("power_kw", "current_power_kw")),
    "supply_temp_c": (1, ("t1_temperature_c", "forward_c", "supply_temperature_c")),
    "return_temp_c": (1, ("t2_temperature_c", "return_temperature_c", "return_c")),
}


@pytest.mark.foreign
@pytest.mark.parametrize("name", ["heat", "water_hca"])
def test_real_telegrams_fill_the_registers(shared, name):
    corpus = lines(shared, name)
    seen = 0
    for line, found in zip(corpus, decoded(corpus), strict=True):
        for register, (factor, names) in REGISTERS.items():
            values = [line["expected"][n] * factor for n in names if n in line["expected"]]
            ours = found["registers"].get(register)
            if not values or (ours is None and makers_own(found)):
                continue
            if ours is None and line["meter_id"] == "79806477":
                continue  # its info code says that both sensors are below their range
            if ours is None and line["driver"] == "qualcosonic":
                continue  # its energies are heating and cooling by VIFE: for a profile to tell
            seen += 1
            assert ours is not None, (line["driver"], register)
            assert any(abs(ours - value) <= max(1, 1e-6 * value) for value in values)
    assert seen > 45


@pytest.mark.parametrize(
    ("payload", "key", "security"),
    [
        pytest.param(PROFILE_A, KEY_A, "mode5", id="OMS annex N, profile A"),
        pytest.param(PROFILE_B, KEY_B, "mode7", id="OMS annex N, profile B"),
    ],
)
def test_the_worked_examples(payload, key, security):
    found = decode_one(payload, key)
    assert (found["ok"], found["security"], found["error"]) == (True, security, None)
    assert (found["manufacturer"], found["id"], found["medium"]) == ("ELS", "12345678", "gas")
    assert [(r["dib"], r["vib"], r["value"]) for r in found["records"]] == [
        ("0C", "14", 28504.27),
        ("04", "6D", "2008-05-31T23:50:00"),
        ("02", "FD17", 0),
    ]
    rows = decode_batch([payload], {GAS_METER: key}, {}, NO_PROFILES).rows
    assert rows.identity.tolist() == [GAS_METER]
    assert rows.registers[0, REGISTER_INDEX["volume_ml"]] == 28_504_270_000


@pytest.mark.parametrize(
    ("payload", "key", "expected"),
    [
        pytest.param(PROFILE_A, None, "key_missing", id="mode 5 without key"),
        pytest.param(PROFILE_A, OTHER_KEY, "key_wrong", id="mode 5, wrong key"),
        pytest.param(PROFILE_A, KEY_A[:8], "key_wrong", id="a key of 8 bytes"),
        pytest.param(PROFILE_B, None, "key_missing", id="mode 7 without key"),
        pytest.param(PROFILE_B, OTHER_KEY, "key_wrong", id="mode 7, wrong key"),
    ],
)
def test_a_key_missing_or_wrong(payload, key, expected):
    assert reason(payload, {} if key is None else {GAS_METER: key}) == expected
    found = decode_one(payload, key)
    assert not found["ok"]
    assert found["security"] in ("mode5", "mode7")
    assert found["id"] == "12345678"
    assert "ELS-12345678-33-03" in found["error"]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param(18, "key_wrong", id="message counter: another key is derived"),
        pytest.param(22, "mac_wrong", id="first byte of the MAC"),
        pytest.param(29, "mac_wrong", id="last byte of the MAC"),
        pytest.param(32, "mac_wrong", id="status, in the clear"),
        pytest.param(50, "key_wrong", id="first block: no 2F2F"),
        pytest.param(66, "mac_wrong", id="second block"),
    ],
)
def test_a_changed_byte_under_a_mac_is_seen(at, expected):
    changed = bytearray(PROFILE_B)
    changed[at] ^= 1
    assert reason(bytes(changed), {GAS_METER: KEY_B}) == expected


def test_ctr_of_the_extended_link_layer(shared):
    line = next(line for line in lines(shared, "water_hca") if "AES-CTR" in line.get("note", ""))
    payload, key = bytes.fromhex(line["telegram"]), key_of(line)
    assert decode_one(payload, key)["security"] == "ell-ctr"
    assert decode_one(payload, key)["registers"]["volume_ml"] == 6_408_000
    meter = identity.parse("KAM-76348799-1B-16")
    assert reason(payload) == "key_missing"
    assert reason(payload, {meter: OTHER_KEY}) == "key_wrong"
    # A repeater marks the frame as repeated; the sender's counter block had no such mark.
    repeated = payload[:11] + bytes((payload[11] | 0x10,)) + payload[12:]
    assert decode_one(repeated, key)["registers"]["volume_ml"] == 6_408_000


@pytest.mark.parametrize(
    ("body", "security"),
    [
        pytest.param("7A 01 00 2005 2F2F 0406 E7910000 2F2F2F2F2F2F2F2F", "none", id="mode 5"),
        pytest.param("7A 01 00 1007 10 2F2F 0406 E7910000 2F2F2F2F2F2F2F2F", "none", id="mode 7"),
        pytest.param("7A 01 00 0005 0406 E7910000", "none", id="mode 5 of no blocks"),
        pytest.param("7A 01 00 0000 0406 E7910000", "none", id="mode 0"),
        pytest.param("78 0406 E7910000", "none", id="no header"),
        pytest.param("8C 20 01 78 0406 E7910000", "none", id="ELL I"),
        pytest.param("8E 20 01 4304 21436587 0104 78 0406 E7910000", "none", id="ELL II"),
        pytest.param("78 0406 E7910000 FFFF", "none", id="filled up with FF"),
    ],
)
def test_clear_records_are_read_whatever_the_header_claims(body, security):
    for key in (None, OTHER_KEY):
        found = decode_one(frame(body), key)
        assert (found["ok"], found["security"], found["error"]) == (True, security, None)
        assert found["registers"] == {"energy_j": 37351 * 3_600_000}


def test_the_long_header_names_the_meter():
    found = decode_one(frame("72 78563412 9315 33 03 07 04 0000 0C14 27048502"))
    assert (found["manufacturer"], found["id"], found["access"]) == ("ELS", "12345678", 7)
    assert found["status"] == ["power low"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("", "frame", id="no CI"),
        pytest.param("8C 20 01", "structure", id="nothing after the ELL"),
        pytest.param("7A 01 00", "structure", id="header cut"),
        pytest.param("8D 20 01", "structure", id="ELL cut"),
        pytest.param("90 0F 002C", "structure", id="AFL cut"),
        pytest.param("90 02 0140 78", "structure", id="a fragment"),
        pytest.param("7A 01 00 2005 00", "key_missing", id="encrypted"),
        pytest.param("7A 01 00 200D 00", "encrypted", id="mode 13"),
        pytest.param("50", "frame", id="unknown CI"),
        pytest.param("70 08", "application_error", id="application error"),
        pytest.param("78 0406 E791", "structure", id="record cut"),
        pytest.param("8D 20 01 00000000 0000 78 0406 E7910000", "checksum", id="ELL checksum"),
        pytest.param("79 0102", "structure", id="compact frame cut"),
        pytest.param("79 0102 0304 05", "format_unknown", id="compact frame"),
        pytest.param("A1 0102", "no_register", id="proprietary"),
    ],
)
def test_refusals(body, expected):
    assert reason(frame(body)) == expected


def test_a_command_to_a_meter_is_no_telegram_of_it():
    payload = full()
    assert reason(payload[:1] + b"\x53" + payload[2:]) == "frame"


def test_a_compact_frame_learns_from_a_full_one_wherever_it_stands():
    alone = decode_batch([compact()], {}, {}, NO_PROFILES)
    assert alone.refused[0].reason == "format_unknown"
    first = decode_batch([full(), compact()], {}, {}, NO_PROFILES)
    last = decode_batch([compact(), full()], {}, {}, NO_PROFILES)
    later = decode_batch([compact()], {}, first.learned, NO_PROFILES)
    assert first.learned == last.learned
    assert list(first.learned.values()) == [FULL_LAYOUT]
    assert later.learned == {}
    assert first.rows.envelope.tolist() == [0, 1]
    for found in (first, last, later):
        assert found.refused == {}
        assert (found.rows.registers == first.rows.registers[0]).all()
    assert later.rows.content_hash[0] == first.rows.content_hash[1] == last.rows.content_hash[0]


def test_a_format_is_one_makes_own():
    learned = decode_batch([full()], {}, {}, NO_PROFILES).learned
    other = bytearray(compact())
    other[2] ^= 1  # the manufacturer
    found = decode_batch([bytes(other)], {}, learned, NO_PROFILES)
    assert found.refused[0].reason == "format_unknown"


def test_a_compact_frame_that_does_not_fit_is_refused():
    learned = decode_batch([full()], {}, {}, NO_PROFILES).learned
    sound = compact()
    short = bytes((sound[0] - 1,)) + sound[1:-1]
    changed = sound[:-1] + bytes((sound[-1] ^ 1,))
    found = decode_batch([short, changed, sound], {}, learned, NO_PROFILES)
    assert {i: refusal.reason for i, refusal in found.refused.items()} == {
        0: "structure",
        1: "checksum",
    }
    assert found.rows.envelope.tolist() == [2]


@pytest.mark.foreign
def test_the_result_does_not_depend_on_the_order(shared):
    corpus = lines(shared, "heat") + lines(shared, "water_hca")
    payloads = [bytes.fromhex(line["telegram"]) for line in corpus]
    keys: dict[int, bytes] = {}
    for line, found in zip(corpus, decoded(corpus), strict=True):
        if (key := key_of(line)) is not None:
            text = f"{found['manufacturer']}-{found['id']}-{found['version']:02X}"
            keys |= {identity.parse(f"{text}-{medium:02X}"): key for medium in range(256)}
    first = decode_batch(payloads, keys, {}, PROFILES)
    assert {refusal.reason for refusal in first.refused.values()} <= {"no_register", "structure"}
    shuffled = list(range(len(payloads)))
    for seed in range(5):
        random.Random(seed).shuffle(shuffled)
        again = decode_batch([payloads[i] for i in shuffled], keys, {}, PROFILES)
        assert again.learned == first.learned
        assert {shuffled[i]: refusal for i, refusal in again.refused.items()} == first.refused
        envelope = np.array(shuffled)[again.rows.envelope]
        order = np.argsort(envelope)
        assert (envelope[order] == first.rows.envelope).all()
        for name in ("identity", "registers", "quality", "content_hash", "access"):
            assert (getattr(again.rows, name)[order] == getattr(first.rows, name)).all()


def outcome(payload: bytes, key: bytes | None = None) -> None:
    """One row or one refusal, and a dict that agrees."""
    found = decode_batch([payload], lambda _: key, {}, PROFILES)
    assert len(found.rows) + len(found.refused) == 1
    one = decode_one(payload, key, PROFILES)
    assert one["ok"] == (one["error"] is None)
    if len(found.rows):
        assert one["ok"]
        assert found.rows.identity[0] != MISSING
    json.dumps(one)


@given(st.binary(max_size=300), st.none() | st.binary(max_size=16))
def test_any_bytes_give_a_row_or_a_refusal(payload, key):
    outcome(payload, key)


CONTROL_INFORMATION = [0x72, 0x73, 0x78, 0x79, 0x7A, 0x7B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0xA0, 0x70]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(CONTROL_INFORMATION), max_size=3), st.binary(max_size=80))
def test_any_layers_give_a_row_or_a_refusal(layers, rest):
    outcome(frame(bytes(layers) + rest), KEY_A)


@settings(max_examples=200)
@given(
    st.sampled_from([(PROFILE_A, KEY_A), (PROFILE_B, KEY_B), (compact(), None), (full(), None)]),
    st.lists(st.tuples(st.integers(0, 79), st.integers(0, 255)), max_size=4),
    st.integers(0, 80),
)
def test_changed_and_cut_telegrams_give_a_row_or_a_refusal(example, changes, size):
    payload, key = bytearray(example[0]), example[1]
    for at, value in changes:
        payload[at % len(payload)] = value
    outcome(bytes(payload[:size]), key)
    cut = payload[:size]
    if cut:
        cut[0] = len(cut) - 1
        outcome(bytes(cut), key)


def test_without_compiling_the_result_is_the_same():
    script = (
        "import os, json; os.environ['NUMBA_DISABLE_JIT'] = '1'\n"
        "import fjarrvakt\n"
        "from adapters.wmbus.decode import decode_one, learned_from\n"
        f"full, short = bytes.fromhex('{full().hex()}'), bytes.fromhex('{compact().hex()}')\n"
        f"safe, key = bytes.fromhex('{PROFILE_B.hex()}'), bytes.fromhex('{KEY_B.hex()}')\n"
        "print(json.dumps([decode_one(short, formats=learned_from(full)), decode_one(safe, key)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    expected = [decode_one(compact(), formats=learned_from(full())), decode_one(PROFILE_B, KEY_B)]
    assert json.loads(done.stdout) == expected
