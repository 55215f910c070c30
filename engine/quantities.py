"""The values the four alarms judge, step by step, from dense hours and days. domain.md 5.

Values are in fine units, so that rounding decides nothing: 10^-6 °C (10 000 per limit unit of
0.01 °C) and mW (1 000 per W). A window of 0 hours says that a step has no value to be judged.
"""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.exact import proportion
from engine.types import DAY_US, MISSING, Quality

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

TEMPERATURE_SCALE: Final = 10_000
POWER_SCALE: Final = 1_000

_I = int(Quality.INTERPOLATED)
_C = int(Quality.CORRECTED)
_WINDOWS_H: Final = (1, 2, 3, 4, 6, 8, 12, 24)


@njit(cache=True, nogil=True)
def hourly_return(
    values: I64, quality: U8, steps: I64, first: int, out_value: I64, out_window: U8
) -> None:
    """Volume-weighted return of the hours from cell `first`. [10^-6 °C]

    values: (4, n) energy, volume, E8, E9; steps: (2, n) energy and volume per count. Only hours M,
    I or C with at least ten counts of volume: less tells of the pipe, not of the house.
    """
    for i in range(out_value.size):
        k = first + i
        volume_ml = values[1, k]
        trusted = 0 < quality[k] <= _I or quality[k] == _C
        if trusted and values[3, k] != MISSING and volume_ml > 0 and volume_ml >= 10 * steps[1, k]:
            out_value[i] = proportion(values[3, k], 1_000_000, volume_ml)
            out_window[i] = 1
        else:
            out_value[i] = MISSING
            out_window[i] = 0


@njit(cache=True, nogil=True)
def hourly_power(
    values: I64,
    quality: U8,
    steps: I64,
    first: int,
    limit_w: I64,
    out_value: I64,
    out_window: U8,
) -> None:
    """Mean power of the hours from cell `first`, over the window the register's step allows. [mW]

    Domain 1.2 (a): the last W hours, W the smallest of 1, 2, 3, 4, 6, 8, 12, 24 with
    step / W <= 0.1 * limit; all of them M, I or C. Finer than the coarsest window: not judged.
    """
    for i in range(out_value.size):
        k = first + i
        out_value[i] = MISSING
        out_window[i] = 0
        if limit_w[i] == MISSING:
            continue
        for window_h in _WINDOWS_H:
            if steps[0, k] * 10 > limit_w[i] * 3600 * window_h:
                continue
            energy_j = 0
            whole = k - window_h + 1 >= 0
            for j in range(max(k - window_h + 1, 0), k + 1):
                trusted = 0 < quality[j] <= _I or quality[j] == _C
                if not trusted or values[0, j] == MISSING:
                    whole = False
                    break
                energy_j += values[0, j]
            if whole:
                out_value[i] = proportion(energy_j, 10, 36 * window_h)
                out_window[i] = window_h
            break


@njit(cache=True, nogil=True)
def daily_power(days: I64, first: int, out_value: I64, out_window: U8) -> None:
    """Mean power of the metering days from column `first`, whole and measured ones only. [mW]

    days: (9, n), rows as engine/days.py names them.
    """
    for i in range(out_value.size):
        valid = days[7, first + i] == 24 and days[0, first + i] != MISSING
        out_value[i] = proportion(days[0, first + i], 10, 864) if valid else MISSING
        out_window[i] = 24 if valid else 0


@njit(cache=True, nogil=True)
def weighted_return(days: I64, months: I64, first: int, out_value: I64, out_window: U8) -> None:
    """Energy-weighted return of the month to date, at the end of each whole day. [10^-6 °C]

    days: (9, n), rows as engine/days.py names them. months: (3, n) columns of a day's month: where
    the month starts, where the same month a year before starts, and how many days that one had;
    negative or outside: not loaded. Judged from three whole days on, when the month has at least
    5 % of the energy of that month a year before, if that one has 90 % of its hours.
    """
    energy_j = 0
    weighted_j = 0
    weighted_jc = 0
    whole_days = 0
    normal_j = 0
    begin = max(months[0, first], 0) if out_value.size > 0 else 0
    for d in range(begin, first + out_value.size):
        if months[0, d] == d or d == begin:
            energy_j, weighted_j, weighted_jc, whole_days = 0, 0, 0, 0
            hours, normal_j = 0, 0
            for k in range(months[1, d], months[1, d] + months[2, d]):
                if 0 <= k < days.shape[1] and days[0, k] != MISSING:
                    normal_j += days[0, k]
                    hours += days[6, k]
            if hours * 10 < months[2, d] * 24 * 9:
                normal_j = 0
        energy_j += days[0, d] if days[0, d] != MISSING else 0
        weighted_j += days[4, d]
        weighted_jc += days[5, d]
        whole_days += 1 if days[6, d] == 24 else 0
        if d >= first:
            enough = whole_days >= 3 and weighted_j > 0 and energy_j * 20 >= normal_j
            valid = days[6, d] == 24 and enough
            out_value[d - first] = (
                proportion(weighted_jc, 1_000_000, weighted_j) if valid else MISSING
            )
            out_window[d - first] = 24 if valid else 0


@njit(cache=True, nogil=True)
def limits_at(
    first_us: int,
    step_us: int,
    offset_us: int,
    valid_from_us: I64,
    limits: I64,
    seasons: U8,
    first_day: int,
    out_limit: I64,
    out_season: U8,
) -> None:
    """The limit and season of each step, by the step's own date; MISSING where the rule is off.

    valid_from_us: rising; limits: (3, n) enabled, winter, summer; seasons: engine/seasons.py from
    metering day number `first_day`.
    """
    j = -1
    for i in range(out_limit.size):
        start_us = first_us + i * step_us
        while j + 1 < valid_from_us.size and valid_from_us[j + 1] <= start_us:
            j += 1
        season = seasons[(start_us + offset_us) // DAY_US - first_day]
        out_season[i] = season
        off = j < 0 or limits[0, j] == 0
        out_limit[i] = MISSING if off else limits[season, j]


def warm() -> None:
    """Compile, or load from the cache, what the engine calls."""
    one, none, out = np.zeros(1, np.int64), np.zeros(1, np.uint8), np.zeros(1, np.int64)
    four, two = np.zeros((4, 1), np.int64), np.zeros((2, 1), np.int64)
    days, months = np.zeros((9, 1), np.int64), np.zeros((3, 1), np.int64)
    hourly_return(four, none, two, 0, out, none.copy())
    hourly_power(four, none, two, 0, one, out, none.copy())
    daily_power(days, 0, out, none.copy())
    weighted_return(days, months, 0, out, none.copy())
    limits_at(0, DAY_US, 0, one, months, none, 0, out, none.copy())
