"""Metering days from hours, months from days, and what is read off a sum. docs/method.md 4.

A period's numbers come from its sums, never from averages of averages: energy, volume, E8 and E9
are added, then divided. The metering day is 24 hours of normal time.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.exact import proportion
from engine.types import MISSING, Quality

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

_I = int(Quality.INTERPOLATED)
_P = int(Quality.PRELIMINARY)
_C = int(Quality.CORRECTED)
_X = int(Quality.REJECTED)

ENERGY, VOLUME, E8, E9, WEIGHTED_ENERGY, WEIGHTED_RETURN, HOURS, HOURS_MEASURED, QUALITY = range(9)
COLUMNS = (
    "energy_j",
    "volume_ml",
    "e8_mlc",
    "e9_mlc",
    "weighted_energy_j",
    "weighted_return_jc",
    "hours",
    "hours_measured",
    "quality",
)
"""Rows of a day array, and of a sum. [J, ml, ml·°C, ml·°C, J, J·°C, hours, hours, Quality]"""


@njit(cache=True, nogil=True)
def _sum_hours(values: I64, quality: U8, start: int, out: I64) -> None:
    """Sums, counts and quality of one day into its column `out` (9,)."""
    worst = 0
    for k in range(start, start + 24):
        q = quality[k]
        if q == 0:
            continue
        # By hand counts as measured; otherwise the letters rise with the doubt.
        worst = max(worst, 1 if q == _C else q)
        if values[0, k] == MISSING:
            continue
        out[6] += 1
        out[7] += 1 if q <= _I or q == _C else 0
        for r in range(4):
            if values[r, k] != MISSING:
                out[r] = values[r, k] if out[r] == MISSING else out[r] + values[r, k]
    # Domain 1.4: hours of a gap are P, but the day's sum is known when the gap ends inside it.
    inside = quality[start] != _P and quality[start + 23] != _P
    out[8] = _I if worst == _P and out[6] == 24 and inside else worst


@njit(cache=True, nogil=True)
def _weigh(energy_j: int, volume_ml: int, e9_mlc: int, out: I64) -> None:
    """Add one step to the weighted return of the column `out`, if it has energy and flow."""
    if energy_j > 0 and volume_ml > 0 and e9_mlc != MISSING:
        out[4] += energy_j
        out[5] += proportion(energy_j, e9_mlc, volume_ml)


@njit(cache=True, nogil=True)
def fold_days(values: I64, quality: U8, starts: I64, weight_by_day: bool, out: I64) -> None:
    """Sum hours to days.

    values: (4, n) energy, volume, E8, E9 of dense hours, MISSING where unknown; quality: (n,), 0
    where there is no hour. Day d is the 24 hours from `starts[d]`. out: (9, days), rows as named
    above; a sum no hour has a value for is MISSING.

    The weighted return follows domain 2: over steps with E > 0 and V > 0, E * E9 / V rounded per
    step [J·°C]; a step is an hour, or with `weight_by_day` the day.
    """
    for d in range(starts.size):
        for r in range(9):
            out[r, d] = MISSING if r < 4 else 0
        _sum_hours(values, quality, starts[d], out[:, d])
        if weight_by_day:
            _weigh(out[0, d], out[1, d], out[3, d], out[:, d])
        else:
            for k in range(starts[d], starts[d] + 24):
                _weigh(values[0, k], values[1, k], values[3, k], out[:, d])


def total(days: I64) -> I64:
    """One sum of day rows (9, n), or of any sums: months, years, groups of facilities.

    MISSING adds nothing; the quality is the worst. [as the rows]
    """
    out: I64 = np.where(days == MISSING, 0, days).sum(axis=1)
    for r in range(4):
        if days.shape[1] == 0 or (days[r] == MISSING).all():
            out[r] = MISSING
    out[QUALITY] = days[QUALITY].max(initial=0)
    return out


def power_w_mean(energy_j: int, hours: int) -> float:
    """Mean power of an interval. [W]"""
    return energy_j / (hours * 3600)


def temp_cc(carried_mlc: int, volume_ml: int) -> int | None:
    """Volume-weighted temperature E8/V or E9/V, rounded half up; None without flow. [0.01 °C]"""
    if carried_mlc == MISSING or volume_ml <= 0:
        return None
    return (200 * carried_mlc + volume_ml) // (2 * volume_ml)


def weighted_return_cc(weighted_return_jc: int, weighted_energy_j: int) -> int | None:
    """Energy-weighted mean return temperature; None without energy. [0.01 °C]"""
    return temp_cc(weighted_return_jc, weighted_energy_j)


def coefficient_kwh_m3k(energy_j: int, e8_mlc: int, e9_mlc: int) -> float | None:
    """Heat coefficient k = E / (E8 - E9), of water 1.08 to 1.20; None at ΔT 0. [kWh/(m3·K)]"""
    carried = e8_mlc - e9_mlc
    return energy_j / 3.6 / carried if carried != 0 else None  # 3.6 MJ a kWh, 10^6 ml a m3


def specific_flow_m3_mwh(energy_j: int, volume_ml: int) -> float | None:
    """Volume per energy; None without energy. [m3/MWh]"""
    return volume_ml * 3600 / energy_j if energy_j > 0 else None


def warm() -> None:
    """Compile, or load from the cache, what the engine calls."""
    hours, quality = np.zeros((4, 24), np.int64), np.zeros(24, np.uint8)
    fold_days(hours, quality, np.zeros(1, np.int64), False, np.zeros((9, 1), np.int64))
