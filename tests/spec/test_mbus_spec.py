"""Wired M-Bus by the book: worked examples of MBDOC48 and EN 13757-3, and the pitfalls met.

Frames are built here byte by byte, not by our encoder: it must not vouch for the decoder.
"""

from typing import Any

import pytest

import fjarrvakt  # noqa: F401 - names the folder of compiled kernels before numba is imported
from adapters.mbus.decode import decode_batch, decode_one, more_follows
from adapters.mbus.profile import NO_PROFILES

HEADER = "78563412 2440 01 07 55 00 0000"  # 12345678, PAD, version 1, water, access 55h


def frame(body: str, *, control: int = 0x08, ci: int = 0x72) -> bytes:
    """A long frame around what stands after CI."""
    inner = bytes((control, 2, ci)) + bytes.fromhex(body)
    size = len(inner)
    return bytes((0x68, size, size, 0x68)) + inner + bytes((sum(inner) & 0xFF, 0x16))


def records(text: str, header: str = HEADER) -> list[dict[str, Any]]:
    decoded = decode_one(frame(header + text))
    assert decoded["ok"], decoded["error"]
    found: list[dict[str, Any]] = decoded["records"]
    return found


def record(text: str) -> dict[str, Any]:
    (found,) = records(text)
    return found


def refusal(payload: bytes) -> tuple[str, str]:
    (found,) = decode_batch([payload], NO_PROFILES).refused.values()
    return found


def test_mbdoc48_6_3_1_fixed_structure():
    """The example telegram: 12345678, water, 1 l now and 135 l at the fixed date."""
    payload = bytes.fromhex("68131368080573785634120A00E97E01000000350100003C16")
    decoded = decode_one(payload)
    assert (decoded["id"], decoded["medium"], decoded["access"]) == ("12345678", "water", 0x0A)
    now, historic = decoded["records"]
    assert (now["quantity"], now["unit"], now["value"], now["storage"]) == (
        "volume",
        "m3",
        0.001,
        0,
    )
    assert (historic["value"], historic["unit"], historic["storage"]) == (0.135, "m3", 1)
    assert decode_batch([payload], NO_PROFILES).rows.registers[0, 2] == 1000


def test_mbdoc48_6_3_2_variable_structure():
    """The example telegram: 12565 l; 113 l/h maximum in storage 5; 218.37 kWh, unit 1, tariff 2."""
    payload = bytes.fromhex(
        "681F1F6808027278563412244001075500000003131531 00DA023B13018B60043718021816".replace(
            " ", ""
        )
    )
    decoded = decode_one(payload)
    assert decoded["manufacturer"] == "PAD"
    volume, flow, energy = decoded["records"]
    assert (volume["value"], volume["unit"]) == (12.565, "m3")
    assert (flow["value"], flow["function"], flow["storage"]) == (0.113, "maximum", 5)
    assert (energy["value"], energy["unit"]) == (218_370, "Wh")
    assert (energy["tariff"], energy["subunit"], energy["storage"]) == (2, 1, 0)


@pytest.mark.parametrize(
    ("text", "value", "shown", "quality"),
    [
        pytest.param("0A5A 8402", 28.4, None, "ok", id="digits"),
        pytest.param("0A5A 84F2", -28.4, None, "ok", id="F on top is minus"),
        pytest.param("0A5A 84B2", None, "-284", "meter_error", id="B on top shows -"),
        pytest.param("0C2B DDDDEBBD", None, "- E-    ", "meter_error", id="BDEBDDDD"),
        pytest.param("0A5A FFFF", None, "----", "meter_error", id="F below the top is no minus"),
        pytest.param("0E03 123456789012", 129078563412, None, "ok", id="twelve digits"),
    ],
)
def test_pitfall_1_bcd(text, value, shown, quality):
    found = record(text)
    assert (found["value"], found["text"], found["quality"]) == (value, shown, quality)


def test_pitfall_2_error_state_is_not_live():
    decoded = decode_one(frame(HEADER + "3B2D 999999 1B3B 500000 0B3B 440000 2B3B 010000"))
    assert [r["function"] for r in decoded["records"]] == [
        "error",
        "maximum",
        "instantaneous",
        "minimum",
    ]
    assert [r["quality"] for r in decoded["records"]] == ["meter_error", "ok", "ok", "ok"]
    assert decoded["registers"] == {"flow_l_h": 44}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("01 2B FF", -1, id="8 bits, power"),
        pytest.param("02 2B FEFF", -2, id="16 bits"),
        pytest.param("03 2B FDFFFF", -3, id="24 bits"),
        pytest.param("04 2B FCFFFFFF", -4, id="32 bits"),
        pytest.param("06 2B FBFFFFFFFFFF", -5, id="48 bits"),
        pytest.param("07 2B FAFFFFFFFFFFFFFF", -6, id="64 bits"),
        pytest.param("03 2B 563412", 0x123456, id="24 bits, positive"),
        pytest.param("06 2B 060504030201", 0x010203040506, id="48 bits, positive"),
        pytest.param("04 03 FFFFFFFF", 2**32 - 1, id="energy is unsigned"),
        pytest.param("02 FD17 FFFF", 65535, id="error flags are unsigned"),
        pytest.param("07 03 FFFFFFFFFFFFFF7F", 2**63 - 1, id="64 bits, largest"),
    ],
)
def test_pitfall_3_integers(text, value):
    assert record(text)["value"] == value


def test_pitfall_3_unsigned_beyond_int64_is_out_of_range():
    found = record("07 03 0000000000000080")
    assert (found["value"], found["quality"]) == (None, "out_of_range")


@pytest.mark.parametrize(
    ("text", "value", "quality"),
    [
        pytest.param("053B 00003543", 0.181, "ok", id="181 l/h, scaled by VIF"),
        pytest.param("052E 0000803F", 1000.0, "ok", id="1 kW"),
        pytest.param("055B 000080C0", -4.0, "ok", id="negative"),
        pytest.param("055B 01000000", 2.0**-149, "ok", id="smallest denormal"),
        pytest.param("055B 0000C07F", None, "invalid", id="NaN"),
        pytest.param("055B 000080FF", None, "invalid", id="-infinity"),
    ],
)
def test_pitfall_4_real32(text, value, quality):
    found = record(text)
    assert found["value"] == (value if value is None else pytest.approx(value, rel=1e-12))
    assert found["quality"] == quality


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        pytest.param("0DFD11 03 434241", None, "ABC", id="text comes last letter first"),
        pytest.param("0DFD11 00", None, "", id="no text"),
        pytest.param("0D13 C2 3412", 1.234, None, id="C2: two bytes of BCD"),
        pytest.param("0D2B D2 3412", -1234, None, id="D2: negative BCD"),
        pytest.param("0D2B E3 FEFFFF", -2, None, id="E3: three bytes of binary"),
        pytest.param("0D3A F0 " + "01" + "00" * 15, None, "00" * 15 + "01", id="F0: 16 bytes"),
        pytest.param("0D3A F1 " + "02" * 20, None, "02" * 20, id="F1: 20 bytes"),
        pytest.param("0D3A F4 " + "02" * 32, None, "02" * 32, id="F4: 32 bytes"),
        pytest.param("0D3A F5 " + "02" * 48, None, "02" * 48, id="F5: 48 bytes"),
        pytest.param("0D3A F6 " + "02" * 64, None, "02" * 64, id="F6: 64 bytes"),
    ],
)
def test_pitfall_5_lvar(text, value, shown):
    found, following = records(text + "0106 07")
    assert (found["value"], found["text"], found["quality"]) == (value, shown, "ok")
    assert following["value"] == 7000


@pytest.mark.parametrize("lvar", ["CA", "DF", "F7", "FF"])
def test_pitfall_5_reserved_lvar(lvar):
    reason, detail = refusal(frame(HEADER + f"0D13 {lvar} 00000000"))
    assert reason == "structure"
    assert f"reserved {lvar} in the record at byte 19" in detail


@pytest.mark.parametrize(
    ("text", "value", "quality"),
    [
        pytest.param("026C 5F1C", "2010-12-31", "ok", id="G"),
        pytest.param("026C 0000", None, "invalid", id="G: month 0"),
        pytest.param("026C FFFF", None, "invalid", id="G: none"),
        pytest.param("026C 3D12", None, "invalid", id="G: 29 February 2009"),
        pytest.param("026C 1D12", "2008-02-29", "ok", id="G: 29 February 2008"),
        pytest.param("026C 3FAC", "1981-12-31", "ok", id="G: 81..99 are 19xx"),
        pytest.param("046D 1A2F6511", "2011-01-05T15:26:00", "ok", id="F: with hundred-year bit"),
        pytest.param("046D 1A0F6511", "2011-01-05T15:26:00", "ok", id="F: without"),
        pytest.param("046D 9A2F6511", None, "invalid", id="F: time invalid"),
        pytest.param("046D 1AAF6511", "2011-01-05T15:26:00+02:00", "ok", id="F: summer time"),
        pytest.param("046D 3F1F6511", None, "invalid", id="F: every hour"),
        pytest.param("066D 000008162700", "2016-07-22T08:00:00", "ok", id="I"),
        pytest.param("066D 7B3B17162700", "2016-07-22T23:59:59+02:00", "ok", id="I: summer time"),
        pytest.param("066D 008008162700", None, "invalid", id="I: invalid"),
        pytest.param("036D 3B3B17", "23:59:59", "ok", id="J"),
    ],
)
def test_pitfall_6_dates(text, value, quality):
    found = record(text)
    assert (found["value"], found["quality"]) == (value, quality)


@pytest.mark.parametrize(
    ("vif", "value", "unit"),
    [
        pytest.param("00", 0.001, "Wh", id="energy 0.001 Wh"),
        pytest.param("07", 10_000, "Wh", id="energy 10 kWh"),
        pytest.param("08", 1, "J", id="energy 1 J"),
        pytest.param("0F", 10_000_000, "J", id="energy 10 MJ"),
        pytest.param("10", 1e-6, "m3", id="volume 1 ml"),
        pytest.param("17", 10, "m3", id="volume 10 m3"),
        pytest.param("1F", 10_000, "kg", id="mass 10 t"),
        pytest.param("20", 1, "s", id="on time, seconds"),
        pytest.param("21", 60, "s", id="on time, minutes"),
        pytest.param("22", 3600, "s", id="on time, hours"),
        pytest.param("27", 86400, "s", id="operating time, days"),
        pytest.param("28", 0.001, "W", id="power 0.001 W"),
        pytest.param("30", 1 / 3600, "W", id="power 1 J/h"),
        pytest.param("37", 1e7 / 3600, "W", id="power 10 MJ/h"),
        pytest.param("38", 1e-6, "m3/h", id="flow 1 ml/h"),
        pytest.param("40", 6e-6, "m3/h", id="flow 0.0001 l/min"),
        pytest.param("47", 60, "m3/h", id="flow 1 m3/min"),
        pytest.param("48", 3.6e-6, "m3/h", id="flow 0.001 ml/s"),
        pytest.param("4F", 36, "m3/h", id="flow 0.01 m3/s"),
        pytest.param("50", 0.001, "kg/h", id="mass flow"),
        pytest.param("58", 0.001, "degC", id="supply 0.001"),
        pytest.param("5F", 1, "degC", id="return 1"),
        pytest.param("61", 0.01, "K", id="difference 0.01"),
        pytest.param("67", 1, "degC", id="external"),
        pytest.param("6B", 1, "bar", id="pressure"),
        pytest.param("72", 3600, "s", id="averaging, hours"),
        pytest.param("77", 86400, "s", id="actuality, days"),
    ],
)
def test_pitfall_7_scale(vif, value, unit):
    found = record(f"01 {vif} 01")
    assert found["value"] == pytest.approx(value, rel=1e-15)
    assert found["unit"] == unit


@pytest.mark.parametrize(
    ("vib", "quantity", "value", "unit"),
    [
        pytest.param("FB00", "energy", 100_000, "Wh", id="0.1 MWh"),
        pytest.param("FB01", "energy", 1_000_000, "Wh", id="1 MWh"),
        pytest.param("FB08", "energy", 10**8, "J", id="0.1 GJ"),
        pytest.param("FB09", "energy", 10**9, "J", id="1 GJ"),
        pytest.param("FB0D", "energy", 10**6, "cal", id="1 Mcal"),
        pytest.param("FB10", "volume", 100, "m3", id="100 m3"),
        pytest.param("FB29", "power", 1_000_000, "W", id="1 MW"),
        pytest.param("FB1A", "relative_humidity", 0.1, "%", id="humidity"),
        pytest.param("FD17", "error_flags", 1, None, id="error flags, not FB17"),
        pytest.param("FD0E", "firmware_version", 1, None, id="firmware"),
        pytest.param("FD10", "customer_location", 1, None, id="customer location"),
        pytest.param("FD47", "voltage", 0.01, "V", id="10^(7-9) V"),
        pytest.param("FD49", "voltage", 1, "V", id="10^(9-9) V"),
        pytest.param("FD5C", "current", 1, "A", id="10^(12-12) A"),
        pytest.param("FDC9 70", "voltage", 1e-6, "V", id="bit 7 in FD goes on to VIFEs"),
        pytest.param("FD77", "unknown", 1, None, id="reserved"),
        pytest.param("7B", "unknown", 1, None, id="FB without its extension bit"),
    ],
)
def test_pitfall_8_extensions(vib, quantity, value, unit):
    found = record(f"01 {vib} 01")
    assert (found["quantity"], found["value"], found["unit"]) == (quantity, value, unit)


@pytest.mark.parametrize(
    ("text", "unit", "qualifiers"),
    [
        pytest.param("02 7C 03 48 52 25 D411", "%RH", [], id="no VIFE"),
        pytest.param("02 FC 03 48 52 25 74 D411", "%RH", [], id="text after VIF (MBDOC48)"),
        pytest.param("02 FC 74 03 48 52 25 D411", "%RH", [], id="text after VIFEs (EN 13757-3)"),
        pytest.param("02 FC 3B 03 48 52 25 D411", "%RH", ["positive contribution"], id="qualified"),
    ],
)
def test_pitfall_9_plain_text_unit(text, unit, qualifiers):
    found, following = records(text + "01 06 07")
    assert (found["quantity"], found["unit"]) == ("plain_text_unit", unit)
    assert found["qualifiers"] == qualifiers
    assert found["value"] == (0x11D4 if "74" not in text else 45.64)
    assert following["value"] == 7000


def test_pitfall_10_manufacturers_own_keep_their_key():
    first, second, third = records("04FF07 01000000 04FF08 02000000 04EEFF07 03000000")
    assert [r["vib"] for r in (first, second, third)] == ["FF07", "FF08", "EEFF07"]
    assert {r["quantity"] for r in (first, second, third)} == {"manufacturer_specific"}
    assert [r["value"] for r in (first, second, third)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "quantity", "value", "unit", "qualifier"),
    [
        pytest.param("01 86 3B 05", "energy", 5000, "Wh", "positive contribution", id="3B"),
        pytest.param("01 86 3C 05", "energy", 5000, "Wh", "negative contribution", id="3C"),
        pytest.param("01 93 28 05", "derived", 0.005, None, "per pulse on input 0", id="28"),
        pytest.param("02 86 39 5F1C", "time_point", "2010-12-31", None, "start of", id="39"),
        pytest.param("01 BB 40 05", "volume_flow", 0.005, "m3/h", "lower limit", id="40"),
        pytest.param("01 BB 49 05", "count", 5, None, "exceeds of upper limit", id="49"),
        pytest.param(
            "02 DB 6F 5F1C", "time_point", "2010-12-31", None, "date of last end", id="6F"
        ),
        pytest.param(
            "01 BE 50 05", "duration", 5, "s", "duration of first lower limit exceed", id="50"
        ),
        pytest.param(
            "01 BE 5E 05", "duration", 18000, "s", "duration of last upper limit exceed", id="5E"
        ),
        pytest.param("02 EC 7E 5F1C", "date", "2010-12-31", None, "future value", id="7E"),
        pytest.param("01 86 78 05", "derived", 5000, None, "plus 10^-3", id="78"),
        pytest.param(
            "01 AB FF 01 05", "manufacturer_specific", 5, "W", "manufacturer FF01", id="7F"
        ),
        pytest.param("01 86 3D 05", "unknown", 5000, None, "unknown 3D", id="3D, reserved"),
    ],
)
def test_pitfall_11_orthogonal_vife(text, quantity, value, unit, qualifier):
    decoded = decode_one(frame(HEADER + text))
    (found,) = decoded["records"]
    assert (found["quantity"], found["value"], found["unit"]) == (quantity, value, unit)
    assert found["qualifiers"] == [qualifier]
    assert decoded["registers"] == {}


@pytest.mark.parametrize(
    ("vife", "value"),
    [
        pytest.param("70", 0.007, id="x 10^-6"),
        pytest.param("77", 70_000, id="x 10"),
        pytest.param("7D", 7_000_000, id="x 1000"),
        pytest.param("F77D", 70_000_000, id="x 10 x 1000"),
        pytest.param("00", 7000, id="no error"),
        pytest.param("1D", 7000, id="standard conform"),
    ],
)
def test_pitfall_11_scaling_keeps_the_quantity(vife, value):
    decoded = decode_one(frame(HEADER + f"01 86 {vife} 07"))
    (found,) = decoded["records"]
    assert (found["quantity"], found["qualifiers"]) == ("energy", [])
    assert found["value"] == pytest.approx(value, rel=1e-15)
    assert decoded["registers"]["energy_j"] == round(value * 3600)


@pytest.mark.parametrize(
    ("vife", "quality", "text"),
    [
        pytest.param("15", "invalid", "no data available", id="15"),
        pytest.param("16", "out_of_range", "data overflow", id="16"),
        pytest.param("17", "out_of_range", "data underflow", id="17"),
        pytest.param("18", "invalid", "data error", id="18"),
        pytest.param("02", "invalid", "record error 02", id="storage not implemented"),
    ],
)
def test_pitfall_11_record_errors(vife, quality, text):
    found = record(f"01 A6 {vife} 05")
    assert (found["quantity"], found["quality"]) == ("operating_time", quality)
    assert (found["value"], found["text"]) == (None, text)


def test_pitfall_12_storage_tariff_subunit():
    """The lowest storage bit is in the DIF; each DIFE adds 4, 2 and 1 bits above those before."""
    found = record("C1 F5 3A 06 01")
    assert found["storage"] == 1 | 5 << 1 | 10 << 5
    assert found["tariff"] == 3 | 3 << 2
    assert found["subunit"] == 1 | 0 << 1
    ten = record("C1" + "FF" * 9 + "7F" + "06 01")
    assert (ten["storage"], ten["tariff"], ten["subunit"]) == (2**41 - 1, 2**20 - 1, 2**10 - 1)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        pytest.param("81" + "80" * 10 + "00 06 01", "DIFEs", id="11 DIFEs"),
        pytest.param("01 86" + "80" * 10 + "00 01", "VIFEs", id="11 VIFEs"),
        pytest.param("01 FF" + "80" * 10 + "00 01", "VIFEs", id="11 VIFEs of the maker's"),
        pytest.param("01 FD86" + "80" * 9 + "00 01", "VIFEs", id="the FD table's VIF counts"),
    ],
)
def test_pitfall_12_too_many_extensions(text, what):
    reason, detail = refusal(frame(HEADER + text))
    assert reason == "structure"
    assert f"expected at most 10 {what}" in detail
    assert "record at byte 19" in detail


def test_pitfall_13_fill_and_blocks():
    found = records("2F2F 0106 07 2F 0F 2F0102")
    assert [r["dib"] for r in found] == ["01", "0F"]
    assert found[1]["text"] == "2F0102"
    assert not more_follows(frame(HEADER + "0106 07 0F 1F"))
    assert more_follows(frame(HEADER + "0106 07 1F 00"))


def test_pitfall_13_answer_of_several_frames():
    first = frame("78563412 2440 01 04 01 00 0000" + "0106 07 1F")
    again = first  # the meter missed our FCB
    last = frame("78563412 2440 01 04 02 00 0000" + "0113 08")
    decoded = decode_batch([first + again + last], NO_PROFILES)
    assert len(decoded.rows) == 1
    assert decoded.rows.access[0] == 1
    assert decoded.rows.registers[0, [0, 2]].tolist() == [7000 * 3600, 8000]
    assert len(decode_one(first + again + last)["records"]) == 3
    assert not more_follows(first + last)


def test_pitfall_13_frames_of_two_meters_are_no_answer():
    other = frame("79563412 2440 01 07 55 00 0000" + "0113 08")
    reason, detail = refusal(frame(HEADER + "0106 07 1F") + other)
    assert reason == "identity"
    assert "another's at byte 25" in detail


@pytest.mark.parametrize(
    ("change", "reason", "sentence"),
    [
        pytest.param((0, 0x67), "frame", "found none", id="start"),
        pytest.param((1, 0x14), "frame", "got 14 and 12 at byte 1", id="first L"),
        pytest.param((2, 0x14), "frame", "got 12 and 14 at byte 1", id="second L"),
        pytest.param((3, 0x67), "frame", "found none", id="second start"),
        pytest.param((4, 0x48), "checksum", "got", id="C"),
        pytest.param((20, 0x07), "checksum", "got", id="data"),
        pytest.param((-2, 0x00), "checksum", "got 00 at byte 22", id="checksum"),
        pytest.param((-1, 0x17), "frame", "stop byte 16, got 17 at byte 23", id="stop"),
    ],
)
def test_pitfall_14_frame(change, reason, sentence):
    payload = bytearray(frame(HEADER + "0106 07"))
    payload[change[0]] = change[1]
    got, detail = refusal(bytes(payload))
    assert got == reason
    assert sentence in detail


def test_pitfall_14_cut_at_every_byte():
    payload = frame(HEADER + "0106 07 0413 01000000 0F AA")
    for size in range(len(payload)):
        reason, detail = refusal(payload[:size])
        assert reason == "frame"
        assert detail.startswith("expected ")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("FF00AA", "", id="noise before"),
        pytest.param("", "00FF68", id="noise after"),
        pytest.param("E5", "E5", id="ACK"),
        pytest.param("107B017C16", "", id="echo of the request"),
        pytest.param("68030368 73 01 50 C4 16", "", id="echo of a control frame"),
        pytest.param("68 68", "", id="a start byte too many"),
    ],
)
def test_pitfall_14_resync(before, after):
    payload = bytes.fromhex(before) + frame(HEADER + "0106 07") + bytes.fromhex(after)
    clean = decode_batch([frame(HEADER + "0106 07")], NO_PROFILES)
    decoded = decode_batch([payload], NO_PROFILES)
    assert decoded.rows.registers[0, 0] == 7000 * 3600
    assert decoded.rows.content_hash[0] == clean.rows.content_hash[0]


def test_pitfall_15_configuration_word_in_clear_telegrams():
    clear = "78563412 2440 01 07 55 00 {}" + "0106 07"
    for word in ("0005", "FFFF", "2025"):
        assert decode_one(frame(clear.format(word)))["ok"]
    reason, detail = refusal(frame("78563412 2440 01 07 55 00 1005" + "8F" * 16))
    assert reason == "encrypted"
    assert "configuration word 0510 claims security mode 5" in detail


def test_pitfall_18_identity_may_hold_hex():
    decoded = decode_one(frame("FA563412 2440 01 07 55 00 0000 0106 07"))
    assert decoded["id"] == "123456FA"
    label = record("0C78 FA563412")
    assert (label["value"], label["text"], label["quality"]) == (None, "123456FA", "ok")


@pytest.mark.parametrize(
    ("ci", "head", "identity"),
    [
        pytest.param(0x76, HEADER, "12345678", id="76: most significant byte first"),
        pytest.param(0x78, "", None, id="78: no header"),
        pytest.param(0x7A, "55 00 0000", None, id="7A: short header"),
    ],
)
def test_other_headers(ci, head, identity):
    data = "0206 0102" if ci == 0x76 else "0206 0201"
    decoded = decode_one(frame(head + data, ci=ci))
    assert decoded["ok"]
    assert decoded["id"] == identity
    assert decoded["records"][0]["value"] == 0x0102 * 1000
    if identity is None:
        assert refusal(frame(head + data, ci=ci))[0] == "identity"


@pytest.mark.parametrize(
    ("payload", "reason", "sentence"),
    [
        pytest.param(b"", "frame", "found none in 0 bytes; in nothing", id="nothing"),
        pytest.param(b"\xe5", "frame", "found none in 1 bytes", id="ACK alone"),
        pytest.param(frame("", ci=0x51), "frame", "expected CI 70, 72,", id="CI 51"),
        pytest.param(frame("0106 07", ci=0x72), "structure", "header of 12 bytes", id="header cut"),
        pytest.param(frame("08", ci=0x70), "application_error", "too busy", id="application error"),
        pytest.param(frame("", control=0x53), "frame", "got C 53 of the client's", id="request"),
        pytest.param(frame(HEADER + "3F"), "structure", "reserved 3F", id="reserved DIF"),
        pytest.param(frame(HEADER + "0406 01"), "structure", "for 4 bytes, got 1", id="data cut"),
        pytest.param(frame(HEADER), "no_register", "none in 0 sound records", id="no records"),
    ],
)
def test_refusals_say_what_and_where(payload, reason, sentence):
    got, detail = refusal(payload)
    assert got == reason
    assert sentence in detail
