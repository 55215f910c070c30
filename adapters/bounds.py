"""What a register can hold: counters never fall below zero, gauges are stored in narrow columns."""

from typing import Final

INT64_MAX: Final = 2**63 - 1
_INT32: Final = (-(2**31), 2**31 - 1)
_COUNT32: Final = (0, 2**31 - 1)
_INT16: Final = (-(2**15), 2**15 - 1)

BOUNDS: Final = {
    "energy_j": (0, INT64_MAX),
    "cooling_energy_j": (0, INT64_MAX),
    "volume_ml": (0, INT64_MAX),
    "e8_mlc": (0, INT64_MAX),
    "e9_mlc": (0, INT64_MAX),
    "power_w": _INT32,
    "flow_l_h": _INT32,
    "supply_temp_cc": _INT16,
    "return_temp_cc": _INT16,
    "operating_h": _COUNT32,
    "error_h": _COUNT32,
    "info_code": _COUNT32,
}
"""(least, most) by register; a value outside is RegisterQuality.OUT_OF_RANGE."""
