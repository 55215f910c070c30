"""Slow, obvious twins of the engine's kernels: plain lists, exact fractions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import floor

HOUR = 3_600_000_000


@dataclass
class Reading:
    """One reading; registers energy, volume, E8, E9, None where missing. [µs; J, ml, ml·°C]"""

    at: int
    registers: list[int | None]
    supply_cc: int | None = None
    return_cc: int | None = None


@dataclass
class Hour:
    values: list[int | None]
    quality: str


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


@dataclass
class Limits:
    """Caps a clock hour (None: unknown), moduli (None: never wraps), slacks; energy then volume."""

    cap: Sequence[int | None] = (None, None)
    modulus: Sequence[int | None] = (None, None)
    slack: Sequence[int] = (0, 0)


def fault(a: Reading, b: Reading, limits: Limits) -> str | None:
    """What speaks against the step from a to b, energy first."""
    for r in range(2):
        old, new = a.registers[r], b.registers[r]
        if old is None or new is None:
            continue
        cap, modulus = limits.cap[r], limits.modulus[r]
        greatest = None
        if cap is not None:
            greatest = cap * max(Fraction(1), Fraction(b.at - a.at, HOUR)) + limits.slack[r]
        if new < old:
            near_end = modulus is not None and modulus - modulus // 10 < old < modulus
            bound = greatest if greatest is not None else (modulus or 0) // 10
            if near_end and new - old + modulus <= bound:
                continue
            return "negative"
        if greatest is not None and new - old > greatest:
            return "too large"
    return None


def verdicts(readings: Sequence[Reading], limits: Limits, gap_max: int) -> list[set[str]]:
    """What becomes of each reading: accepted, restart, exchanged, negative, too large."""
    out: list[set[str]] = [set() for _ in readings]
    last: int | None = None
    doubtful: int | None = None
    for i, reading in enumerate(readings):
        if last is None or reading.at - readings[last].at > gap_max:
            out[i] |= {"accepted", "restart"}
            last, doubtful = i, None
            continue
        wrong = fault(readings[last], reading, limits)
        if wrong is None:
            out[i].add("accepted")
            last, doubtful = i, None
        elif doubtful is not None and fault(readings[doubtful], reading, limits) is None:
            out[doubtful] |= {"accepted", "exchanged"}
            out[i].add("accepted")
            last, doubtful = i, None
        else:
            out[i].add(wrong)
            doubtful = i
    return out


def step(a: Reading, b: Reading, r: int, limits: Limits) -> int | None:
    """How much register r rose from a to b."""
    old, new = a.registers[r], b.registers[r]
    if old is not None and new is not None:
        rise = new - old
        if rise < 0 and r < 2 and limits.modulus[r] is not None:
            rise += limits.modulus[r]
        if rise >= 0:
            return rise
    if r < 2:
        return None
    volume = step(a, b, 1, limits)
    temps = [a.supply_cc, b.supply_cc] if r == 2 else [a.return_cc, b.return_cc]
    if volume is None or None in temps:
        return None
    return half_up(Fraction(volume * sum(temps), 200))


def hours(
    readings: Sequence[Reading],
    limits: Limits,
    *,
    exact: int = 30_000_000,
    interpolate_max: int = 90 * 60_000_000,
    gap_max: int = 62 * 24 * HOUR,
) -> dict[int, Hour]:
    """Every hour the readings give, by its start."""
    verdict = verdicts(readings, limits, gap_max)
    good = [i for i in range(len(readings)) if "accepted" in verdict[i]]
    out: dict[int, Hour] = {}
    runs: list[list[int]] = []
    for i in good:
        if "restart" in verdict[i]:
            runs.append([])
        runs[-1].append(i)
    for run in runs:
        out |= _run_hours(readings, verdict, run, limits, exact, interpolate_max)
    return out


def _run_hours(
    readings: Sequence[Reading],
    verdict: list[set[str]],
    run: list[int],
    limits: Limits,
    exact: int,
    interpolate_max: int,
) -> dict[int, Hour]:
    total, epoch = [[0] * 4], [[0] * 4]
    rises: list[list[int | None]] = []
    for a, b in pairwise(run):
        broken = "exchanged" in verdict[b]
        rise = [None if broken else step(readings[a], readings[b], r, limits) for r in range(4)]
        rises.append(rise)
        total.append([t + (x or 0) for t, x in zip(total[-1], rise, strict=True)])
        epoch.append([e + (x is None) for e, x in zip(epoch[-1], rise, strict=True)])
    times = [readings[i].at for i in run]

    def boundary(h: int) -> tuple[list[tuple[int, int] | None], str] | None:
        """Register and epoch at h, None where broken; and how it is known."""
        near = min(range(len(run)), key=lambda k: (abs(times[k] - h), k))
        if abs(times[near] - h) <= exact:
            return [(total[near][r], epoch[near][r]) for r in range(4)], "M"
        before = [k for k in range(len(run)) if times[k] < h]
        if not before or len(before) == len(run):
            return None
        k = before[-1]
        share = Fraction(h - times[k], times[k + 1] - times[k])
        values: list[tuple[int, int] | None] = []
        for r in range(4):
            rise = rises[k][r]
            at_h = None if rise is None else (total[k][r] + half_up(rise * share), epoch[k][r])
            values.append(at_h)
        if run[k + 1] - run[k] > 1:
            return values, "X"
        return values, "I" if times[k + 1] - times[k] <= interpolate_max else "P"

    out = {}
    first = (times[0] - exact) // HOUR * HOUR
    for start in range(first, times[-1] + HOUR, HOUR):
        low, high = boundary(start), boundary(start + HOUR)
        if low is None or high is None:
            continue
        values: list[int | None] = []
        for x, y in zip(low[0], high[0], strict=True):
            known = x is not None and y is not None and x[1] == y[1]
            values.append(y[0] - x[0] if known and x and y else None)
        quality = max(low[1], high[1], key="MIPX".index)
        out[start] = Hour(values, "X" if values[0] is None else quality)
    return out


def weighted_return(steps: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """Sum of E, and of E * E9 / V rounded per step, over steps (E, V, E9) with E > 0 and V > 0."""
    good = [(e, v, e9) for e, v, e9 in steps if e > 0 and v > 0]
    return sum(e for e, _, _ in good), sum(half_up(Fraction(e * e9, v)) for e, v, e9 in good)


def raisings(
    values: Sequence[Fraction | int | None],
    limit: Callable[[int], Fraction | int | None],
    clears: Callable[[Fraction | int, Fraction | int], bool],
    on_steps: int,
    off_steps: int,
    *,
    lower: bool = False,
) -> list[tuple[int, int | None]]:
    """(step that completed the raising, step that completed the clearing or None)."""
    out: list[tuple[int, int | None]] = []
    active, run = False, 0
    for i, value in enumerate(values):
        level = limit(i)
        if level is None:
            if active:
                out[-1] = (out[-1][0], i)
            active, run = False, 0
            continue
        if value is None:
            continue
        if active:
            run = run + 1 if clears(value, level) else 0
            if run == off_steps:
                out[-1] = (out[-1][0], i)
                active, run = False, 0
        else:
            run = run + 1 if (value < level if lower else value > level) else 0
            if run == on_steps:
                out.append((i, None))
                active, run = True, 0
    return out
