"""Which reading wins: copies, clashes, and the same rows whatever the order of arrival (design 5).

Copies are readings of one meter with equal access number and content within the copy window of the
first; the smallest measured time is the row's. Of different contents at one time the smaller
(received, content hash) wins. Both rules only look forward in time, so a newcomer at time t can
change nothing before t.
"""

from collections.abc import Iterable
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]


class Candidate(NamedTuple):
    """A reading that may or may not get the row (at, meter)."""

    at_us: int
    received_us: int
    telegram_id: int
    access: int
    content_hash: int


class Verdict(StrEnum):
    """What becomes of a candidate; the last two are also reasons in the archive."""

    ROW = "row"
    COPY = "copy"
    OTHER_CONTENT = "other_content"


def judge(candidates: Iterable[Candidate], window_us: int) -> dict[int, Verdict]:
    """The verdict on every candidate of ONE meter, by telegram id.

    The candidates must hold every row in [t - window, ...) and every copy and loser from t on, t
    being the time of the earliest newcomer. The order in which they are given does not matter.
    Only a row has copies: content that lost its time to another is news when it is heard again.
    """
    verdicts: dict[int, Verdict] = {}
    row_of: dict[tuple[int, int], int] = {}
    by_time = groupby(sorted(set(candidates)), key=lambda one: one.at_us)
    for at_us, together in by_time:
        news = []
        for one in together:
            row_us = row_of.get((one.access, one.content_hash))
            if row_us is not None and at_us - row_us <= window_us:
                verdicts[one.telegram_id] = Verdict.COPY
            else:
                news.append(one)
        if not news:
            continue
        winner = min(news, key=lambda one: (one.received_us, one.content_hash, one.telegram_id))
        row_of[winner.access, winner.content_hash] = at_us
        for one in news:
            same = (one.access, one.content_hash) == (winner.access, winner.content_hash)
            verdicts[one.telegram_id] = Verdict.COPY if same else Verdict.OTHER_CONTENT
        verdicts[winner.telegram_id] = Verdict.ROW
    return verdicts


def clashing_meters(
    meter_id: I64, at_us: I64, access: I64, content_hash: I64, window_us: int
) -> I64:
    """Meters of which two readings share a time, or content within the window.

    All arrays have shape (n,), old rows and new ones together.
    """
    by_time = np.lexsort((at_us, meter_id))
    meter, at = meter_id[by_time], at_us[by_time]
    same_time = (meter[1:] == meter[:-1]) & (at[1:] == at[:-1])
    by_content = np.lexsort((at_us, content_hash, access, meter_id))
    parts = [column[by_content] for column in (meter_id, access, content_hash)]
    close = np.diff(at_us[by_content]) <= window_us
    for part in parts:
        close &= part[1:] == part[:-1]
    return np.unique(np.concatenate((meter[1:][same_time], parts[0][1:][close])))


def spans(at_us: I64, reach_us: int) -> tuple[I64, I64]:
    """Few time spans (from, until) that cover [t - reach, t + reach] of every t. Shape (m,)."""
    times = np.unique(at_us)
    if not times.size:
        return times, times
    new = np.concatenate(([True], np.diff(times) > 2 * reach_us))
    last = np.concatenate((new[1:], [True]))
    return times[new] - reach_us, times[last] + reach_us


class Touched(NamedTuple):
    """Facilities and the spans of readings touched in them, in parallel arrays."""

    facility_id: I64
    from_us: I64
    until_us: I64


def touched(facility_id: I64, at_us: I64, join_us: int) -> Touched:
    """Merge touched instants of each facility that lie at most `join_us` apart."""
    order = np.lexsort((at_us, facility_id))
    facility, at = facility_id[order], at_us[order]
    if not facility.size:
        return Touched(facility, at, at)
    new = np.concatenate(([True], (facility[1:] != facility[:-1]) | (np.diff(at) > join_us)))
    last = np.concatenate((new[1:], [True]))
    return Touched(facility[new], at[new], at[last])
