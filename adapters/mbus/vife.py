"""What a combinable (orthogonal) VIFE does to the record before it (EN 13757-3:2018 6.4.7, 6.4.8).

A VIFE that only scales leaves the quantity alone; any other makes the record another series than
the plain quantity, known or not. One of the maker's own keeps unit and scale of the VIF before it.
"""

from typing import Final

import numpy as np

from adapters.mbus.columns import INVALID, OK, OUT_OF_RANGE
from adapters.mbus.vif import (
    COUNT,
    DERIVED,
    DURATION,
    MANUFACTURER_SPECIFIC,
    TIME_POINT,
    UNIT_INDEX,
    UNKNOWN,
)

(
    UNKNOWN_QUALIFIER,  # not in our table: a quantity of its own
    NEUTRAL,  # 00 no error, 1D standard conform data
    RECORD_ERROR,  # 01..1C: no data, data error, not implemented
    RECORD_OUT_OF_RANGE,  # 16 overflow, 17 underflow
    SAME_QUANTITY,  # a limit, a contribution, a future value ... of the same quantity
    OTHER_DIMENSION,  # per hour, per pulse, times second ...
    A_TIME_POINT,  # when something began or ended
    A_COUNT,  # how often a limit was exceeded
    A_DURATION,  # how long; the low two bits are s, min, h, d
    TIMES_10_N,  # 70..77: 10^(nnn-6)
    TIMES_1000,  # 7D
    MANUFACTURER,  # 7F: all that follows is the maker's own
) = range(12)


# VIFE 20 to 35.
_PER: Final = (
    *("second", "minute", "hour", "day", "week", "month", "year", "measurement"),
    *("pulse on input 0", "pulse on input 1", "pulse on output 0", "pulse on output 1"),
    *("l", "m3", "kg", "K", "kWh", "GJ", "kW", "K*l", "V", "A"),
)


def _limit(code: int) -> str:
    return "upper limit" if code & 0x08 else "lower limit"


def _edge(code: int) -> str:
    return ("last" if code & 4 else "first") + (" end" if code & 1 else " begin")


def _rows() -> dict[int, tuple[int, str]]:  # noqa: C901 - one loop for each group of the table
    """Class and name of every VIFE code we know."""
    rows: dict[int, tuple[int, str]] = {
        code: (RECORD_ERROR, f"record error {code:02X}") for code in range(0x01, 0x1D)
    }
    rows |= {
        0x00: (NEUTRAL, "no error"),
        0x12: (SAME_QUANTITY, "average"),
        0x13: (UNKNOWN_QUALIFIER, "inverse compact profile"),
        0x14: (OTHER_DIMENSION, "relative deviation"),
        0x15: (RECORD_ERROR, "no data available"),
        0x16: (RECORD_OUT_OF_RANGE, "data overflow"),
        0x17: (RECORD_OUT_OF_RANGE, "data underflow"),
        0x18: (RECORD_ERROR, "data error"),
        0x1D: (NEUTRAL, "standard conform data"),
        0x1E: (UNKNOWN_QUALIFIER, "compact profile with register numbers"),
        0x1F: (UNKNOWN_QUALIFIER, "compact profile"),
        0x39: (A_TIME_POINT, "start of"),
        0x3A: (SAME_QUANTITY, "uncorrected"),
        0x3B: (SAME_QUANTITY, "positive contribution"),
        0x3C: (SAME_QUANTITY, "negative contribution"),
        0x69: (SAME_QUANTITY, "leakage"),
        0x6D: (SAME_QUANTITY, "overflow"),
        0x7D: (TIMES_1000, "x 1000"),
        0x7E: (SAME_QUANTITY, "future value"),
        0x7F: (MANUFACTURER, "manufacturer"),
    }
    for n, word in enumerate(_PER):
        rows[0x20 + n] = (OTHER_DIMENSION, f"per {word}")
    for n, word in enumerate(("s", "s/V", "s/A")):
        rows[0x36 + n] = (OTHER_DIMENSION, f"times {word}")
    for upper in (0x00, 0x08):
        rows[0x40 | upper] = (SAME_QUANTITY, _limit(upper))
        rows[0x41 | upper] = (A_COUNT, f"exceeds of {_limit(upper)}")
        for code in (0x42, 0x43, 0x46, 0x47):
            rows[code | upper] = (A_TIME_POINT, f"{_edge(code)} of {_limit(upper)} exceed")
    for code in range(0x50, 0x60):
        which = "last" if code & 4 else "first"
        rows[code] = (A_DURATION, f"duration of {which} {_limit(code)} exceed")
    for code in range(0x60, 0x68):
        rows[code] = (A_DURATION, f"duration of {'last' if code & 4 else 'first'}")
    for code in (0x68, 0x6C):
        rows[code] = (SAME_QUANTITY, f"during {'upper' if code & 4 else 'lower'} limit exceed")
    for code in (0x6A, 0x6B, 0x6E, 0x6F):
        rows[code] = (A_TIME_POINT, f"date of {_edge(code)}")
    for n in range(8):
        rows[0x70 + n] = (TIMES_10_N, f"x 10^{n - 6}")
    for n in range(4):
        rows[0x78 + n] = (OTHER_DIMENSION, f"plus 10^{n - 3}")
    return rows


_ROWS: Final = _rows()

VIFE_CLASS: Final = np.full(128, UNKNOWN_QUALIFIER, np.uint8)
for _code, (_class, _) in _ROWS.items():
    VIFE_CLASS[_code] = _class

# The same as what to do, so that the kernel need not choose: the quantity and unit it makes (-1:
# they stay), what it adds to the exponent, whether it keeps it, qualifies, and spoils the value.
_MADE_QUANTITY: Final = {
    UNKNOWN_QUALIFIER: UNKNOWN,
    OTHER_DIMENSION: DERIVED,
    A_TIME_POINT: TIME_POINT,
    A_COUNT: COUNT,
    A_DURATION: DURATION,
    MANUFACTURER: MANUFACTURER_SPECIFIC,
}
_QUALITY: Final = {RECORD_ERROR: INVALID, RECORD_OUT_OF_RANGE: OUT_OF_RANGE}
_SCALING: Final = (TIMES_10_N, TIMES_1000)
_SAYS_NOTHING: Final = (NEUTRAL, RECORD_ERROR, RECORD_OUT_OF_RANGE, *_SCALING)

VIFE_QUANTITY: Final = np.array([_MADE_QUANTITY.get(kind, -1) for kind in VIFE_CLASS.tolist()])
VIFE_UNIT: Final = np.full(128, -1)
VIFE_UNIT[np.isin(VIFE_CLASS, (UNKNOWN_QUALIFIER, OTHER_DIMENSION, A_TIME_POINT, A_COUNT))] = (
    UNIT_INDEX[""]
)
for _code in np.flatnonzero(VIFE_CLASS == A_DURATION).tolist():
    VIFE_UNIT[_code] = UNIT_INDEX[("s", "min", "h", "d")[_code & 3]]
VIFE_SHIFT: Final = np.array(
    [
        (code & 7) - 6 if kind == TIMES_10_N else 3 if kind == TIMES_1000 else 0
        for code, kind in enumerate(VIFE_CLASS.tolist())
    ]
)
VIFE_KEEPS_EXPONENT: Final = ~np.isin(VIFE_CLASS, (A_TIME_POINT, A_COUNT, A_DURATION))
VIFE_QUALIFIES: Final = ~np.isin(VIFE_CLASS, _SAYS_NOTHING)
VIFE_QUALITY: Final = np.array([_QUALITY.get(kind, OK) for kind in VIFE_CLASS.tolist()])


def vife_name(code: int) -> str:
    """A qualifier in words; `unknown XX` for one that is not in the table."""
    row = _ROWS.get(code & 0x7F)
    return f"unknown {code & 0x7F:02X}" if row is None else row[1]
