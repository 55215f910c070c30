"""Registers at exact hour boundaries, and their differences: the hours. docs/method.md 3.

One plain pass over the accepted readings of each series. What is interpolated is the register,
rounded there, so that neighbouring hours share their boundary and any run of hours adds up to the
register difference between its ends, to the joule.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.exact import proportion
from engine.types import HOUR_US, MISSING, Quality
from engine.validation import ACCEPTED, EXCHANGED, RESTART

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

_M = int(Quality.MEASURED)
_I = int(Quality.INTERPOLATED)
_P = int(Quality.PRELIMINARY)
_X = int(Quality.REJECTED)


@njit(cache=True, nogil=True)
def _register_step(old: int, new: int, modulus: int) -> int:
    """Increase of one register, MISSING when it is not known."""
    if old == MISSING or new == MISSING:  # noqa: PLR1714 (numba: no tuple is built)
        return MISSING
    step = new - old
    if step < 0 and modulus > 0:
        step += modulus
    return step if step >= 0 else MISSING


@njit(cache=True, nogil=True)
def _carried_step(old: int, new: int, volume_ml: int, old_cc: int, new_cc: int) -> int:
    """Increase of E8 or E9; without the register, volume times the mean of both temperatures."""
    step = _register_step(old, new, 0)
    if step != MISSING or volume_ml == MISSING:
        return step
    if old_cc == MISSING or new_cc == MISSING:  # noqa: PLR1714 (numba: no tuple is built)
        return MISSING
    return proportion(volume_ml, old_cc + new_cc, 200)


@njit(cache=True, nogil=True)
def _mark(now: I64, total: I64, epoch: I64, quality: int, h_us: int) -> None:
    """The boundary `h_us` stands where the registers stand."""
    for r in range(4):
        now[2 * r] = total[r]
        now[2 * r + 1] = epoch[r]
    now[8] = quality
    now[9] = h_us


@njit(cache=True, nogil=True)
def _close(now: I64, before: I64, cell: I64, out: I64, out_quality: U8) -> None:
    """Write the hour that ends at boundary `now`, if boundary `before` is an hour earlier.

    A boundary is ten numbers: running total and epoch of energy, volume, E8 and E9, its quality and
    its time. An epoch rises where a register breaks and is -1 inside the break: only between equal
    epochs does a difference count. cell: start of the first hour, first and last + 1 cell.
    """
    h_us = now[9]
    k = cell[1] + (h_us - HOUR_US - cell[0]) // HOUR_US
    if before[9] == h_us - HOUR_US and cell[1] <= k < cell[2]:
        for r in range(4):
            known = before[2 * r + 1] == now[2 * r + 1] and now[2 * r + 1] >= 0
            out[r, k] = now[2 * r] - before[2 * r] if known else MISSING
        out_quality[k] = max(before[8], now[8]) if out[0, k] != MISSING else _X
    for i in range(10):
        before[i] = now[i]


@njit(cache=True, nogil=True)
def _begin(
    reading_us: int,
    put_in_us: int,
    exact_us: int,
    total: I64,
    epoch: I64,
    now: I64,
    before: I64,
    cell: I64,
    out: I64,
    out_quality: U8,
) -> None:
    """The first reading of a series or after a gap; put_in_us MISSING: no start is known."""
    before[9] = MISSING
    h_us = reading_us // HOUR_US * HOUR_US
    if put_in_us != MISSING:
        # Domain 1.2, TV-5: the first hour of an installation counts from its first reading, if that
        # lies in the hour the meter was put in, or ends it.
        hour_us = put_in_us // HOUR_US * HOUR_US
        if hour_us < reading_us <= hour_us + HOUR_US + exact_us:
            _mark(now, total, epoch, _I, hour_us)
            _close(now, before, cell, out, out_quality)
    if h_us < reading_us <= h_us + exact_us:
        _mark(now, total, epoch, _M, h_us)
        _close(now, before, cell, out, out_quality)


@njit(cache=True, nogil=True)
def _between(
    a_us: int,
    b_us: int,
    exact_us: int,
    doubt: int,
    step: I64,
    total: I64,
    epoch: I64,
    now: I64,
    before: I64,
    cell: I64,
    out: I64,
    out_quality: U8,
) -> None:
    """Boundaries in [a, b) between accepted readings; doubt: quality of what is interpolated."""
    h_us = -(-a_us // HOUR_US) * HOUR_US
    while h_us < b_us:
        from_a, to_b = h_us - a_us, b_us - h_us
        if from_a <= exact_us and from_a <= to_b:
            _mark(now, total, epoch, _M, h_us)
        elif to_b <= exact_us:
            _mark(now, total, epoch, _M, h_us)
            for r in range(4):
                now[2 * r] += 0 if step[r] == MISSING else step[r]
                now[2 * r + 1] += 1 if step[r] == MISSING else 0
        else:
            _mark(now, total, epoch, doubt, h_us)
            for r in range(4):
                if step[r] == MISSING:
                    now[2 * r + 1] = -1
                else:
                    now[2 * r] += proportion(step[r], from_a, b_us - a_us)
        _close(now, before, cell, out, out_quality)
        h_us += HOUR_US


@njit(cache=True, nogil=True)
def _finish(
    reading_us: int,
    taken_out_us: int,
    exact_us: int,
    total: I64,
    epoch: I64,
    now: I64,
    before: I64,
    cell: I64,
    out: I64,
    out_quality: U8,
) -> None:
    """The last reading of a series or before a gap; taken_out_us MISSING: no end is known."""
    h_us = -(-reading_us // HOUR_US) * HOUR_US
    if h_us - reading_us <= exact_us:
        _mark(now, total, epoch, _M, h_us)
        _close(now, before, cell, out, out_quality)
    if taken_out_us != MISSING:
        h_us = -(-taken_out_us // HOUR_US) * HOUR_US
        if before[9] == h_us - HOUR_US:  # the last reading lies in the hour the meter was taken out
            _mark(now, total, epoch, _I, h_us)
            _close(now, before, cell, out, out_quality)


@njit(cache=True, nogil=True)
def _steps(registers: I64, a: int, b: int, limits: I64, exchanged: bool, out_step: I64) -> None:
    """What each register rose from reading a to b, MISSING where that is not known."""
    if exchanged:
        for r in range(4):
            out_step[r] = MISSING
        return
    out_step[0] = _register_step(registers[0, a], registers[0, b], limits[2])
    out_step[1] = _register_step(registers[1, a], registers[1, b], limits[3])
    for r in range(2, 4):
        out_step[r] = _carried_step(
            registers[r, a], registers[r, b], out_step[1], registers[r + 2, a], registers[r + 2, b]
        )


@njit(cache=True, nogil=True)
def _rise(registers: I64, a: int, b: int, total: I64) -> bool:
    """Add the plain rise from a to b to the totals, if every register has one; else nothing."""
    for r in range(4):
        if registers[r, a] < 0 or registers[r, b] < registers[r, a]:  # MISSING is below all
            return False
    for r in range(4):
        total[r] += registers[r, b] - registers[r, a]
    return True


@njit(cache=True, nogil=True)
def spread(
    at_us: I64,
    registers: I64,
    verdict: U8,
    starts: I64,
    limits: I64,
    bounds_us: I64,
    first_us: I64,
    cells: I64,
    exact_us: int,
    interpolate_max_us: int,
    out: I64,
    out_quality: U8,
) -> None:
    """Hours of each series into its cells.

    registers: (6, n) energy [J], volume [ml], E8, E9 [ml·°C], supply and return temperature
    [0.01 °C]; verdict: engine/validation.py. bounds_us: (series, 2) installed and removed, MISSING
    for open. first_us: start of the hour in a series' first cell; cells: (series + 1,).
    out: (4, cells) energy, volume, E8, E9, MISSING where unknown, valid where out_quality (cells,),
    zeros before, has become a Quality; 0: no hour.
    """
    now, before, cell = np.zeros(10, np.int64), np.zeros(10, np.int64), np.zeros(3, np.int64)
    for s in range(starts.size - 1):
        total, step, epoch = np.zeros(4, np.int64), np.zeros(4, np.int64), np.zeros(4, np.int64)
        cell[0], cell[1], cell[2] = first_us[s], cells[s], cells[s + 1]
        before[9] = MISSING
        a = -1
        next_us = 0
        doubted = False
        for b in range(starts[s], starts[s + 1]):
            # Most readings lie inside an hour, with every register a little higher.
            if verdict[b] == ACCEPTED and at_us[b] <= next_us and _rise(registers, a, b, total):
                a = b
                doubted = False
                continue
            if not verdict[b] & ACCEPTED:
                doubted = True
                continue
            if verdict[b] & RESTART:
                if a >= 0:
                    _finish(
                        at_us[a], MISSING, exact_us, total, epoch,
                        now, before, cell, out, out_quality,
                    )  # fmt: skip
                put_in_us = bounds_us[s, 0] if a < 0 else MISSING
                _begin(
                    at_us[b], put_in_us, exact_us, total, epoch, now, before, cell, out, out_quality
                )
            else:
                _steps(registers, a, b, limits[s], verdict[b] & EXCHANGED != 0, step)
                short = at_us[b] - at_us[a] <= interpolate_max_us
                _between(
                    at_us[a], at_us[b], exact_us, _X if doubted else (_I if short else _P),
                    step, total, epoch, now, before, cell, out, out_quality,
                )  # fmt: skip
                for r in range(4):
                    epoch[r] += 1 if step[r] == MISSING else 0
                    total[r] += 0 if step[r] == MISSING else step[r]
            a = b
            next_us = -(-at_us[a] // HOUR_US) * HOUR_US
            doubted = False
        if a >= 0:
            _finish(
                at_us[a], bounds_us[s, 1], exact_us, total, epoch,
                now, before, cell, out, out_quality,
            )  # fmt: skip


@njit(cache=True, nogil=True)
def combine(
    series: I64,
    cells: I64,
    bounds_us: I64,
    sign: I64,
    steps: I64,
    group_series: I64,
    group_cells: I64,
    group_first_us: I64,
    quality: U8,
    out: I64,
    out_quality: U8,
    out_steps: I64,
) -> None:
    """Sum the series of each group (facility and commodity), plus and minus, hour by hour.

    The series of group g are `group_series[g]:group_series[g + 1]` and have the group's hours. An
    hour exists when every series installed in it has one; a register unknown in one is unknown in
    the sum; the worst quality counts. steps, out_steps: energy [J] and volume [ml] per count.
    """
    for g in range(group_series.size - 1):
        base = group_cells[g]
        for k in range(group_cells[g + 1] - base):
            start_us = group_first_us[g] + k * HOUR_US
            worst = 0
            complete = True
            for r in range(4):
                out[r, base + k] = 0
            out_steps[0, base + k] = 0
            out_steps[1, base + k] = 0
            for s in range(group_series[g], group_series[g + 1]):
                put_in, taken_out = bounds_us[s, 0], bounds_us[s, 1]
                if put_in != MISSING and put_in >= start_us + HOUR_US:
                    continue
                if taken_out != MISSING and taken_out <= start_us:
                    continue
                q = quality[cells[s] + k]
                if q == 0:
                    complete = False
                    break
                worst = max(worst, q)
                for r in range(4):
                    value = series[r, cells[s] + k]
                    if value == MISSING or out[r, base + k] == MISSING:
                        out[r, base + k] = MISSING
                    else:
                        out[r, base + k] += sign[s] * value
                out_steps[0, base + k] += steps[0, s]
                out_steps[1, base + k] += steps[1, s]
            out_quality[base + k] = worst if complete else 0


@njit(cache=True, nogil=True)
def distribute(total: int, weights: I64, out: I64) -> None:
    """A known total over hours by weights >= 0, rounded on the running sum so that nothing is lost.

    Domain 1.4, gap filling (2), TV-7. All weights 0: equally.
    """
    whole = 0
    for k in range(weights.size):
        whole += weights[k]
    part = 0
    done = 0
    for k in range(weights.size):
        part += weights[k] if whole > 0 else 1
        upto = proportion(total, part, whole if whole > 0 else weights.size)
        out[k] = upto - done
        done = upto


def warm() -> None:
    """Compile, or load from the cache, what the engine calls."""
    one = np.zeros(1, np.int64)
    starts = np.array([0, 1])
    limits = np.zeros((1, 6), np.int64)
    bounds = np.zeros((1, 2), np.int64)
    out, quality = np.zeros((4, 1), np.int64), np.zeros(1, np.uint8)
    spread(
        one, np.zeros((6, 1), np.int64), quality, starts, limits, bounds, one, starts, 0, 0, out,
        quality,
    )  # fmt: skip
    pair = np.zeros((2, 1), np.int64)
    combine(out, starts, bounds, one, pair, starts, starts, one, quality, out, quality, pair)
    distribute(0, one, one.copy())
