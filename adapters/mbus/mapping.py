"""Step 2: record columns to the registers we keep, exact integers (adapters/registers.py).

A register comes from the first record that is its quantity, instantaneous, storage 0, tariff 0,
subunit 0 and without qualifier; a profile adds records of its own. A value during error state is no
value: it marks the register only when no live value stands beside it.
"""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from adapters.bounds import BOUNDS, INT64_MAX
from adapters.fnv import Buffer, fnv_spans
from adapters.mbus.columns import (
    DATE_TIME,
    DATE_TIME_SUMMER,
    DURING_ERROR,
    INSTANTANEOUS,
    INTEGER,
    INVALID,
    MAXIMUM,
    METER_ERROR,
    MINIMUM,
    NO_VALUE,
    OK,
    OUT_OF_RANGE,
    REAL,
    Records,
    Telegrams,
)
from adapters.mbus.profile import BY_VIF, BY_VOLUME_STEP, ProfileTable
from adapters.mbus.vif import QUANTITIES, QUANTITY_INDEX, TIME_POINT, UNIT_INDEX, UNITS
from adapters.registers import MISSING, REGISTER_INDEX, REGISTERS

_HOUR_US: Final = 3_600_000_000
_POWER_OF_TEN: Final = np.array([10**n for n in range(19)], np.int64)

_ENERGY: Final = REGISTER_INDEX["energy_j"]
_COOLING: Final = REGISTER_INDEX["cooling_energy_j"]
_VOLUME: Final = REGISTER_INDEX["volume_ml"]
_INFO_CODE: Final = REGISTER_INDEX["info_code"]
_ERROR_H: Final = REGISTER_INDEX["error_h"]
_OPERATING_H: Final = REGISTER_INDEX["operating_h"]
_ENERGY_QUANTITY: Final = QUANTITY_INDEX["energy"]
_POSITIVE: Final = 0x3B
_NEGATIVE: Final = 0x3C

# Which register a plain quantity is, -1: none.
_REGISTER_OF: Final = np.full(len(QUANTITIES), -1, np.int8)
for _quantity, _register in {
    "energy": "energy_j",
    "volume": "volume_ml",
    "power": "power_w",
    "volume_flow": "flow_l_h",
    "supply_temperature": "supply_temp_cc",
    "return_temperature": "return_temp_cc",
    "on_time": "operating_h",
    "operating_time": "operating_h",
    "error_flags": "info_code",
}.items():
    _REGISTER_OF[QUANTITY_INDEX[_quantity]] = REGISTER_INDEX[_register]

# From a unit to its register's unit: * numerator / denominator * 10**exponent; 0: it has none.
_NUMERATOR: Final = np.zeros(len(UNITS), np.int64)
_DENOMINATOR: Final = np.ones(len(UNITS), np.int64)
_EXPONENT: Final = np.zeros(len(UNITS), np.int8)
for _unit, (_n, _d, _e) in {
    "": (1, 1, 0),
    "Wh": (3600, 1, 0),
    "J": (1, 1, 0),
    "m3": (1, 1, 6),
    "W": (1, 1, 0),
    "J/h": (1, 3600, 0),
    "m3/h": (1, 1, 3),
    "m3/min": (60, 1, 3),
    "m3/s": (3600, 1, 3),
    "degC": (1, 1, 2),
    "s": (1, 3600, 0),
    "min": (1, 60, 0),
    "h": (1, 1, 0),
    "d": (24, 1, 0),
}.items():
    _NUMERATOR[UNIT_INDEX[_unit]] = _n
    _DENOMINATOR[UNIT_INDEX[_unit]] = _d
    _EXPONENT[UNIT_INDEX[_unit]] = _e

_LEAST: Final = np.array([BOUNDS[register][0] for register in REGISTERS], np.int64)
_MOST: Final = np.array([BOUNDS[register][1] for register in REGISTERS], np.int64)


@njit(cache=True, nogil=True, forceinline=True)
def scaled(  # noqa: PLR0911 - each step of the product may leave int64
    mantissa: int, numerator: int, denominator: int, exponent: int
) -> int:
    """A mantissa in other units: * numerator / denominator * 10**exponent, rounded half to even.

    MISSING when that cannot be told in int64. Numerator and denominator are positive.
    """
    if mantissa == 0:
        return 0
    if exponent < -18 or exponent > 18:
        return MISSING
    if exponent > 0:
        factor = int(_POWER_OF_TEN[exponent])
        if numerator > INT64_MAX // factor:
            return MISSING
        numerator *= factor
    elif exponent < 0:
        factor = int(_POWER_OF_TEN[-exponent])
        if denominator > INT64_MAX // 4 // factor:
            return MISSING
        denominator *= factor
    limit = INT64_MAX // numerator
    if mantissa > limit or mantissa < -limit:
        return MISSING
    product = mantissa * numerator
    if denominator == 1:
        return product
    quotient = product // denominator
    twice = 2 * (product - quotient * denominator)
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient


@njit(cache=True, nogil=True)
def scaled_real(real: float, numerator: int, denominator: int, exponent: int) -> int:
    """The same for a real value, MISSING when the result is beyond int64."""
    value = real * numerator / denominator
    if exponent < 0:
        value /= float(_POWER_OF_TEN[min(-exponent, 18)])
    else:
        value *= float(_POWER_OF_TEN[min(exponent, 18)])
    if not -9.2e18 < value < 9.2e18:
        return MISSING
    return int(np.rint(value))


@njit(cache=True, nogil=True, forceinline=True)
def find_profile(identity: int, matches: NDArray[np.int64]) -> int:
    """Index of the profile for a meter, -1 without one."""
    manufacturer = identity >> 48 & 0x7FFF
    version = identity >> 8 & 0xFF
    medium = identity & 0xFF
    for i in range(matches.shape[0]):
        if (
            matches[i, 0] == manufacturer
            and matches[i, 1] in (-1, version)
            and matches[i, 2] in (-1, medium)
        ):
            return int(matches[i, 3])
    return -1


@njit(cache=True, nogil=True, forceinline=True)
def _plain_register(
    quantity: int, qualifier: int, function: int, positive: int, negative: int
) -> int:
    """The register a record is without a rule of its own, -1 for none."""
    if qualifier == 0:
        register = int(_REGISTER_OF[quantity])
        if function == DURING_ERROR:
            # On time during error state is how long the meter was in error (EN 1434-3).
            if register == _OPERATING_H:
                return _ERROR_H
            if register == _INFO_CODE:
                return -1
        return register
    if quantity == _ENERGY_QUANTITY:
        if qualifier == _POSITIVE:
            return positive
        if qualifier == _NEGATIVE:
            return negative
    return -1


@njit(cache=True, nogil=True)
def _volume_step_ml(records: Records, first: int, end: int) -> int:
    """What one count of the telegram's live volume means [ml], 0 when it has none."""
    for row in range(first, end):
        if (
            _REGISTER_OF[records.quantity[row]] == _VOLUME
            and records.function[row] == INSTANTANEOUS
            and records.storage[row] | records.tariff[row] | records.subunit[row] == 0
            and records.qualifier[row] == 0
            and records.kind[row] == INTEGER
        ):
            unit = records.unit[row]
            exponent = int(_EXPONENT[unit]) + int(records.exponent[row])
            if _NUMERATOR[unit] > 0:
                step = scaled(1, int(_NUMERATOR[unit]), int(_DENOMINATOR[unit]), exponent)
                return 0 if step == MISSING else max(step, 1)
    return 0


@njit(cache=True, nogil=True, forceinline=True)
def _find_rule(rules: NDArray[np.int64], first: int, end: int, key: int) -> int:
    """The rule of a profile for a record's key, -1 without one."""
    for rule in range(first, end):
        if rules[rule, 0] == key:
            return rule
    return -1


@njit(cache=True, nogil=True, forceinline=True)
def _is_sentinel(
    sentinels: NDArray[np.int64], first: int, end: int, register: int, value: int
) -> bool:
    """Whether a profile says that this value stands for a fault."""
    for i in range(first, end):  # noqa: SIM110 - numba compiles no generators here
        if sentinels[i, 0] == register and sentinels[i, 1] == value:
            return True
    return False


@njit(cache=True, nogil=True, forceinline=True)
def _convert(
    kind: int,
    mantissa: int,
    real: float,
    numerator: int,
    denominator: int,
    exponent: int,
    register: int,
) -> tuple[int, int, int]:
    """A record's value in its register's unit. Returns (value, quality, what one count means).

    What one count means is at least 1, and 0 where it cannot be told.
    """
    if numerator <= 0:
        return MISSING, INVALID, 0
    step = 0
    if kind == INTEGER:
        value = scaled(mantissa, numerator, denominator, exponent)
        if register in (_ENERGY, _COOLING, _VOLUME):
            step = max(scaled(1, numerator, denominator, exponent), 1)
    elif kind == REAL:
        value = scaled_real(real, numerator, denominator, exponent)
    else:
        return MISSING, INVALID, 0
    if value > _MOST[register] or value < _LEAST[register]:  # MISSING is less than any
        return MISSING, OUT_OF_RANGE, 0
    return value, OK, step


@njit(cache=True, nogil=True, forceinline=True)
def _clock_us(kind: int, local_us: int) -> int:
    """UTC of the meter's own clock: normal time UTC+1, or summer time when it says so."""
    if kind == DATE_TIME:
        return local_us - _HOUR_US
    return local_us - 2 * _HOUR_US if kind == DATE_TIME_SUMMER else MISSING


@njit(cache=True, nogil=True, forceinline=True)
def _scaling(
    rules: NDArray[np.int64], rule: int, unit: int, exponent: int
) -> tuple[int, int, int, int]:
    """How a value becomes its register's. Returns (BY_..., numerator, denominator, exponent).

    Numerator 0: not at all.
    """
    if rule >= 0 and rules[rule, 2] != BY_VIF:
        return rules[rule, 2], rules[rule, 3], rules[rule, 4], 0
    by_vif = int(_EXPONENT[unit]) + exponent
    return BY_VIF, int(_NUMERATOR[unit]), int(_DENOMINATOR[unit]), by_vif


@njit(cache=True, nogil=True)
def identify(
    buffer: Buffer,
    telegrams: Telegrams,
    matches: NDArray[np.int64],
    content_hash: NDArray[np.int64],
    profile: NDArray[np.int64],
) -> None:
    """The hash of every accepted telegram's frames, and its meter's profile, -1 without one."""
    fnv_spans(buffer, telegrams.start, telegrams.stop, content_hash)  # without a frame: -1 to -1
    for telegram in range(telegrams.error.size):
        profile[telegram] = -1
        if telegrams.error[telegram] == 0:
            profile[telegram] = find_profile(telegrams.identity[telegram], matches)
        else:
            content_hash[telegram] = MISSING


@njit(cache=True, nogil=True)
def map_registers(  # noqa: C901, PLR0912 - a call with all columns costs more than its work
    telegrams: Telegrams,
    records: Records,
    table: ProfileTable,
    profile: NDArray[np.int64],
    meter_clock_us: NDArray[np.int64],
    registers: NDArray[np.int64],
    quality: NDArray[np.int64],
    energy_step_j: NDArray[np.int64],
    volume_step_ml: NDArray[np.int64],
) -> None:
    """Registers of every accepted telegram into its row; the out columns come as `empty_rows`."""
    for telegram in range(telegrams.error.size):
        rule_from, rule_to, sentinel_from, sentinel_to, positive, negative = 0, 0, 0, 0, -1, -1
        of_meter = profile[telegram]
        if of_meter >= 0:
            rule_from, rule_to = table.profiles[of_meter, 0], table.profiles[of_meter, 1]
            sentinel_from, sentinel_to = table.profiles[of_meter, 2], table.profiles[of_meter, 3]
            positive, negative = table.profiles[of_meter, 4], table.profiles[of_meter, 5]
        live, packed, first = 0, 0, telegrams.first_row[telegram]
        end = first + telegrams.rows[telegram]  # a refused telegram has none
        for row in range(first, end):
            function, kind = int(records.function[row]), int(records.kind[row])
            elsewhere = records.storage[row] | records.tariff[row] | records.subunit[row]
            if elsewhere != 0 or function in (MAXIMUM, MINIMUM):
                continue
            quantity, qualifier = int(records.quantity[row]), int(records.qualifier[row])
            if quantity == TIME_POINT:
                if qualifier | function == 0 and meter_clock_us[telegram] == MISSING:
                    meter_clock_us[telegram] = _clock_us(kind, records.mantissa[row])
                continue
            rule = _find_rule(table.records, rule_from, rule_to, records.key[row])
            register = _plain_register(quantity, qualifier, function, positive, negative)
            if rule >= 0:
                register = int(table.records[rule, 1])
            by, numerator, denominator, exponent = _scaling(
                table.records, rule, int(records.unit[row]), int(records.exponent[row])
            )
            problem = min(int(records.quality[row]), INVALID)
            nothing = numerator == 0 or (kind == NO_VALUE and problem == OK)
            if nothing or register < 0 or live >> register & 1:
                continue
            if by == BY_VOLUME_STEP:
                step = volume_step_ml[telegram]
                if step == 0:
                    step = _volume_step_ml(records, first, end)
                numerator = numerator * step if step <= INT64_MAX // numerator else 0
            value, step = MISSING, 0
            if problem == OK:
                mantissa, real = records.mantissa[row], records.real[row]
                value, problem, step = _convert(
                    kind, mantissa, real, numerator, denominator, exponent, register
                )
            if _is_sentinel(table.sentinels, sentinel_from, sentinel_to, register, value):
                value, problem, step = MISSING, METER_ERROR, 0
            packed = packed & ~(3 << 2 * register) | problem << 2 * register
            if function == DURING_ERROR and register != _ERROR_H:
                continue
            live |= 1 << register
            registers[telegram, register] = value
            if register == _VOLUME:
                volume_step_ml[telegram] = step
            elif step > 0 and energy_step_j[telegram] == 0:
                energy_step_j[telegram] = step
        quality[telegram] = packed
