"""Every real heat meter's telegram from the wire to the API, held against libmbus's answer."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters import identity
from adapters.mbus.decode import decode_batch
from config.profiles import load_profiles
from simulators.gateway import Publication
from tests.scenarios.conftest import Get, Installation

pytestmark = [pytest.mark.db, pytest.mark.foreign]

HEAT = {0x04, 0x0A, 0x0B, 0x0C, 0x0D}  # media of heat and cooling meters, EN 13757-7

# libmbus's quantity and unit -> our register in the API's unit, and the factor between them.
QUANTITY = {
    ("Energy", "Wh"): ("energy_kwh", 1e-3),
    ("Energy", "J"): ("energy_kwh", 1 / 3.6e6),
    ("Volume", "m^3"): ("volume_m3", 1.0),
    ("Power", "W"): ("power_kw", 1e-3),
    ("Volume flow", "m^3/h"): ("flow_m3_h", 1.0),
    ("Flow temperature", "°C"): ("supply_temp_c", 1.0),
    ("Return temperature", "°C"): ("return_temp_c", 1.0),
    ("On time", "s"): ("operating_h", 1 / 3600),
    ("Operating time", "s"): ("operating_h", 1 / 3600),
}
# What a register of ours can resolve, in the API's unit.
RESOLUTION = {
    "energy_kwh": 1 / 3.6e6,
    "volume_m3": 1e-6,
    "power_kw": 1e-3,
    "flow_m3_h": 1e-3,
    "supply_temp_c": 0.01,
    "return_temp_c": 0.01,
    "operating_h": 1.0,
}


@dataclass
class Expected:
    """libmbus's value of a register, or the reason why its answer must not be copied."""

    value: float | None
    why: str | None


def frames(shared: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted((shared / "telegrams" / "mbus").glob("*.hex")):
        yield path.stem, bytes.fromhex("".join(re.findall(r"[0-9A-Fa-f]", path.read_text())))


def heat_meters(shared: Path) -> dict[str, tuple[bytes, str]]:
    """Telegrams whose header says heat or cooling: name -> bytes and identity."""
    found = {}
    for name, frame in frames(shared):
        rows = decode_batch([frame], load_profiles()).rows
        medium = identity.unpack(int(rows.identity[0]))[3] if len(rows) else None
        if medium in HEAT:
            found[name] = frame, identity.text(int(rows.identity[0]))
    return found


def expectations(shared: Path, name: str) -> dict[str, Expected]:
    """The first live record of each quantity: instantaneous, storage 0, no tariff, no subunit."""
    folder = shared / "telegrams" / "mbus"
    issues = json.loads((folder / "oracle_issues.json").read_text())
    wrong = {entry["record"]: entry["why"] for entry in issues.get(name, [])}
    text = (folder / f"{name}.norm.xml").read_bytes().split(b"?>", 1)[1].decode("utf-8")
    found: dict[str, Expected] = {}
    for record in ET.fromstring(text).iter("DataRecord"):
        field = {child.tag: (child.text or "").strip() for child in record}
        live = (
            field["Function"] == "Instantaneous value"
            and field.get("StorageNumber", "0") == "0"
            and field.get("Tariff", "0") == "0"
            and field.get("Device", "0") == "0"
        )
        register, factor = QUANTITY.get((field["Quantity"], field["Unit"]), (None, 0.0))
        index = int(record.get("id", "-1"))
        if register is None or register in found:
            continue
        if index in wrong:
            found[register] = Expected(None, wrong[index])
        elif live:
            found[register] = Expected(float(field["Value"]) * factor, None)
    return found


def test_every_heat_meter_comes_out_of_the_api_as_it_was_sent(
    installation: Installation, get: Get, shared: Path
):
    meters = heat_meters(shared)
    assert len(meters) >= 15, sorted(meters)
    places = {}
    for name, (_, identity_text) in meters.items():
        facility = installation.facility(name)
        places[name] = facility, installation.meter(facility, identity_text)
    sent = installation.publish(
        Publication("gw/corpus/up/telegram", frame.hex().encode()) for frame, _ in meters.values()
    )
    installation.settle(sent)
    compared = 0
    for name, (facility, meter) in places.items():
        body = get(f"/facilities/{facility}/meters/{meter}/readings")
        assert len(body["t"]) == 1, name
        for register, expected in expectations(shared, name).items():
            value = body["registers"].get(register, [None])[0]
            if expected.why is not None:
                assert value is None, (name, register, expected.why)
                continue
            assert value == pytest.approx(
                expected.value, rel=1e-6, abs=RESOLUTION[register] / 2 + 5e-7
            ), (name, register)
            compared += 1
    assert compared >= 60
