"""Alarm limits that a healthy building keeps: from its own fault-free years, with a margin."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.building import F64, I64, Registers, Use
from simulators.weather import HOUR_US, local_hours

_SUMMER_MONTHS: Final = (5, 6, 7, 8, 9)
_RETURN_HOURS: Final = 6  # a return alarm asks for so many valid hours in a row
_WEIGHTED_FIRST_DAY: Final = 3  # the energy-weighted return is judged from the third day of a month
_VALID_VOLUME_STEPS: Final = (
    10  # an hour tells a return temperature from so many steps of volume on
)
_MARGIN_CC: Final = 100
_POWER_MARGIN: Final = 1.12


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One alarm's limits: 0.01 °C for temperatures, W for powers."""

    winter: int
    summer: int

    def at(self, month: int) -> int:
        """The limit that holds in a month of normal time."""
        return self.summer if month in _SUMMER_MONTHS else self.winter


Limits = dict[str, Limit]
"""By kind: return_temperature, daily_power, hourly_power, energy_weighted_return."""


def suggest_limits(shown: Registers, *, use: Use, start_us: int, volume_step_ml: int) -> Limits:
    """Limits for one meter, from what it shows at whole hours while nothing is wrong.

    Return temperatures are upper limits for heating and lower limits for cooling.
    """
    hours = shown.energy_wh.size - 1
    local = local_hours(start_us, hours)
    summer = np.isin(local.astype("datetime64[M]").astype(np.int64) % 12 + 1, _SUMMER_MONTHS)
    energy_wh, volume_ml = np.diff(shown.energy_wh), np.diff(shown.volume_ml)
    return_c = np.diff(shown.e9_mlc) / np.maximum(volume_ml, 1)
    worse = -1.0 if use is Use.COOLING else 1.0  # cooling that comes back cold is the bad one

    valid = volume_ml >= _VALID_VOLUME_STEPS * volume_step_ml
    runs = _worst_by_season(_rolling_min(worse * return_c[valid], _RETURN_HOURS), summer[valid])
    first = -(start_us // HOUR_US + 1) % 24  # the first normal-time midnight
    day_summer = summer[first:][: (hours - first) // 24 * 24 : 24]
    daily_w = _by_day(energy_wh, first).sum(axis=1) / 24
    weighted, weighted_summer = _weighted(worse * return_c, energy_wh, volume_ml, first, local)
    return {
        "return_temperature": _temperature_limit(runs, worse),
        "energy_weighted_return": _temperature_limit(
            _worst_by_season(weighted, weighted_summer), worse
        ),
        "hourly_power": _power_limit(_worst_by_season(energy_wh.astype(np.float64), summer)),
        "daily_power": _power_limit(_worst_by_season(daily_w, day_summer)),
    }


def _weighted(
    signed_return_c: F64, energy_wh: I64, volume_ml: I64, first: int, local: NDArray[np.datetime64]
) -> tuple[F64, NDArray[np.bool_]]:
    """Month-to-date energy-weighted return of every day from the third on; whether in summer."""
    weight_wh = np.where((energy_wh > 0) & (volume_ml > 0), energy_wh, 0).astype(np.float64)
    weight_day = _by_day(weight_wh, first).sum(axis=1)
    product_day = _by_day(weight_wh * signed_return_c, first).sum(axis=1)
    day = local[first::24][: weight_day.size].astype("datetime64[D]")
    month = day.astype("datetime64[M]")
    month_start = np.searchsorted(month, month)  # index of each day's month's first day
    total, product = np.cumsum(weight_day), np.cumsum(product_day)
    before = np.concatenate((np.zeros(1), total))[month_start]
    product_before = np.concatenate((np.zeros(1), product))[month_start]
    day_of_month = (day - month.astype("datetime64[D]")).astype(np.int64) + 1
    judged = (day_of_month >= _WEIGHTED_FIRST_DAY) & (total - before > 0)
    values = (product - product_before)[judged] / (total - before)[judged]
    return values, np.isin(month.astype(np.int64) % 12 + 1, _SUMMER_MONTHS)[judged]


def _by_day(values: NDArray[np.number], first: int) -> NDArray[np.number]:
    whole = (values.size - first) // 24 * 24
    return values[first : first + whole].reshape(-1, 24)


def _rolling_min(values: F64, count: int) -> F64:
    """Least of each value and its predecessors, as many as there are at the start."""
    padded = np.concatenate((np.full(count - 1, -np.inf), values))
    least: F64 = np.lib.stride_tricks.sliding_window_view(padded, count).min(axis=1)
    return least


def _worst_by_season(values: F64, summer: NDArray[np.bool_]) -> tuple[float, float]:
    """(winter, summer); a season without values takes the other's."""
    worst = [float(values[part].max(initial=-math.inf)) for part in (~summer, summer)]
    found = [value for value in worst if math.isfinite(value)]
    if not found:
        raise ValueError("a building that never draws anything has no limits")
    return (
        worst[0] if math.isfinite(worst[0]) else found[0],
        worst[1] if math.isfinite(worst[1]) else found[0],
    )


def _temperature_limit(worst: tuple[float, float], worse: float) -> Limit:
    """Half a degree is as fine as people set limits. [0.01 °C]"""
    winter, summer = (
        round(worse * math.ceil((value * 100 + _MARGIN_CC) / 50) * 50) for value in worst
    )
    return Limit(winter=winter, summer=summer)


def _power_limit(worst: tuple[float, float]) -> Limit:
    """Two digits and a margin. [W]"""
    winter, summer = (_two_digits_up(value * _POWER_MARGIN) for value in worst)
    return Limit(winter=winter, summer=summer)


def _two_digits_up(value: float) -> int:
    step = int(10 ** max(0, math.floor(math.log10(max(value, 1.0))) - 1))
    return math.ceil(value / step) * step
