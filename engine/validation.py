"""Which readings are believed: steps back, steps too large, rollover, exchange. docs/method.md 2.

Readings lie in flat columns, one series (a meter at one place) after another: series s is
`starts[s]:starts[s + 1]`, sorted by time. A verdict depends on near readings only: after any two
consecutive readings that agree, everything before is forgotten (`reach` finds such points), so a
window of the stream is judged like the whole.
"""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.types import HOUR_US, MISSING

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

ACCEPTED: Final = 1
NEGATIVE: Final = 2  # stepped back from the accepted reading before
TOO_LARGE: Final = 4  # more than the meter's greatest flow can explain
EXCHANGED: Final = 8  # accepted with the next one as a new level: no energy across the step
RESTART: Final = 16  # first reading, or the first after a gap no hour is made of


_ANY: Final = (1 << 63) - 1


@njit(cache=True, nogil=True)
def _register_fault(old: int, new: int, hours: float, cap: int, modulus: int, slack: int) -> int:
    """0, NEGATIVE or TOO_LARGE for one register; cap 0: none known; modulus 0: never wraps."""
    step = new - old
    greatest = float(cap) * hours + float(slack)
    if step < 0:
        # Domain 1.2: only near the end of the register, and only by as much as could have flowed.
        if modulus > 0 and old > modulus - modulus // 10 and old < modulus:
            wrapped = step + modulus
            if wrapped <= (greatest if cap > 0 else modulus // 10):
                return 0
        return NEGATIVE
    if cap > 0 and step > greatest:
        return TOO_LARGE
    return 0


@njit(cache=True, nogil=True)
def step_fault(at_us: I64, energy_j: I64, volume_ml: I64, i: int, j: int, limits: I64) -> int:
    """What speaks against going from reading i to reading j: 0, NEGATIVE or TOO_LARGE.

    `limits` is the series' row: energy cap [J/h], volume cap [ml/h], their moduli and slacks.
    A step may always be as large as an hour's: registers count in lumps, clocks are not exact.
    """
    hours = max(1.0, float(at_us[j] - at_us[i]) / HOUR_US)
    fault = _register_fault(energy_j[i], energy_j[j], hours, limits[0], limits[2], limits[4])
    if fault == 0 and volume_ml[i] != MISSING and volume_ml[j] != MISSING:
        fault = _register_fault(volume_ml[i], volume_ml[j], hours, limits[1], limits[3], limits[5])
    return fault


@njit(cache=True, nogil=True)
def judge(
    at_us: I64,
    energy_j: I64,
    volume_ml: I64,
    starts: I64,
    limits: I64,
    gap_max_us: int,
    out_verdict: U8,
) -> None:
    """Give each reading its verdict, a sum of ACCEPTED, NEGATIVE, TOO_LARGE, EXCHANGED, RESTART.

    A reading that disagrees with the last accepted one waits for the next: agrees that one with the
    accepted level, the doubtful is rejected; agrees it with the doubtful, both start a new level.
    """
    for s in range(starts.size - 1):
        # What a step may be however short the time: most are, and need no more than this.
        energy_free = limits[s, 0] + limits[s, 4] if limits[s, 0] > 0 else _ANY
        volume_free = limits[s, 1] + limits[s, 5] if limits[s, 1] > 0 else _ANY
        last = -1
        doubtful = -1
        for i in range(starts[s], starts[s + 1]):
            # The present volumes first: MISSING is below all, and no difference of it is taken.
            if (
                last >= 0
                and at_us[i] - at_us[last] <= gap_max_us
                and (
                    0 <= volume_ml[last] <= volume_ml[i]
                    and volume_ml[i] - volume_ml[last] <= volume_free
                    and 0 <= energy_j[i] - energy_j[last] <= energy_free
                )
            ):
                out_verdict[i] = ACCEPTED
                last = i
                doubtful = -1
                continue
            if last < 0 or at_us[i] - at_us[last] > gap_max_us:
                out_verdict[i] = ACCEPTED | RESTART
                last = i
                doubtful = -1
                continue
            fault = step_fault(at_us, energy_j, volume_ml, last, i, limits[s])
            if fault == 0:
                out_verdict[i] = ACCEPTED
                last = i
                doubtful = -1
            elif doubtful >= 0 and (
                step_fault(at_us, energy_j, volume_ml, doubtful, i, limits[s]) == 0
            ):
                out_verdict[doubtful] |= ACCEPTED | EXCHANGED
                out_verdict[i] = ACCEPTED
                last = i
                doubtful = -1
            else:
                out_verdict[i] = fault
                doubtful = i


@njit(cache=True, nogil=True)
def reach(
    at_us: I64,
    energy_j: I64,
    volume_ml: I64,
    starts: I64,
    limits: I64,
    gap_max_us: int,
    from_us: I64,
    until_us: I64,
    out_first_us: I64,
    out_before_us: I64,
    out_after_us: I64,
    out_last_us: I64,
) -> None:
    """How far a change of readings within [from_us, until_us] of each series can reach.

    Per series: the first time from which the loaded readings are judged as the whole stream would
    be, the last such time before the change, the first one after it, and the last of all; MISSING
    where the window holds none. Such a time is the second of two consecutive readings that agree.
    """
    for s in range(starts.size - 1):
        out_first_us[s] = MISSING
        out_before_us[s] = MISSING
        out_after_us[s] = MISSING
        out_last_us[s] = MISSING
        for i in range(starts[s] + 1, starts[s + 1]):
            if at_us[i] - at_us[i - 1] > gap_max_us:
                agrees = True  # a restart forgets as well
            else:
                agrees = step_fault(at_us, energy_j, volume_ml, i - 1, i, limits[s]) == 0
            if not agrees:
                continue
            if out_first_us[s] == MISSING:
                out_first_us[s] = at_us[i]
            if at_us[i] < from_us[s]:
                out_before_us[s] = at_us[i]
            if at_us[i - 1] > until_us[s] and out_after_us[s] == MISSING:
                out_after_us[s] = at_us[i]
            out_last_us[s] = at_us[i]


def warm() -> None:
    """Compile, or load from the cache, what the engine calls."""
    one = np.zeros(1, np.int64)
    starts = np.array([0, 1])
    limits = np.zeros((1, 6), np.int64)
    judge(one, one, one, starts, limits, 1, np.zeros(1, np.uint8))
    reach(one, one, one, starts, limits, 1, one, one, *(one.copy() for _ in range(4)))
