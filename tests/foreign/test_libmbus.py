"""Every record of libmbus's own test frames against libmbus's normalised answer.

The tolerance and the traps are those of the README beside the frames. Records where libmbus is
known to be wrong (oracle_issues.json) must say so instead: by quantity, qualifier or quality.
"""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import fjarrvakt  # noqa: F401 - names the folder of compiled kernels before numba is imported
from adapters.mbus.decode import decode_batch, decode_one
from adapters.mbus.profile import NO_PROFILES
from config.profiles import load_profiles

pytestmark = pytest.mark.foreign

FUNCTIONS = {
    "Instantaneous value": "instantaneous",
    "Maximum value": "maximum",
    "Minimum value": "minimum",
    "Value during error state": "error",
    "Manufacturer specific": "instantaneous",
    "More records follow": "instantaneous",
    "Actual value": "instantaneous",
    "Stored value": "instantaneous",
}
UNITS = {"m^3": "m3", "m^3/h": "m3/h", "°C": "degC", "Units for H.C.A.": "HCA", "-": None, "": None}
QUANTITIES = {
    "Energy": "energy",
    "Volume": "volume",
    "Power": "power",
    "Volume flow": "volume_flow",
    "Flow temperature": "supply_temperature",
    "Return temperature": "return_temperature",
    "Temperature difference": "temperature_difference",
    "External temperature": "external_temperature",
    "On time": "on_time",
    "Operating time": "operating_time",
    "Averaging Duration": "averaging_duration",
    "Actuality Duration": "actuality_duration",
    "Fabrication No": "fabrication_number",
    "Error flags": "error_flags",
    "Time point (date)": "date",
    "Time point (date & time)": "time_point",
    "Voltage": "voltage",
    "Current": "current",
}


class Frame(NamedTuple):
    name: str
    payload: bytes
    expected: ET.Element
    issues: dict[int, dict[str, Any]]


def read_hex(path: Path) -> bytes:
    digits = re.sub(r"[^0-9A-Fa-f]", "", path.read_text(encoding="latin-1"))
    return bytes.fromhex(digits[: len(digits) // 2 * 2])


@pytest.fixture(scope="module")
def frames(shared: Path) -> list[Frame]:
    folder = shared / "telegrams" / "mbus"
    issues = json.loads((folder / "oracle_issues.json").read_text())
    found = []
    for path in sorted(folder.glob("*.hex")):
        text = path.with_suffix(".norm.xml").read_bytes().decode("utf-8")
        root = ET.fromstring(re.sub(r"^<\?xml[^>]*\?>", "", text))
        of_frame = {issue["record"]: issue for issue in issues.get(path.stem, [])}
        found.append(Frame(path.stem, read_hex(path), root, of_frame))
    assert len(found) >= 38
    return found


def text_of(element: ET.Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()


def close(ours: float, theirs: float) -> bool:
    return abs(ours - theirs) <= max(5e-7, 1e-6 * abs(theirs))


def differs(  # noqa: PLR0911 - one way out for each thing that may differ
    record: dict[str, Any], theirs: ET.Element
) -> str:
    """What is not as libmbus says, empty when all is."""
    value, text = text_of(theirs, "Value"), record["text"]
    quantity, unit = text_of(theirs, "Quantity"), text_of(theirs, "Unit")
    if quantity in QUANTITIES and record["quantity"] not in (
        QUANTITIES[quantity],
        "manufacturer_specific",  # a manufacturer's VIFE after FD: not in the list of issues
    ):
        return f"quantity {quantity}"
    if quantity in QUANTITIES and record["unit"] != UNITS.get(unit, unit):
        return f"unit {unit}"
    if record["function"] != FUNCTIONS[text_of(theirs, "Function")]:
        return "function"
    for tag, key in (("StorageNumber", "storage"), ("Tariff", "tariff"), ("Device", "subunit")):
        if record[key] != int(text_of(theirs, tag) or 0):
            return tag
    if isinstance(record["value"], int | float):
        return "" if close(record["value"], float(value)) else "value"
    if record["value"] is not None:  # a date: libmbus writes Z, though it is the meter's local time
        ours = record["value"].removesuffix("+02:00")
        return "" if ours == value.removesuffix("Z") else "date"
    if value and re.fullmatch(r"([0-9A-F]{2} ?)*", value):
        return "" if (text or "") == value.replace(" ", "") else "bytes"
    return "" if (text or "").strip() == value else "text"


def test_every_record_equals_libmbus(frames: list[Frame]):
    wrong = []
    count = 0
    for frame in frames:
        ours = decode_one(frame.payload)
        assert ours["ok"], (frame.name, ours["error"])
        theirs = frame.expected.findall("DataRecord")
        assert len(ours["records"]) == len(theirs), frame.name
        count += len(theirs)
        for index, (record, element) in enumerate(zip(ours["records"], theirs, strict=True)):
            if index not in frame.issues and (why := differs(record, element)):
                wrong.append((frame.name, index, why, record, text_of(element, "Value")))
    assert wrong == []
    assert count > 400


def test_where_libmbus_is_wrong_we_say_why(frames: list[Frame]):
    count = 0
    for frame in frames:
        records = decode_one(frame.payload)["records"]
        for index, issue in frame.issues.items():
            record = records[index]
            assert (record["dib"], record["vib"]) == (issue["dib"], issue["vib"])
            if "date" in issue["why"]:
                assert record["value"] is None
                assert record["quality"] == "invalid"
            elif "manufacturer" in issue["why"]:
                assert record["quantity"] == "manufacturer_specific"
                assert record["qualifiers"]
            else:
                assert record["qualifiers"], (frame.name, record)
            count += 1
    assert count >= 20


def test_header_equals_libmbus(frames: list[Frame]):
    media = {"Heat: Outlet": "heat", "Water": "water", "Electricity": "electricity", "Gas": "gas"}
    for frame in frames:
        ours = decode_one(frame.payload)
        header = frame.expected.find("SlaveInformation")
        assert header is not None
        assert int(ours["id"], 16) == int(text_of(header, "Id"), 16), frame.name
        assert ours["manufacturer"] == text_of(header, "Manufacturer"), frame.name
        assert ours["version"] == int(text_of(header, "Version")), frame.name
        assert ours["access"] == int(text_of(header, "AccessNumber")), frame.name
        medium = text_of(header, "Medium")
        assert ours["medium"] == media.get(medium, ours["medium"]), frame.name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("error-frames/application_busy", "application_error", id="CI 70, busy"),
        pytest.param("error-frames/error", "application_error", id="CI 70 without a code"),
        pytest.param("error-frames/too_many_difes", "application_error", id="CI 70, DIFEs"),
        pytest.param("error-frames/too_many_records", "application_error", id="CI 70, records"),
        pytest.param("error-frames/too_many_vifes", "application_error", id="CI 70, VIFEs"),
        pytest.param("error-frames/unimplemented_ci", "application_error", id="CI 70, CI"),
        pytest.param("error-frames/premature_end_of_data2", "structure", id="data cut"),
        pytest.param("error-frames/premature_end_of_dif2", "structure", id="DIF cut"),
        pytest.param("error-frames/premature_end_of_var_vif1", "structure", id="text cut"),
        pytest.param("error-frames/too_long_var_vif", "structure", id="text too long"),
        pytest.param("unsupported-frames/invalid_length", "frame", id="L 0"),
        pytest.param("unsupported-frames/manual_frame1", "frame", id="wrong start"),
        pytest.param("unsupported-frames/manual_frame5", "frame", id="client to meter"),
        pytest.param("unsupported-frames/svm_f22_telegram2", "no_register", id="only DIF 1F"),
    ],
)
def test_refused_with_a_sentence(shared: Path, name: str, reason: str):
    payload = read_hex(shared / "telegrams" / "mbus" / f"{name}.hex")
    decoded = decode_batch([payload], NO_PROFILES)
    assert len(decoded.rows) == 0
    assert decoded.refused[0].reason == reason
    assert re.search(r"expected .*, (got|found) .*; in [0-9A-F… ]+$", decoded.refused[0].detail)
    error_xml = shared / "telegrams" / "mbus" / f"{name}.xml"
    if error_xml.exists():
        theirs = ET.fromstring(error_xml.read_bytes().split(b"?>", 1)[1].decode("utf-8", "replace"))
        words = re.findall(r"[a-z]+", (theirs.findtext(".//Error") or "").lower())
        assert any(word in decoded.refused[0].detail for word in words)


def test_real_heat_meters_to_registers(frames: list[Frame]):
    """By hand from the frames' bytes: kamstrup_multical_601 and hydrometer (siemens_wfh21 etc.)."""
    by_name = {frame.name: frame.payload for frame in frames}
    registers = decode_one(by_name["kamstrup_multical_601"], load_profiles())["registers"]
    assert registers == {
        "energy_j": 37351 * 3_600_000,
        "volume_ml": 561_080_000,
        "power_w": 34_700,
        "flow_l_h": 543,
        "supply_temp_c": 101.69,
        "return_temp_c": 46.16,
        "operating_h": 985,
    }
    combined = decode_one(by_name["itron_cf_51"], load_profiles())["registers"]
    assert combined["cooling_energy_j"] == 0
    assert "power_w" not in combined  # 3B2D: a value during error state
