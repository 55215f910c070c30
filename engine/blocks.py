"""Between rows and dense arrays: filling cells, finding what changed, grouping windows. Pure."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.alarms import Block
from engine.series import Hours
from engine.types import DAY_US, HOUR_US, METHOD_VERSION, MISSING

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]


def fill_hours(columns: Sequence[I64], first_us: I64, cells: I64) -> tuple[I64, U8, I64]:
    """Rows of hours as dense values (4, n), quality (n,) and steps (2, n), groups as in Hours.

    columns: group, start_us, energy, volume, E8, E9, quality, energy and volume step; the rows must
    lie within their groups' cells.
    """
    values = np.full((4, cells[-1]), MISSING, np.int64)
    quality = np.zeros(cells[-1], np.uint8)
    steps = np.zeros((2, cells[-1]), np.int64)
    at = cells[columns[0]] + (columns[1] - first_us[columns[0]]) // HOUR_US
    values[:, at] = columns[2:6]
    quality[at] = columns[6]
    steps[:, at] = columns[7:9]
    return values, quality, steps


class Changed(NamedTuple):
    """What must be deleted and written, and by group the hours [first, until) that changed [µs]."""

    gone: tuple[I64, I64, I64]
    rows: Mapping[str, I64]
    groups: list[tuple[int, int, int, int]]  # facility, commodity, first, until


def compare(made: Hours, stored: Sequence[I64]) -> Changed:
    """The difference between hours made now and the stored ones of the same cells."""
    values, quality, steps = fill_hours(stored, made.first_us, made.cells)
    differs = quality != made.quality
    both = (quality != 0) & ~differs
    differs |= both & (values != made.values).any(axis=0)
    differs |= both & (steps != made.steps).any(axis=0)
    start_us = made.start_us()
    members = np.diff(made.cells)
    facility = np.repeat(made.facility_ids, members)
    commodity = np.repeat(made.commodities, members)
    old, new = differs & (quality != 0), differs & (made.quality != 0)
    energy_j, volume_ml, e8_mlc, e9_mlc = made.values[:, new]
    rows = {
        "facility_id": facility[new],
        "commodity": commodity[new],
        "start_at": start_us[new],
        "energy_j": energy_j,
        "volume_ml": volume_ml,
        "e8_mlc": e8_mlc,
        "e9_mlc": e9_mlc,
        "quality": made.quality[new].astype(np.int64),
        "energy_step_j": made.steps[0, new],
        "volume_step_ml": made.steps[1, new],
        "method_version": np.full(energy_j.size, METHOD_VERSION, np.int64),
    }
    groups = []
    for g in range(members.size):
        where = np.flatnonzero(differs[made.cells[g] : made.cells[g + 1]])
        if where.size:
            first_us = int(made.first_us[g])
            groups.append(
                (
                    int(made.facility_ids[g]),
                    int(made.commodities[g]),
                    first_us + int(where[0]) * HOUR_US,
                    first_us + (int(where[-1]) + 1) * HOUR_US,
                )
            )
    return Changed((facility[old], commodity[old], start_us[old]), rows, groups)


def hour_blocks(columns: Sequence[I64], count: int) -> list[Block | None]:
    """Rows of hours of `count` requests, dense from each one's first row on; None without rows."""
    return [
        None if pick is None else _hour_block([column[pick] for column in columns])
        for pick in _by_request(columns[0], count)
    ]


def _hour_block(columns: Sequence[I64]) -> Block:
    first_us = int(columns[1].min())
    size = (int(columns[1].max()) - first_us) // HOUR_US + 1
    one = [np.zeros_like(columns[0]), *columns[1:]]
    filled = fill_hours(one, np.array([first_us]), np.array([0, size]))
    return Block(first_us, *filled)


def day_blocks(columns: Sequence[I64], count: int) -> list[Block | None]:
    """Rows of days of `count` requests, dense from each one's first row on; None without rows.

    columns: request, day number, the nine numbers of engine/days.py.
    """
    out: list[Block | None] = []
    for pick in _by_request(columns[0], count):
        if pick is None:
            out.append(None)
            continue
        day = columns[1][pick]
        first = int(day.min())
        values = np.zeros((9, int(day.max()) - first + 1), np.int64)
        values[:4] = MISSING
        values[:, day - first] = [column[pick] for column in columns[2:]]
        nothing = np.zeros(0, np.int64)
        out.append(Block(first, values, nothing.astype(np.uint8), nothing))
    return out


def _by_request(request: I64, count: int) -> list[I64 | None]:
    order = np.argsort(request, kind="stable")
    borders = np.searchsorted(request[order], np.arange(count + 1))
    return [order[low:high] if high > low else None for low, high in pairwise(borders)]


def cluster(spans: Mapping[int, tuple[int, int]]) -> list[list[int]]:
    """Keys whose spans are worth reading together: one window is at most twice its widest span.

    A live hour of the whole fleet is one window; a late reading of last month gets its own. [µs]
    """
    out: list[list[int]] = []
    low = high = widest = 0
    for key, (from_us, until_us) in sorted(spans.items(), key=lambda item: (item[1], item[0])):
        wide = max(widest, until_us - from_us)
        if out and max(high, until_us) - low <= 2 * wide + DAY_US:
            out[-1].append(key)
            high, widest = max(high, until_us), wide
        else:
            out.append([key])
            low, high, widest = from_us, until_us, until_us - from_us
    return out
