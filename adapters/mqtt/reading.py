"""Our JSON reading: keys in plain units to exact integer registers."""

import json
import math
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import partial
from typing import Any, Final, NamedTuple

from adapters import identity
from adapters.bounds import BOUNDS, INT64_MAX
from adapters.registers import MISSING, REGISTER_INDEX, REGISTERS, RegisterQuality

# Key -> (register, how many of the register's units one unit of the key is). 1 kWh = 3.6 MJ
# exactly.
KEYS: Final = {name: (name, 1) for name in REGISTERS} | {
    "energy_kwh": ("energy_j", 3_600_000),
    "energy_mwh": ("energy_j", 3_600_000_000),
    "cooling_energy_kwh": ("cooling_energy_j", 3_600_000),
    "volume_m3": ("volume_ml", 1_000_000),
    "e8_m3c": ("e8_mlc", 1_000_000),
    "e9_m3c": ("e9_mlc", 1_000_000),
    "power_kw": ("power_w", 1000),
    "flow_m3_h": ("flow_l_h", 1000),
    "supply_temp_c": ("supply_temp_cc", 100),
    "return_temp_c": ("return_temp_cc", 100),
}

_COUNTS: Final = {
    "access": 255,
    "status": 255,
    "energy_step_j": INT64_MAX,
    "volume_step_ml": INT64_MAX,
}
_OTHERS: Final = frozenset({"meter", "time", *_COUNTS})


class Reading(NamedTuple):
    """One decoded reading; `registers` in the order of REGISTERS, MISSING where absent."""

    identity: int
    registers: tuple[int, ...]
    quality: int
    access: int
    status: int
    energy_step_j: int
    volume_step_ml: int


class ReadingError(ValueError):
    """Why a reading is refused; `reason` is one of the documented words."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def parse_reading(fields: Mapping[str, Any], payload: bytes) -> Reading:
    """A reading from its parsed JSON; `payload` is asked again where a float could round wrongly.

    `time` is left to the caller. Raises ReadingError: `json` for a wrong key or value, `identity`
    for a meter that is none, `no_register` when nothing is measured.
    """
    registers = [MISSING] * len(REGISTERS)
    quality, measured = 0, False
    seen: dict[str, str] = {}
    for key, value in fields.items():
        if key in _OTHERS or value is None:
            continue
        if key not in KEYS:
            raise ReadingError("json", f"unknown key {key!r}; known: {', '.join(known_keys())}")
        register, factor = KEYS[key]
        if register in seen:
            raise ReadingError("json", f"{key!r} and {seen[register]!r} both give {register}")
        seen[register] = key
        scaled = to_units(value, factor, partial(as_written, payload, key), key)
        low, high = BOUNDS[register]
        index = REGISTER_INDEX[register]
        measured = True
        if scaled is not None and low <= scaled <= high:
            registers[index] = scaled
        else:
            quality |= RegisterQuality.OUT_OF_RANGE << 2 * index
    if not measured:
        raise ReadingError("no_register", f"no measured value; known: {', '.join(known_keys())}")
    counts = {key: _count(fields.get(key), key, most) for key, most in _COUNTS.items()}
    return Reading(
        identity=_meter(fields),
        registers=tuple(registers),
        quality=quality,
        access=-1 if fields.get("access") is None else counts["access"],
        status=counts["status"],
        energy_step_j=counts["energy_step_j"],
        volume_step_ml=counts["volume_step_ml"],
    )


def known_keys() -> tuple[str, ...]:
    """Every key of a reading, the required ones first."""
    return ("meter", "time", *KEYS, *_COUNTS)


def to_units(value: Any, factor: int, as_written: Callable[[], Decimal], key: str) -> int | None:
    """`value` times `factor`, rounded half to even as the decimal number it was written as.

    A float product is off by at most 2**-52 of itself; only where that could tip the rounding are
    the digits read again. None when no int64 can hold it. Raises ReadingError when it is no number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ReadingError("json", f"{key!r} must be a number, got {value!r:.80}")
    if isinstance(value, int):
        scaled = value * factor
    else:
        product = value * factor
        if not abs(product) < 2.0**63:  # also not a number
            return None
        doubt = abs(product - math.floor(product) - 0.5)
        if abs(product) < 2.0**50 and doubt > abs(product) * 2.0**-51:
            scaled = round(product)
        else:
            with localcontext(prec=60):
                scaled = int((as_written() * factor).to_integral_value(ROUND_HALF_EVEN))
    return scaled if -INT64_MAX <= scaled <= INT64_MAX else None


def as_written(payload: bytes, key: str) -> Decimal:
    """The number under `key` with all the digits it was sent with."""
    return Decimal(json.loads(payload, parse_float=Decimal)[key])


def _count(value: Any, key: str, most: int) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ReadingError(
            "json", f"{key!r} must be an integer from 0 to {most}, got {value!r:.80}"
        )
    return value


def _meter(fields: Mapping[str, Any]) -> int:
    meter = fields.get("meter")
    if not isinstance(meter, str):
        raise ReadingError(
            "json", f"'meter' must be text like \"KAM-06855817-08-04\", got {meter!r:.80}"
        )
    try:
        return identity.parse(meter)
    except ValueError as error:
        raise ReadingError("identity", str(error)) from None
