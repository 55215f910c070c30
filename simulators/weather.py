"""Outdoor temperature of an invented town in the middle of Sweden."""

import math
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray

HOUR_US: Final = 3_600_000_000
NORMAL_TIME_H: Final = 1
"""Swedish normal time is UTC+1 all year."""

_ANNUAL_MEAN_C: Final = 7.2
_ANNUAL_SWING_C: Final = 10.5
_COLDEST_DAY: Final = 25  # the end of January
_COLDEST_HOUR: Final = 4  # before sunrise, normal time
_WEATHER_HOURS: Final = 70.0  # how long a warm or cold spell lasts
_WEATHER_SPREAD_C: Final = 3.3


def outdoor_temp_c(seed: int, start_us: int, hours: int) -> NDArray[np.float64]:
    """Mean outdoor temperature of each hour from `start_us` on, shape (hours,). [°C]

    A yearly and a daily wave (the daily one is small in winter and large in summer) and weather:
    an AR(1) process with a memory of three days. More hours of the same seed and start begin with
    the same values.
    """
    day_of_year, hour_of_day = _local_day_and_hour(start_us, hours)
    season = np.cos(2 * np.pi * (day_of_year - _COLDEST_DAY) / 365.25)  # 1 in midwinter
    daily = np.cos(2 * np.pi * (hour_of_day - _COLDEST_HOUR) / 24)
    rng = np.random.default_rng([seed, 0])
    weather = memory_noise(rng.standard_normal(hours), _WEATHER_HOURS, _WEATHER_SPREAD_C)
    wave = _ANNUAL_MEAN_C - _ANNUAL_SWING_C * season - (2.8 - 1.8 * season) * daily
    return np.round(wave + weather, 1)


def memory_noise(white: NDArray[np.float64], memory_h: float, spread: float) -> NDArray[np.float64]:
    """An AR(1) process of standard deviation `spread` that forgets in `memory_h` hours.

    `white` is standard normal noise, one value an hour. Causal: its start does not depend on its
    length.
    """
    keep = math.exp(-1 / memory_h)
    steps = white * (spread * math.sqrt(1 - keep * keep))
    return np.fromiter(
        accumulate(steps.tolist(), lambda before, step: keep * before + step),
        np.float64,
        white.size,
    )


def _local_day_and_hour(
    start_us: int, hours: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Day of the year (with its fraction) and hour of the day in normal time."""
    local = local_hours(start_us, hours)
    day = (local - local.astype("datetime64[Y]").astype("datetime64[h]")).astype(np.float64) / 24
    return day, (local.astype(np.int64) % 24).astype(np.float64)


def local_hours(start_us: int, hours: int) -> NDArray[np.datetime64]:
    """The hours from `start_us` on in normal time, as datetime64[h]."""
    first = start_us // HOUR_US + NORMAL_TIME_H
    return np.arange(first, first + hours).astype("datetime64[h]")
