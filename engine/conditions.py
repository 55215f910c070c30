"""When an alarm's condition begins to hold and when it ends: one pass over steps. docs/alarms.md.

A step is a completed hour or metering day. Its value is either valid or missing; a missing one
freezes whatever was counted, a valid good one resets it. The state between steps is nine int64
(`alarm_checkpoint.state`), so judging can go on from any stored state.
"""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.types import MISSING

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

STATE_SIZE: Final = 9
FINGERPRINT: Final = 0  # of the limits and behaviour that led here; another one makes it void
ACTIVE: Final = 1  # 1 while the condition holds
RUN: Final = 2  # valid steps in a row towards raising, or while active towards clearing
SINCE_US: Final = 3  # end of the step that completed the raising
RAISED: Final = 4  # its value, in fine units
EXTREME: Final = 5  # the worst value since the run began, in fine units
LIMIT: Final = 6  # the limit at the raising, in the limit's unit
SEASON: Final = 7  # engine.seasons.Season at the raising
WINDOW_H: Final = 8  # hours the raising value was taken over

RAISE: Final = 1
CLEAR: Final = 0
"""`out_event` rows: rule, step, RAISE or CLEAR, value (MISSING: limit switched off), extreme."""

SCALE, LOWER, ON_STEPS, OFF_STEPS, DEADBAND, RATIO, FIRST_US, STEP_US = range(8)
"""Columns of a rule's row: fine units per unit of the limit; 1 for a lower limit; delays [steps];
deadband [limit's unit]; clearing ratio [permille]; start of the first step and length [µs]."""


@njit(cache=True, nogil=True)
def _advance(state: I64, rule: I64, value: int, limit: int) -> int:
    """One valid step; RAISE, CLEAR or -1 when nothing changes. Fills RUN, ACTIVE and EXTREME."""
    sign = -1 if rule[LOWER] else 1
    level = sign * limit * rule[SCALE]
    # Powers clear at a share of the limit, inclusive; temperatures strictly inside the deadband.
    clear = sign * (limit * rule[SCALE] * rule[RATIO] // 1000) - rule[DEADBAND] * rule[SCALE]
    if rule[DEADBAND] > 0:
        clear -= 1
    signed = sign * value
    if state[ACTIVE]:
        if signed > sign * state[EXTREME]:
            state[EXTREME] = value
        state[RUN] = state[RUN] + 1 if signed <= clear else 0
        if state[RUN] >= rule[OFF_STEPS]:
            state[ACTIVE] = 0
            state[RUN] = 0
            return CLEAR
        return -1
    if signed <= level:
        state[RUN] = 0
        return -1
    if state[RUN] == 0 or signed > sign * state[EXTREME]:
        state[EXTREME] = value
    state[RUN] += 1
    if state[RUN] < rule[ON_STEPS]:
        return -1
    state[ACTIVE] = 1
    state[RUN] = 0
    return RAISE


@njit(cache=True, nogil=True)
def judge_steps(
    value: I64,
    window_h: U8,
    limit: I64,
    season: U8,
    starts: I64,
    rules: I64,
    marks: I64,
    mark_starts: I64,
    state: I64,
    out_marked: I64,
    out_event: I64,
) -> int:
    """Judge the steps `starts[r]:starts[r + 1]` of each rule; the number of rows in `out_event`.

    value: fine units; window_h: 0 where the value is missing or not to be judged; limit: the
    limit's unit, MISSING where the rule is off. state: (rules, STATE_SIZE), in and out. marks:
    steps before which the state is kept in `out_marked`, those of rule r at
    `mark_starts[r]:mark_starts[r + 1]`, rising. out_event: (5, at least as many as steps).
    """
    count = 0
    for r in range(starts.size - 1):
        mark = mark_starts[r]
        for i in range(starts[r], starts[r + 1]):
            while mark < mark_starts[r + 1] and marks[mark] == i:
                out_marked[mark] = state[r]
                mark += 1
            change = -1
            if limit[i] == MISSING:
                change = CLEAR if state[r, ACTIVE] else -1
                state[r, ACTIVE] = 0
                state[r, RUN] = 0
            elif window_h[i] != 0:
                change = _advance(state[r], rules[r], value[i], limit[i])
            if change < 0:
                continue
            if change == RAISE:
                state[r, SINCE_US] = rules[r, FIRST_US] + (i - starts[r] + 1) * rules[r, STEP_US]
                state[r, RAISED] = value[i]
                state[r, LIMIT] = limit[i]
                state[r, SEASON] = season[i]
                state[r, WINDOW_H] = window_h[i]
            out_event[0, count] = r
            out_event[1, count] = i
            out_event[2, count] = change
            out_event[3, count] = value[i] if limit[i] != MISSING else MISSING
            out_event[4, count] = state[r, EXTREME]
            count += 1
    return count


def warm() -> None:
    """Compile, or load from the cache, what the engine calls."""
    one, starts = np.zeros(1, np.int64), np.array([0, 1])
    state = np.zeros((1, STATE_SIZE), np.int64)
    none = np.zeros(1, np.uint8)
    judge_steps(
        one, none, one, none, starts, np.ones((1, 8), np.int64), one[:0], np.zeros(2, np.int64),
        state, state[:0], np.zeros((5, 1), np.int64),
    )  # fmt: skip
