"""Rows of exact integers to columns in people's units. Pure; sums are divided once, at the end.

J become kWh, ml m3, 0.01 °C °C. An unknown value is NaN here and null in JSON.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.types import Commodity, Quality
from notify.wording import NORMAL
from store.readings import REGISTER_TYPES

F64 = NDArray[np.float64]
Columns = dict[str, F64]
Row = tuple[Any, ...]

HOUR_S: Final = 3600
J_PER_KWH: Final = 3_600_000
ML_PER_M3: Final = 1_000_000

UNITS: Final = {
    "energy_kwh": "kWh",
    "power_kw": "kW",
    "power_kw_mean": "kW",
    "power_kw_mean_max": "kW",
    "volume_m3": "m3",
    "supply_temp_c": "°C",
    "return_temp_c": "°C",
    "supply_temp_c_vw": "°C",
    "return_temp_c_vw": "°C",
    "return_temp_c_ew": "°C",
    "cooling_k": "K",
    "outdoor_temp_c": "°C",
    "hours": "h",
    "hours_measured": "h",
}

LETTER: Final[dict[int, str]] = {
    Quality.MEASURED: "M",
    Quality.INTERPOLATED: "I",
    Quality.PRELIMINARY: "P",
    Quality.CALCULATED: "B",
    Quality.REJECTED: "X",
    Quality.CORRECTED: "C",
}
"""How an interval's value came about, by the letters of the Swedish terms."""

READING_SCALE: Final = {
    "energy_j": ("energy_kwh", J_PER_KWH, "kWh"),
    "cooling_energy_j": ("cooling_energy_kwh", J_PER_KWH, "kWh"),
    "volume_ml": ("volume_m3", ML_PER_M3, "m3"),
    "e8_mlc": ("e8_m3c", ML_PER_M3, "m3·°C"),
    "e9_mlc": ("e9_m3c", ML_PER_M3, "m3·°C"),
    "power_w": ("power_kw", 1000, "kW"),
    "flow_l_h": ("flow_m3_h", 1000, "m3/h"),
    "supply_temp_cc": ("supply_temp_c", 100, "°C"),
    "return_temp_cc": ("return_temp_c", 100, "°C"),
    "operating_h": ("operating_h", 1, "h"),
    "error_h": ("error_h", 1, "h"),
    "info_code": ("info_code", 1, ""),
}
"""Register: its name for people, what one unit is in the register's integers, the unit."""


def column(values: Sequence[Any]) -> F64:
    """One column as float64; None becomes NaN."""
    return np.array(values, np.float64)


def ratio(numerator: F64, denominator: F64) -> F64:
    """Numerator by denominator where that is above zero, else NaN."""
    out = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=out, where=denominator > 0)
    return out


def cooling(supply_c: F64, return_c: F64, commodity: int) -> F64:
    """Supply minus return for heat, return minus supply for cooling: positive when it works. [K]"""
    return supply_c - return_c if commodity == Commodity.HEAT else return_c - supply_c


def hours(rows: Sequence[Row], commodity: int) -> tuple[NDArray[np.int64], Columns, list[Any]]:
    """Start of each hour [s since 1970], columns, quality letters; hours nobody stored are gaps.

    `rows` are those of store.portal_series.hours, in order of time.
    """
    if not rows:
        none = column([])
        names = ("energy_kwh", "power_kw", "volume_m3", "supply_temp_c", "return_temp_c")
        empty = dict.fromkeys((*names, "cooling_k", "outdoor_temp_c"), none)
        return np.array([], np.int64), empty, []
    start, energy, volume, e8, e9, quality, outdoor = zip(*rows, strict=True)
    at = np.array(start, np.int64)
    grid = np.arange(at[0], at[-1] + HOUR_S, HOUR_S)
    place = (at - at[0]) // HOUR_S

    def spread(values: Sequence[Any]) -> F64:
        out = np.full(grid.size, np.nan)
        out[place] = column(values)
        return out

    letters: list[Any] = [None] * grid.size
    for index, code in zip(place, quality, strict=True):
        letters[index] = LETTER[code]
    energy_kwh = spread(energy) / J_PER_KWH
    volume_ml = spread(volume)
    supply_c, return_c = ratio(spread(e8), volume_ml), ratio(spread(e9), volume_ml)
    return (
        grid,
        {
            "energy_kwh": energy_kwh.round(4),
            "power_kw": energy_kwh.round(4),  # an hour's energy by one hour
            "volume_m3": (volume_ml / ML_PER_M3).round(6),
            "supply_temp_c": supply_c.round(3),
            "return_temp_c": return_c.round(3),
            "cooling_k": cooling(supply_c, return_c, commodity).round(3),
            "outdoor_temp_c": (spread(outdoor) / 100).round(2),
        },
        letters,
    )


def days(rows: Sequence[Row], commodity: int) -> tuple[list[date], Columns, list[Any]]:
    """Metering days, columns, quality letters; days nobody stored are gaps.

    `rows` are those of store.portal_series.days, in order of time.
    """
    width = 11
    if rows:
        known = {row[0]: row for row in rows}
        span = (rows[-1][0] - rows[0][0]).days + 1
        calendar = [rows[0][0] + timedelta(days=k) for k in range(span)]
        rows = [known.get(day, (day, *[None] * (width - 1))) for day in calendar]
    else:
        calendar = []
    columns = list(zip(*rows, strict=True)) if rows else [()] * width
    energy_kwh = column(columns[1]) / J_PER_KWH
    out = _temperatures(columns, commodity)
    out |= {
        "energy_kwh": energy_kwh.round(4),
        "power_kw_mean": ratio(energy_kwh, column(columns[7])).round(4),
        "outdoor_temp_c": (column(columns[9]) / 100).round(2),
        "hours": column(columns[7]),
        "hours_measured": column(columns[8]),
    }
    letters = [None if code is None else LETTER[code] for code in columns[10]]
    return calendar, out, letters


def months(rows: Sequence[Row], commodity: int) -> tuple[list[date], Columns]:
    """First days of months and columns made from the months' sums.

    `rows` are those of store.portal_series.months.
    """
    width = 11
    columns = list(zip(*rows, strict=True)) if rows else [()] * width
    energy_kwh = column(columns[1]) / J_PER_KWH
    out = _temperatures(columns, commodity)
    out |= {
        "energy_kwh": energy_kwh.round(4),
        "power_kw_mean": ratio(energy_kwh, column(columns[7])).round(4),
        "power_kw_mean_max": (column(columns[9]) / J_PER_KWH).round(4),
        "outdoor_temp_c": (column(columns[10]) / 100).round(2),
        "hours": column(columns[7]),
        "hours_measured": column(columns[8]),
    }
    return list(columns[0]), out


def _temperatures(columns: Sequence[Sequence[Any]], commodity: int) -> Columns:
    """Volume and temperatures of days or months, whose sums stand in the same places."""
    volume_ml = column(columns[2])
    supply_c = ratio(column(columns[3]), volume_ml)
    return_c = ratio(column(columns[4]), volume_ml)
    return {
        "volume_m3": (volume_ml / ML_PER_M3).round(6),
        "supply_temp_c_vw": supply_c.round(3),
        "return_temp_c_vw": return_c.round(3),
        "return_temp_c_ew": ratio(column(columns[6]), column(columns[5])).round(3),
        "cooling_k": cooling(supply_c, return_c, commodity).round(3),
    }


def complete(columns: Columns) -> list[bool]:
    """Whether each metering day has a value for all of its 24 hours."""
    return [bool(hours == 24) for hours in columns["hours"]]


def day_start(day: date) -> datetime:
    """When a metering day begins."""
    return datetime.combine(day, time(0), NORMAL)


def readings(rows: Sequence[Row]) -> tuple[list[datetime], Columns, dict[str, list[Any]]]:
    """Times, registers in people's units, and the exact integers beside them.

    `rows` are those of store.portal_series.readings.
    """
    columns = list(zip(*rows, strict=True)) if rows else [()] * (len(REGISTER_TYPES) + 4)
    exact = {name: list(columns[1 + index]) for index, name in enumerate(REGISTER_TYPES)}
    people = {
        READING_SCALE[name][0]: column(values) / READING_SCALE[name][1]
        for name, values in exact.items()
    }
    return list(columns[0]), people, exact
