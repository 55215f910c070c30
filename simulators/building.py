"""A building on district heating or cooling: what it draws by the hour, what its meter counts."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.weather import local_hours, memory_noise

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# Energy per volume and kelvin of water, EN 1434-1, at the temperature of the flow sensor (return
# pipe).
_COEFFICIENT_AT_C: Final = (5.0, 15.0, 35.0, 45.0, 70.0, 85.0)
_COEFFICIENT_KWH_M3K: Final = (1.1668, 1.1633, 1.1536, 1.1497, 1.1381, 1.1303)

_THERMAL_MEMORY_H: Final = 30.0  # a building answers to the outdoor temperature with this delay


class Use(StrEnum):
    """What a building draws from the network."""

    HEAT = "heat"
    COOLING = "cooling"


@dataclass(frozen=True, kw_only=True)
class Building:
    """The physics of one building.

    `loss_kw_k` is the power per kelvin below (cooling: above) `balance_temp_c`; `base_kw` the mean
    load that does not ask for the weather: hot water, or server rooms. `profile` is the load's
    shape over the week, 168 hours from Monday 00, mean 1. `return_offset_c` tells good substations
    from poor.
    """

    use: Use
    loss_kw_k: float
    balance_temp_c: float
    base_kw: float
    profile: tuple[float, ...]
    return_offset_c: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a building draws, mean of each hour, shape (hours,). [kW], [°C]"""

    power_kw: F64
    supply_temp_c: F64
    return_temp_c: F64


@dataclass(frozen=True, kw_only=True)
class Registers:
    """Counters at hour boundaries, shape (hours + 1,): entry i is at start + i hours.

    Exact integers [Wh, ml, ml·°C], so differences add up whatever hours are summed.
    """

    energy_wh: I64
    volume_ml: I64
    e8_mlc: I64
    e9_mlc: I64


def load(building: Building, seed: tuple[int, ...], outdoor_c: F64, start_us: int) -> Load:
    """The building's load in the weather given. `seed` names its own stream of chance."""
    noise = [np.random.default_rng([*seed, stream]) for stream in range(4)]
    hours = outdoor_c.size
    week = _profile(building.profile, start_us, hours)
    slow = memory_noise(noise[0].standard_normal(hours), 12.0, 0.035)
    fast = np.clip(noise[1].standard_normal(hours), -3, 3)
    drift_c = memory_noise(np.clip(noise[2].standard_normal(hours), -3, 3), 8.0, 0.7)
    supply_noise_c = memory_noise(noise[3].standard_normal(hours), 6.0, 0.5)
    felt_c = _felt_temp_c(outdoor_c)
    if building.use is Use.COOLING:
        return _cooling(building, outdoor_c, week * (1 + slow), fast, drift_c, supply_noise_c)
    space_kw = building.loss_kw_k * np.maximum(0.0, building.balance_temp_c - felt_c) * (1 + slow)
    water_kw = building.base_kw * week * (1 + 0.18 * fast)
    power_kw = space_kw + water_kw
    # Radiators return warmer the colder it is; hot water circulation returns at about 50 °C
    # whatever the weather, which is why a building's return rises in summer.
    space_return_c = 29.0 + 0.32 * np.maximum(0.0, building.balance_temp_c - felt_c)
    share = water_kw / power_kw
    return Load(
        power_kw=power_kw,
        supply_temp_c=np.clip(72 + 1.3 * (3 - outdoor_c), 70, 102) + supply_noise_c,
        return_temp_c=(1 - share) * space_return_c
        + share * 49.0
        + building.return_offset_c
        + drift_c,
    )


def _cooling(
    building: Building, outdoor_c: F64, week: F64, fast: F64, drift_c: F64, supply_noise_c: F64
) -> Load:
    """The mirror: cold comes in, a good building sends it back warm."""
    comfort_kw = building.loss_kw_k * np.maximum(0.0, outdoor_c - building.balance_temp_c) * week
    return Load(
        power_kw=comfort_kw + building.base_kw * (1 + 0.03 * fast),
        supply_temp_c=np.clip(7.0 + 0.3 * supply_noise_c, 6.2, 7.8),
        return_temp_c=np.clip(14.3 + building.return_offset_c + 0.6 * drift_c, 11.8, 16.4),
    )


def registers(load: Load, *, use: Use) -> Registers:
    """Counters that started at zero: V = E / (k * dT), E8 = V * supply, E9 = V * return."""
    energy_wh = np.rint(load.power_kw * 1000).astype(np.int64)
    cooling_k = load.supply_temp_c - load.return_temp_c
    if use is Use.COOLING:
        cooling_k = -cooling_k
    if np.any(cooling_k <= 0):
        raise ValueError(
            "a building must change the temperature of its water; supply equals return"
        )
    coefficient = np.interp(load.return_temp_c, _COEFFICIENT_AT_C, _COEFFICIENT_KWH_M3K)
    volume_ml = np.rint(energy_wh * 1000 / (coefficient * cooling_k)).astype(np.int64)
    return Registers(
        energy_wh=_counter(energy_wh),
        volume_ml=_counter(volume_ml),
        e8_mlc=_counter(np.rint(volume_ml * load.supply_temp_c).astype(np.int64)),
        e9_mlc=_counter(np.rint(volume_ml * load.return_temp_c).astype(np.int64)),
    )


def _counter(step: I64) -> I64:
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(step)))


def _felt_temp_c(outdoor_c: F64) -> F64:
    """The outdoor temperature as a heavy building feels it: smoothed over `_THERMAL_MEMORY_H`."""
    weights = np.exp(-np.arange(int(4 * _THERMAL_MEMORY_H)) / _THERMAL_MEMORY_H)
    padded = np.concatenate((np.full(weights.size - 1, outdoor_c[0]), outdoor_c))
    return np.convolve(padded, weights / weights.sum(), mode="valid")


def _profile(profile: tuple[float, ...], start_us: int, hours: int) -> F64:
    """The week's shape laid over the hours; 1970-01-01 was a Thursday, three days after Monday."""
    hour_of_week = (local_hours(start_us, hours).astype(np.int64) + 3 * 24) % 168
    return np.asarray(profile)[hour_of_week]
