"""A real heat meter, two years of hours, replayed as telegrams through the whole path.

The facts are those of the data's README; the alarms are held against tests/scenarios/reference.py,
which is computed on the very registers that the telegrams carry.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import orjson
import pytest

from adapters import identity
from adapters.mbus import encode
from simulators.gateway import Publication
from tests.scenarios import reference
from tests.scenarios.conftest import Get, Installation

pytestmark = [pytest.mark.db, pytest.mark.foreign]

PRECISE = "FJV-00000660-02-04"
CALCULATOR = "FJV-00000661-01-04"
STATION = "06031"


@dataclass
class Replay:
    """Registers as the telegrams carry them, on whole hours. [J, ml, ml·°C]"""

    at: list[datetime]
    energy_j: list[int]
    volume_ml: list[int]
    e8_mlc: list[int]
    e9_mlc: list[int]

    def hours(self) -> list[reference.Hour]:
        return reference.hours_of(self.at[0], self.energy_j, self.volume_ml, self.e9_mlc)

    def publications(self, layout: encode.Layout, meter: str) -> list[Publication]:
        at_us = np.array([int(at.timestamp()) * 1_000_000 for at in self.at], np.int64)
        zero = np.zeros(at_us.size, np.int64)
        values = {
            "energy_j": np.array(self.energy_j),
            "volume_ml": np.array(self.volume_ml),
            "e8_mlc": np.array(self.e8_mlc),
            "e9_mlc": np.array(self.e9_mlc),
            "meter_clock_us": at_us,
            "operating_h": np.arange(at_us.size),
            **dict.fromkeys(("power_w", "flow_l_h", "supply_temp_cc", "return_temp_cc"), zero),
        }
        frames = encode.encode_hourly(
            layout, identity.parse(meter), values, access=np.arange(at_us.size) & 0xFF
        )
        return [
            Publication(
                "gw/danish/up/telegram",
                orjson.dumps({"time": at.isoformat(), "telegram": frame.hex()}),
            )
            for at, frame in zip(self.at, frames, strict=True)
        ]


def replay(shared: Path, energy_wh: int, volume_ml: int, e_mlc: int) -> Replay:
    """The published registers, floored to these steps."""
    made = Replay([], [], [], [], [])
    with (shared / "data" / "meter660_hourly.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            made.at.append(datetime.fromisoformat(row["time_rounded"]))
            counts = [
                int(Decimal(row[name]) * scale // step) * step
                for name, scale, step in (
                    ("energy_heat_kwh", 1_000, energy_wh),
                    ("volume_flow_m3", 1_000_000, volume_ml),
                    ("inlet_flow_energy_m3xC", 1_000_000, e_mlc),
                    ("back_flow_energy_m3xC", 1_000_000, e_mlc),
                )
            ]
            made.energy_j.append(counts[0] * 3600)
            made.volume_ml.append(counts[1])
            made.e8_mlc.append(counts[2])
            made.e9_mlc.append(counts[3])
    return made


def weather(shared: Path) -> list[Publication]:
    rows = csv.reader(
        (shared / "data" / "aalborg_outdoor_temperature.csv").read_text().splitlines()
    )
    return [
        Publication(
            "gw/danish/up/weather",
            orjson.dumps({"station": STATION, "time": at, "outdoor_temp_c": float(temp)}),
        )
        for at, temp in rows
    ]


def events_of(alarms: Sequence[dict[str, str | None]]) -> list[reference.Event]:
    """The API's occurrences as raisings and clearings in time order."""
    found = []
    for alarm in alarms:
        assert alarm["since"] is not None
        found.append(reference.Event("raise", datetime.fromisoformat(alarm["since"])))
        if alarm["until"] is not None:
            found.append(reference.Event("clear", datetime.fromisoformat(alarm["until"])))
    return sorted(found, key=lambda event: event.at)


@pytest.mark.timeout(600)
def test_full_resolution(installation: Installation, get: Get, shared: Path):
    facility = installation.facility("Meter 660", station=STATION)
    installation.meter(facility, PRECISE)
    installation.rule(facility, "return_temperature", 3300, 5000)
    real = replay(shared, 1, 1, 1)
    publications = real.publications(encode.precise_layout(), PRECISE) + weather(shared)
    installation.settle(installation.publish(publications))

    span = {"from_": real.at[0].isoformat(), "to": real.at[-1].isoformat()}
    hours = get(f"/facilities/{facility}/hours", **span)
    total_kwh = sum(hours["series"]["energy_kwh"])
    assert total_kwh == pytest.approx((real.energy_j[-1] - real.energy_j[0]) / 3.6e6, abs=1e-6)
    assert total_kwh == pytest.approx(35_115.620, abs=0.001)
    assert set(hours["quality"]) == {"M"}

    day = get(f"/facilities/{facility}/days", from_="2018-01-03", to="2018-01-04")
    assert day["series"]["energy_kwh"] == [pytest.approx(88.127, abs=0.001)]
    assert day["series"]["power_kw_mean"] == [pytest.approx(3.6720, abs=0.00005)]
    assert day["series"]["return_temp_c_vw"] == [pytest.approx(32.19, abs=0.01)]
    outdoor_c = [
        float(row.payload.split(b":")[-1].strip(b"}"))
        for row in weather(shared)
        if b'"2018-01-02T23' in row.payload or b'"2018-01-03' in row.payload
    ][:24]
    mean_c = sum(outdoor_c) / 24
    assert day["series"]["outdoor_temp_c"] == [pytest.approx(mean_c, abs=0.006)]

    month = get(f"/facilities/{facility}/months", from_="2019-01-01", to="2019-02-01")
    assert month["series"]["energy_kwh"] == [pytest.approx(2794.4, abs=0.05)]
    assert month["series"]["return_temp_c_vw"] == [pytest.approx(33.59, abs=0.005)]
    assert month["series"]["return_temp_c_ew"] == [pytest.approx(33.53, abs=0.005)]

    alarms = get("/alarms", facility_id=facility, from_="2018-01-01T00:00:00Z", limit=2000)
    expected = reference.return_alarms(real.hours(), 33, 50, 1)
    seasons = {reference.is_winter(event.at) for event in expected if event.what == "raise"}
    assert seasons == {True, False}, "the limits must be crossed in both seasons"
    assert events_of(alarms["alarms"]) == expected


@pytest.mark.timeout(600)
def test_a_real_calculators_registers(installation: Installation, get: Get, shared: Path):
    """1 kWh, 1 l and E8/E9 x 10: the quantisation window and the flow guard act."""
    facility = installation.facility("Meter 660, coarse")
    installation.meter(facility, CALCULATOR)
    installation.rule(facility, "return_temperature", 3300, 5000)
    installation.rule(facility, "hourly_power", 5000, 2000)
    coarse = replay(shared, 1_000, 1_000, 100_000)
    layout = encode.calculator_layout(volume_step_ml=1_000)
    installation.settle(installation.publish(coarse.publications(layout, CALCULATOR)))

    hours = coarse.hours()
    span = {"from_": coarse.at[0].isoformat(), "to": coarse.at[-1].isoformat()}
    stored = get(f"/facilities/{facility}/hours", **span)
    assert stored["series"]["energy_kwh"] == [hour.energy_j / 3.6e6 for hour in hours]
    found = get("/alarms", facility_id=facility, from_="2018-01-01T00:00:00Z", limit=2000)["alarms"]
    returns = [alarm for alarm in found if alarm["kind"] == "return_temperature"]
    powers = [alarm for alarm in found if alarm["kind"] == "hourly_power"]
    stagnant = sum(hour.volume_ml < 10_000 for hour in hours)
    assert stagnant > 100, "the flow guard must have something to do"
    assert events_of(returns) == reference.return_alarms(hours, 33, 50, 1_000)
    assert {alarm["window_h"] for alarm in powers} == {2, 6}
    assert events_of(powers) == reference.power_alarms(hours, 5000, 2000, 3_600_000)


def test_the_reference_agrees_with_the_published_facts(shared: Path):
    real = replay(shared, 1, 1, 1)
    day = reference.day_of(real.hours(), date(2018, 1, 3))
    assert len(day) == 24
    assert float(sum(hour.energy_j for hour in day) / 3.6e6) == pytest.approx(88.127, abs=0.001)
    assert real.at[1] - real.at[0] == timedelta(hours=1)
    assert real.at[0].tzinfo in (UTC, real.at[0].tzinfo)
