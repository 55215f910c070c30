"""Readings of meters at their places, in columns, and the hours of facilities made from them.

A series is one meter at one place (an installation); a group is the series of one facility and
commodity. All arrays are flat, one series or group after another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine import hours, validation
from engine.types import HOUR_US, MISSING, EngineRules, Finding

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

REGISTERS: Final = ("energy_j", "volume_ml", "e8_mlc", "e9_mlc", "supply_temp_cc", "return_temp_cc")
"""Rows of `Series.registers`."""

_J_PER_ML_K: Final = 4.19  # greatest k of liquid water, 1.1639 kWh/(m3·K)


class Installation(NamedTuple):
    """A meter at its place. Times in µs, MISSING for open; steps, moduli and qs 0 when unknown."""

    facility_id: int
    commodity: int
    meter_id: int
    cooling_register: bool
    sign: int
    installed_us: int
    removed_us: int
    energy_step_j: int
    volume_step_ml: int
    energy_modulus_j: int
    volume_modulus_ml: int
    qs_l_h: int


@dataclass(frozen=True, kw_only=True)
class Series:
    """Readings of installations, ordered by (facility, commodity), each series by time.

    at_us (n,), registers (6, n) as REGISTERS; starts (series + 1,); group_series (groups + 1,).
    """

    installations: Sequence[Installation]
    at_us: I64
    registers: I64
    starts: I64
    limits: I64
    bounds_us: I64
    group_series: I64


@dataclass(frozen=True, kw_only=True)
class Hours:
    """Dense hours of groups: group g has the cells `cells[g]:cells[g + 1]` from `first_us[g]` on.

    values (4, n) energy, volume, E8, E9, MISSING where unknown; quality (n,), 0: no hour; steps
    (2, n): energy and volume per count behind the hour.
    """

    facility_ids: I64
    commodities: I64
    first_us: I64
    cells: I64
    values: I64
    quality: U8
    steps: I64

    def start_us(self) -> I64:
        """Start of the hour of every cell. [µs]"""
        return spread_starts(self.first_us, self.cells, HOUR_US)


def spread_starts(first: I64, cells: I64, step: int) -> I64:
    """`first[g] + k * step` for the k-th cell of every group g."""
    counts = np.diff(cells)
    within = np.arange(cells[-1]) - np.repeat(cells[:-1], counts)
    out: I64 = np.repeat(first, counts) + within * step
    return out


def limits_of(installation: Installation, rules: EngineRules) -> tuple[int, ...]:
    """What a step of this meter may be: caps a clock hour, moduli, slacks (validation.step_fault).

    Domain 1.1: P_cap = qs * k * (t1max - t2min). Two counts of slack: both ends are truncated.
    """
    volume_cap_ml = installation.qs_l_h * 1000
    return (
        int(volume_cap_ml * _J_PER_ML_K * rules.cap_k),
        volume_cap_ml,
        installation.energy_modulus_j,
        installation.volume_modulus_ml,
        2 * installation.energy_step_j,
        2 * installation.volume_step_ml,
    )


def gather(
    installations: Sequence[Installation],
    meter_ids: I64,
    at_us: I64,
    energies: tuple[I64, I64],
    others: Sequence[I64],
    rules: EngineRules,
) -> Series:
    """Cut the readings of meters, ordered by (meter, time), into series.

    energies: heat and cooling registers; others: volume, E8, E9, supply and return temperature. A
    reading without the energy of its installation is none of its readings.
    """
    ordered = sorted(installations)
    picks: list[I64] = []
    energy: list[I64] = []
    for one in ordered:
        low, high = np.searchsorted(meter_ids, [one.meter_id, one.meter_id + 1])
        if one.installed_us != MISSING:
            low += np.searchsorted(at_us[low:high], one.installed_us - rules.exact_us)
        if one.removed_us != MISSING:
            latest = one.removed_us + rules.exact_us
            high = low + np.searchsorted(at_us[low:high], latest, side="right")
        column = energies[one.cooling_register][low:high]
        picks.append(low + np.flatnonzero(column != MISSING))
        energy.append(column[column != MISSING])
    pick = np.concatenate(picks) if picks else np.zeros(0, np.int64)
    registers = np.empty((len(REGISTERS), pick.size), np.int64)
    if picks:
        registers[0] = np.concatenate(energy)
    for row, column in enumerate(others, 1):
        registers[row] = column[pick]
    keys = [(one.facility_id, one.commodity) for one in ordered]
    borders = [i for i, key in enumerate(keys) if i == 0 or key != keys[i - 1]]
    return Series(
        installations=ordered,
        at_us=at_us[pick],
        registers=registers,
        starts=np.cumsum([0, *(part.size for part in picks)], dtype=np.int64),
        limits=np.array([limits_of(one, rules) for one in ordered], np.int64).reshape(-1, 6),
        bounds_us=np.array(
            [(one.installed_us, one.removed_us) for one in ordered], np.int64
        ).reshape(-1, 2),
        group_series=np.array([*borders, len(ordered)], np.int64),
    )


class Reach(NamedTuple):
    """By group: the hours a change touches, and whether enough readings are loaded around it."""

    first_us: I64
    until_us: I64
    settled_us: I64  # the last reading whose verdict the change may have touched
    enough_before: NDArray[np.bool_]
    enough_after: NDArray[np.bool_]


def reach(series: Series, from_us: I64, until_us: I64, rules: EngineRules) -> Reach:
    """The hours [first, until) of each group that readings within [from, until] may have changed.

    from_us, until_us: by series. What is not enough may still be all there is: the caller knows.
    """
    first, before, after, last = (np.empty(len(series.installations), np.int64) for _ in range(4))
    validation.reach(
        series.at_us, series.registers[0], series.registers[1], series.starts, series.limits,
        rules.gap_max_us, from_us, until_us, first, before, after, last,
    )  # fmt: skip
    groups = series.group_series[:-1]
    start, end = from_us.copy(), until_us.copy()
    some = np.flatnonzero(np.diff(series.starts))
    start[some] = np.minimum(start[some], series.at_us[series.starts[some]])
    end[some] = np.maximum(end[some], series.at_us[series.starts[some + 1] - 1])
    low = np.minimum.reduceat(np.where(before == MISSING, start, before), groups)
    high = np.maximum.reduceat(np.where(after == MISSING, end, after), groups)
    # Boundaries from `low` to `high` may move, with the exactness around both; so may the hours
    # before and behind each of them.
    first_us = -(-(low - rules.exact_us) // HOUR_US) * HOUR_US - HOUR_US
    until = (high + rules.exact_us) // HOUR_US * HOUR_US + HOUR_US
    # The outermost hours need a believed reading beyond their far ends too.
    members = np.diff(series.group_series)
    enough_before = (first != MISSING) & (before != MISSING)
    enough_before &= first <= np.repeat(first_us, members) + rules.exact_us
    enough_after = (after != MISSING) & (last >= np.repeat(until, members) - rules.exact_us)
    return Reach(
        first_us,
        until,
        high,
        np.logical_and.reduceat(enough_before, groups),
        np.logical_and.reduceat(enough_after, groups),
    )


class Batch(NamedTuple):
    """Series that are loaded far enough, and the hours of each group to make."""

    series: Series
    span: Reach


def prepare(
    installations: Sequence[Installation],
    columns: Sequence[I64],
    spans: Mapping[int, tuple[int, int]],
    edge: tuple[bool, bool],
    rules: EngineRules,
) -> tuple[set[int], Batch]:
    """Facilities that need a wider window, and the others ready to compute.

    columns: readings ordered by (meter, time): meter, time, heat and cooling energy, volume, E8,
    E9, supply and return temperature. spans: readings touched, by facility [µs]. edge: whether the
    window holds all there is before, and after.
    """
    wanted = list(installations)
    while True:
        gathered = gather(
            wanted, columns[0], columns[1], (columns[2], columns[3]), columns[4:], rules
        )
        at = np.array([spans[one.facility_id] for one in gathered.installations], np.int64)
        from_us, until_us = at.reshape(-1, 2).T
        span = reach(gathered, from_us.copy(), until_us.copy(), rules)
        enough = (span.enough_before | edge[0]) & (span.enough_after | edge[1])
        heads = [gathered.installations[i].facility_id for i in gathered.group_series[:-1]]
        lacking = {head for head, ok in zip(heads, enough, strict=True) if not ok}
        if not lacking:
            gone = {one.facility_id for one in installations} - set(heads)
            return gone, Batch(gathered, span)
        wanted = [one for one in wanted if one.facility_id not in lacking]


def make_hours(
    series: Series, first_us: I64, until_us: I64, rules: EngineRules
) -> tuple[Hours, U8]:
    """The hours [first, until) of each group, and each reading's verdict (engine/validation.py)."""
    verdict = np.zeros(series.at_us.size, np.uint8)
    validation.judge(
        series.at_us, series.registers[0], series.registers[1], series.starts, series.limits,
        rules.gap_max_us, verdict,
    )  # fmt: skip
    counts = (until_us - first_us) // HOUR_US
    members = np.diff(series.group_series)
    cells = np.concatenate(([0], np.cumsum(np.repeat(counts, members))))
    single = np.full((4, cells[-1]), MISSING, np.int64)
    single_quality = np.zeros(cells[-1], np.uint8)
    hours.spread(
        series.at_us, series.registers, verdict, series.starts, series.limits, series.bounds_us,
        np.repeat(first_us, members), cells, rules.exact_us, rules.interpolate_max_us,
        single, single_quality,
    )  # fmt: skip
    group_cells = np.concatenate(([0], np.cumsum(counts)))
    values = np.empty((4, group_cells[-1]), np.int64)
    quality = np.empty(group_cells[-1], np.uint8)
    steps = np.empty((2, group_cells[-1]), np.int64)
    own = series.installations
    hours.combine(
        single, cells, series.bounds_us, np.array([one.sign for one in own], np.int64),
        np.array([[one.energy_step_j for one in own], [one.volume_step_ml for one in own]]),
        series.group_series, group_cells, first_us, single_quality, values, quality, steps,
    )  # fmt: skip
    heads = [own[i] for i in series.group_series[:-1]]
    made = Hours(
        facility_ids=np.array([one.facility_id for one in heads], np.int64),
        commodities=np.array([one.commodity for one in heads], np.int64),
        first_us=first_us, cells=group_cells, values=values, quality=quality, steps=steps,
    )  # fmt: skip
    return made, verdict


class Doubt(NamedTuple):
    """A finding about one reading."""

    facility_id: int
    meter_id: int
    kind: Finding
    at_us: int
    detail: str


def doubts(
    series: Series, verdict: U8, first_us: I64, until_us: I64
) -> tuple[list[tuple[int, int, int]], list[Doubt]]:
    """What is doubted within [first, until) of each group, and the spans (meter, first, until)."""
    spans, found = [], []
    group_of = np.repeat(np.arange(first_us.size), np.diff(series.group_series))
    for s, (one, g) in enumerate(zip(series.installations, group_of.tolist(), strict=True)):
        low, high = series.starts[s], series.starts[s + 1]
        at_us = series.at_us[low:high]
        begin, end = int(first_us[g]), int(until_us[g])
        spans.append((one.meter_id, begin, end))
        doubtful = verdict[low:high] & (validation.NEGATIVE | validation.TOO_LARGE) != 0
        for i in np.flatnonzero(doubtful & (at_us >= begin) & (at_us < end)).tolist():
            judged = int(verdict[low + i])
            before = low + np.flatnonzero(verdict[low : low + i] & validation.ACCEPTED)[-1]
            old, new = series.registers[:2, before].tolist(), series.registers[:2, low + i].tolist()
            detail = f"energy {old[0]} -> {new[0]} J, volume {old[1]} -> {new[1]} ml"
            negative = judged & validation.NEGATIVE
            kinds = [Finding.NEGATIVE_STEP if negative else Finding.STEP_TOO_LARGE]
            if judged & validation.EXCHANGED:
                kinds.append(Finding.EXCHANGE_SUSPECTED)
            found += [
                Doubt(one.facility_id, one.meter_id, kind, int(at_us[i]), detail) for kind in kinds
            ]
    return spans, found
