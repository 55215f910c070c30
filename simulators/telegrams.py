"""What the simulated meters show at any moment, and the M-Bus telegrams they send of it."""

from typing import Final

import numpy as np

from adapters.mbus import encode
from simulators.building import I64
from simulators.fleet import Course, Fleet
from simulators.weather import HOUR_US

LIVE_STEP_US: Final = HOUR_US // 4
"""Gateways send every hour in the past and every quarter of an hour from `Fleet.live_us` on."""

_SECONDS: Final = 3600


def register_values(fleet: Fleet, course: Course, at_us: I64) -> dict[str, I64]:
    """Every register at the times given, exact and not yet truncated, and the meter's clock.

    Between whole hours counters rise evenly. Raises ValueError for times outside the fleet's life.
    """
    since_us = at_us - fleet.start_us
    if at_us.size and (since_us.min() < 0 or at_us.max() >= fleet.end_us):
        raise ValueError("a simulated meter knows nothing before its start or after its end")
    hour = since_us // HOUR_US
    second = since_us % HOUR_US // 1_000_000

    def counter(values: I64) -> I64:
        before = values[hour]
        return before + (values[hour + 1] - before) * second // _SECONDS

    counted, load = course.registers, course.load
    energy_j = counter(counted.energy_wh) * 3600
    is_cooling = course.meter.energy_register == "cooling_energy_j"
    return {
        "energy_j": np.zeros_like(energy_j) if is_cooling else energy_j,
        "cooling_energy_j": energy_j if is_cooling else np.zeros_like(energy_j),
        "volume_ml": counter(counted.volume_ml),
        "e8_mlc": counter(counted.e8_mlc),
        "e9_mlc": counter(counted.e9_mlc),
        "power_w": np.rint(load.power_kw[hour] * 1000).astype(np.int64),
        "flow_l_h": np.diff(counted.volume_ml)[hour] // 1000,
        "supply_temp_cc": np.rint(load.supply_temp_c[hour] * 100).astype(np.int64),
        "return_temp_cc": np.rint(load.return_temp_c[hour] * 100).astype(np.int64),
        "operating_h": hour,
        "meter_clock_us": at_us,
    }


def telegram_number(fleet: Fleet, at_us: I64) -> I64:
    """How many telegrams a meter sent before: one an hour in the past, four in live time."""
    past: I64 = (np.minimum(at_us, fleet.live_us) - fleet.start_us) // HOUR_US
    live: I64 = np.maximum(at_us - fleet.live_us, 0) // LIVE_STEP_US
    return past + live


def telegrams(fleet: Fleet, course: Course, at_us: I64, *, address: int = 1) -> list[bytes]:
    """The meter's long frames at the times given; the access number counts its telegrams."""
    cooling = course.meter.energy_register == "cooling_energy_j"
    return encode.encode_hourly(
        course.meter.layout.records(cooling=cooling),
        course.meter.identity,
        register_values(fleet, course, at_us),
        access=telegram_number(fleet, at_us) & 0xFF,
        address=address,
    )
