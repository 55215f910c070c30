"""What a VIF says: quantity, unit and decimal exponent (EN 13757-3:2018 6.4, tables 10, 12, 14).

Three tables of 128 codes, laid end to end: primary, FB (first extension), FD (second extension).
A code is `table << 7 | vif & 0x7F`. `Records.quantity` and `.unit` index `QUANTITIES` and `UNITS`;
a value normalises to `mantissa * numerator / denominator * 10**exponent` of the unit's text.
"""

from typing import Final, NamedTuple

import numpy as np


class Unit(NamedTuple):
    """A unit as telegrams use it, and what to multiply by to get the one we show."""

    text: str
    numerator: int = 1
    denominator: int = 1


UNITS: Final[dict[str, Unit]] = {
    "": Unit(""),
    "Wh": Unit("Wh"),
    "J": Unit("J"),
    "m3": Unit("m3"),
    "kg": Unit("kg"),
    "W": Unit("W"),
    "J/h": Unit("W", 1, 3600),
    "m3/h": Unit("m3/h"),
    "m3/min": Unit("m3/h", 60),
    "m3/s": Unit("m3/h", 3600),
    "kg/h": Unit("kg/h"),
    "degC": Unit("degC"),
    "degF": Unit("degF"),
    "K": Unit("K"),
    "bar": Unit("bar"),
    "s": Unit("s"),
    "min": Unit("s", 60),
    "h": Unit("s", 3600),
    "d": Unit("s", 86400),
    "month": Unit("month"),
    "year": Unit("year"),
    "V": Unit("V"),
    "A": Unit("A"),
    "Hz": Unit("Hz"),
    "varh": Unit("varh"),
    "VAh": Unit("VAh"),
    "var": Unit("var"),
    "VA": Unit("VA"),
    "cal": Unit("cal"),
    "ft3": Unit("ft3"),
    "%": Unit("%"),
    "deg": Unit("deg"),
    "baud": Unit("baud"),
    "bit times": Unit("bit times"),
    "dBm": Unit("dBm"),
    "currency": Unit("currency"),
    "HCA": Unit("HCA"),
}
UNIT_INDEX: Final = {name: index for index, name in enumerate(UNITS)}

_TIMES: Final = ("s", "min", "h", "d")

# (first VIF, how many, quantity, unit or units, exponent of the first or None: it stays 0).
_Row = tuple[int, int, str, str | tuple[str, ...], int | None]

_PRIMARY: Final[tuple[_Row, ...]] = (
    (0x00, 8, "energy", "Wh", -3),
    (0x08, 8, "energy", "J", 0),
    (0x10, 8, "volume", "m3", -6),
    (0x18, 8, "mass", "kg", -3),
    (0x20, 4, "on_time", _TIMES, None),
    (0x24, 4, "operating_time", _TIMES, None),
    (0x28, 8, "power", "W", -3),
    (0x30, 8, "power", "J/h", 0),
    (0x38, 8, "volume_flow", "m3/h", -6),
    (0x40, 8, "volume_flow", "m3/min", -7),
    (0x48, 8, "volume_flow", "m3/s", -9),
    (0x50, 8, "mass_flow", "kg/h", -3),
    (0x58, 4, "supply_temperature", "degC", -3),
    (0x5C, 4, "return_temperature", "degC", -3),
    (0x60, 4, "temperature_difference", "K", -3),
    (0x64, 4, "external_temperature", "degC", -3),
    (0x68, 4, "pressure", "bar", -3),
    (0x6C, 1, "date", "", None),
    (0x6D, 1, "time_point", "", None),
    (0x6E, 1, "heat_cost_allocation", "HCA", None),
    (0x70, 4, "averaging_duration", _TIMES, None),
    (0x74, 4, "actuality_duration", _TIMES, None),
    (0x78, 1, "fabrication_number", "", None),
    (0x79, 1, "identification", "", None),
    (0x7A, 1, "bus_address", "", None),
    (0x7C, 1, "plain_text_unit", "", None),
    (0x7E, 1, "any", "", None),
    (0x7F, 1, "manufacturer_specific", "", None),
)

_FB: Final[tuple[_Row, ...]] = (
    (0x00, 2, "energy", "Wh", 5),
    (0x02, 2, "reactive_energy", "varh", 3),
    (0x04, 2, "apparent_energy", "VAh", 3),
    (0x08, 2, "energy", "J", 8),
    (0x0C, 4, "energy", "cal", 5),
    (0x10, 2, "volume", "m3", 2),
    (0x14, 4, "reactive_power", "var", 0),
    (0x18, 2, "mass", "kg", 5),
    (0x1A, 2, "relative_humidity", "%", -1),
    (0x20, 1, "volume", "ft3", 0),
    (0x21, 1, "volume", "ft3", -1),
    (0x28, 2, "power", "W", 5),
    (0x2A, 1, "phase_voltage_angle", "deg", -1),
    (0x2B, 1, "phase_current_angle", "deg", -1),
    (0x2C, 4, "frequency", "Hz", -3),
    (0x30, 2, "power", "J/h", 8),
    (0x34, 4, "apparent_power", "VA", 0),
    (0x58, 4, "supply_temperature", "degF", -3),
    (0x5C, 4, "return_temperature", "degF", -3),
    (0x60, 4, "temperature_difference", "degF", -3),
    (0x64, 4, "external_temperature", "degF", -3),
    (0x70, 4, "temperature_limit", "degF", -3),
    (0x74, 4, "temperature_limit", "degC", -3),
    (0x78, 8, "power_maximum_count", "W", -3),
)

_FD: Final[tuple[_Row, ...]] = (
    (0x00, 4, "credit", "currency", -3),
    (0x04, 4, "debit", "currency", -3),
    (0x08, 1, "access_number", "", None),
    (0x09, 1, "medium", "", None),
    (0x0A, 1, "manufacturer", "", None),
    (0x0B, 1, "parameter_set", "", None),
    (0x0C, 1, "model_version", "", None),
    (0x0D, 1, "hardware_version", "", None),
    (0x0E, 1, "firmware_version", "", None),
    (0x0F, 1, "software_version", "", None),
    (0x10, 1, "customer_location", "", None),
    (0x11, 1, "customer", "", None),
    (0x12, 4, "access_code", "", None),
    (0x16, 1, "password", "", None),
    (0x17, 1, "error_flags", "", None),
    (0x18, 1, "error_mask", "", None),
    (0x19, 1, "security_key", "", None),
    (0x1A, 1, "digital_output", "", None),
    (0x1B, 1, "digital_input", "", None),
    (0x1C, 1, "baud_rate", "baud", None),
    (0x1D, 1, "response_delay", "bit times", None),
    (0x1E, 1, "retries", "", None),
    (0x1F, 1, "remote_control", "", None),
    (0x20, 1, "first_storage", "", None),
    (0x21, 1, "last_storage", "", None),
    (0x22, 1, "storage_block_size", "", None),
    (0x23, 1, "tariff_descriptor", "", None),
    (0x24, 6, "storage_interval", (*_TIMES, "month", "year"), None),
    (0x2A, 1, "operator_specific", "", None),
    (0x2B, 1, "time_point_second", "s", None),
    (0x2C, 4, "duration_since_readout", _TIMES, None),
    (0x30, 1, "tariff_start", "", None),
    (0x31, 3, "tariff_duration", _TIMES[1:], None),
    (0x34, 6, "tariff_period", (*_TIMES, "month", "year"), None),
    (0x3A, 1, "dimensionless", "", None),
    (0x3B, 1, "data_container", "", None),
    (0x3C, 4, "transmission_period", _TIMES, None),
    (0x40, 16, "voltage", "V", -9),
    (0x50, 16, "current", "A", -12),
    (0x60, 1, "reset_counter", "", None),
    (0x61, 1, "cumulation_counter", "", None),
    (0x62, 1, "control_signal", "", None),
    (0x63, 1, "day_of_week", "", None),
    (0x64, 1, "week_number", "", None),
    (0x65, 1, "day_change", "", None),
    (0x66, 1, "parameter_activation", "", None),
    (0x67, 1, "supplier_information", "", None),
    (0x68, 4, "duration_since_cumulation", ("h", "d", "month", "year"), None),
    (0x6C, 4, "battery_operating_time", ("h", "d", "month", "year"), None),
    (0x70, 1, "battery_change", "", None),
    (0x71, 1, "rf_level", "dBm", None),
    (0x72, 1, "daylight_saving", "", None),
    (0x73, 1, "listening_window", "", None),
    (0x74, 1, "battery_remaining", "d", None),
    (0x75, 1, "stop_counter", "", None),
    (0x76, 1, "data_container", "", None),
)

# Not from a VIF alone: what a VIFE (adapters/mbus/vife.py) or the frame's structure makes of it.
_MADE: Final = ("unknown", "derived", "duration", "count")

QUANTITIES: Final = tuple(dict.fromkeys([*_MADE, *(row[2] for row in (*_PRIMARY, *_FB, *_FD))]))
"""The one list of quantities; `Records.quantity` indexes it."""
QUANTITY_INDEX: Final = {name: index for index, name in enumerate(QUANTITIES)}

UNKNOWN: Final = QUANTITY_INDEX["unknown"]
DERIVED: Final = QUANTITY_INDEX["derived"]
DURATION: Final = QUANTITY_INDEX["duration"]
COUNT: Final = QUANTITY_INDEX["count"]
TIME_POINT: Final = QUANTITY_INDEX["time_point"]
MANUFACTURER_SPECIFIC: Final = QUANTITY_INDEX["manufacturer_specific"]

VIF_QUANTITY: Final = np.full(384, UNKNOWN, np.uint8)
VIF_UNIT: Final = np.zeros(384, np.uint8)
VIF_EXPONENT: Final = np.zeros(384, np.int8)

for _table, _rows in enumerate((_PRIMARY, _FB, _FD)):
    for _first, _count, _quantity, _units, _exponent in _rows:
        for _n in range(_count):
            _code = _table << 7 | _first + _n
            _unit = _units if isinstance(_units, str) else _units[_n]
            VIF_QUANTITY[_code] = QUANTITY_INDEX[_quantity]
            VIF_UNIT[_code] = UNIT_INDEX[_unit]
            VIF_EXPONENT[_code] = 0 if _exponent is None else _exponent + _n


def _marked(*names: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array([name in names for name in QUANTITIES])


IS_DATE: Final = _marked("date", "time_point", "tariff_start", "battery_change")
"""Coded as type F, G, I or J (EN 13757-3 annex A), by the data's length."""

IS_SIGNED: Final = ~_marked(
    *("energy", "volume", "mass", "on_time", "operating_time", "duration", "count"),
    *("fabrication_number", "identification", "bus_address", "access_number", "medium"),
    *("manufacturer", "parameter_set", "model_version", "hardware_version", "firmware_version"),
    *("software_version", "customer_location", "customer", "access_code", "password"),
    *("error_flags", "error_mask", "security_key", "digital_output", "digital_input"),
    *("reset_counter", "cumulation_counter", "stop_counter", "control_signal"),
)
"""Whether binary integers are two's complement; the telegram does not say, the quantity does."""

IS_LABEL: Final = _marked(
    *("fabrication_number", "identification", "bus_address", "manufacturer", "parameter_set"),
    *("model_version", "hardware_version", "firmware_version", "software_version"),
    *("customer_location", "customer", "access_code", "password", "security_key"),
)
"""Names something: hex digits in a BCD label are part of the label, not a display's error."""

TELLS_OF_ERROR: Final = _marked(
    *("on_time", "operating_time", "date", "time_point", "duration", "count"),
    *("error_flags", "error_mask"),
)
"""In error state (DIF function 3) these say when, how long and which error: good values."""

# Fixed structure (CI 73), MBDOC48 annex 8.2: unit codes 02..37 run in threes of x1, x10, x100.
_FIXED: Final = (
    *((0x02 + 3 * n, "energy", "Wh", 3 * n) for n in range(3)),
    *((0x0B + 3 * n, "energy", "J", 3 * n + 3) for n in range(3)),
    *((0x14 + 3 * n, "power", "W", 3 * n) for n in range(3)),
    *((0x1D + 3 * n, "power", "J/h", 3 * n + 3) for n in range(3)),
    *((0x26 + 3 * n, "volume", "m3", 3 * n - 6) for n in range(3)),
    *((0x2F + 3 * n, "volume_flow", "m3/h", 3 * n - 6) for n in range(3)),
)
FIXED_QUANTITY: Final = np.full(64, UNKNOWN, np.uint8)
FIXED_UNIT: Final = np.zeros(64, np.uint8)
FIXED_EXPONENT: Final = np.zeros(64, np.int8)
for _first, _quantity, _unit, _exponent in _FIXED:
    for _n in range(3):
        FIXED_QUANTITY[_first + _n] = QUANTITY_INDEX[_quantity]
        FIXED_UNIT[_first + _n] = UNIT_INDEX[_unit]
        FIXED_EXPONENT[_first + _n] = _exponent + _n
# 38: 0.001 degC, but of which pipe is not said.
FIXED_QUANTITY[0x38] = QUANTITY_INDEX["external_temperature"]
FIXED_UNIT[0x38] = UNIT_INDEX["degC"]
FIXED_EXPONENT[0x38] = -3
FIXED_QUANTITY[0x39] = QUANTITY_INDEX["heat_cost_allocation"]
FIXED_UNIT[0x39] = UNIT_INDEX["HCA"]
FIXED_QUANTITY[0x3F] = QUANTITY_INDEX["dimensionless"]
