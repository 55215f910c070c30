"""From stored hours and days to the conditions of alarm rules, and the states judging goes on from.

Pure: the worker loads what `Plan` asks for and stores what `judge` gives back.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine import conditions, quantities
from engine.conditions import STATE_SIZE
from engine.lifecycle import Condition
from engine.metering_day import day_of, day_start_us, month_first
from engine.seasons import Season, seasons
from engine.types import (
    DAY_US,
    HOUR_US,
    METHOD_VERSION,
    MISSING,
    AlarmKind,
    Behaviour,
    Commodity,
    EngineRules,
)

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

LEAD_H: Final = 23
"""Hours before the first step that the widest window reaches back."""

DAILY: Final = frozenset({AlarmKind.DAILY_POWER, AlarmKind.ENERGY_WEIGHTED_RETURN})
_POWERS: Final = frozenset({AlarmKind.DAILY_POWER, AlarmKind.HOURLY_POWER})
_SEASON_NAME: Final = {int(Season.WINTER): "winter", int(Season.SUMMER): "summer"}


class Limit(NamedTuple):
    """What holds from a time on. [µs, -, 0.01 °C or W]"""

    valid_from_us: int
    enabled: int
    winter: int
    summer: int


@dataclass(frozen=True)
class Rule:
    """One alarm of one facility, with every limit it ever had, oldest first."""

    rule_id: int
    facility_id: int
    commodity: int
    kind: AlarmKind
    limits: tuple[Limit, ...]

    @property
    def daily(self) -> bool:
        """Whether its steps are metering days."""
        return self.kind in DAILY

    @property
    def scale(self) -> int:
        """Fine units per unit of the limit."""
        powers = self.kind in _POWERS
        return quantities.POWER_SCALE if powers else quantities.TEMPERATURE_SCALE

    @property
    def lower(self) -> bool:
        """Whether the limit is a lower one: a cooling customer's return should be warm."""
        return self.commodity == Commodity.COOLING and self.kind not in _POWERS


class Checkpoint(NamedTuple):
    """A condition's state before the step that starts at `at_us`."""

    at_us: int
    state: I64


class Block(NamedTuple):
    """Dense hours or days of one facility and commodity; `first` is a time [µs] or a day's number.

    values: hours (4, n), days (9, n); quality (n,) and steps (2, n) of hours.
    """

    first: int
    values: I64
    quality: U8
    steps: I64


class Plan(NamedTuple):
    """A rule and where its judging begins: the first step's start and the state before it."""

    rule: Rule
    first_us: int
    state: I64


class Judged(NamedTuple):
    """What the steps from `plan.first_us` on say: conditions, and checkpoints to keep."""

    plan: Plan
    conditions: list[Condition]
    checkpoints: list[Checkpoint]


def rule_of(row: Sequence[Any]) -> Rule:
    """From rule_id, facility_id, commodity, kind and the lists of limits, None for always."""
    limits = (
        Limit(MISSING if valid_from_us is None else valid_from_us, *rest)
        for valid_from_us, *rest in zip(*row[4:], strict=True)
    )
    return Rule(row[0], row[1], row[2], AlarmKind(row[3]), tuple(sorted(limits)))


def head(rule: Rule) -> dict[str, Any]:
    """What an occurrence keeps of its rule, by the names of the stored columns."""
    return {
        "rule_id": rule.rule_id,
        "facility_id": rule.facility_id,
        "commodity": rule.commodity,
        "kind": str(rule.kind),
    }


@lru_cache(maxsize=65536)
def _fingerprint(behaviour: Behaviour, calendars: object, limits: tuple[Limit, ...]) -> int:
    text = repr((METHOD_VERSION, behaviour, calendars, limits)).encode()
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def fingerprint(rule: Rule, at_us: int, rules: EngineRules) -> int:
    """Of all settings that a condition's state at this time stands on."""
    behaviour = rules.behaviour[rule.kind]
    limits = tuple(limit for limit in rule.limits if limit.valid_from_us < at_us)
    return _fingerprint(behaviour, rules.calendars, limits)


def plan(
    rule: Rule, stored: Sequence[Checkpoint], touched_us: int | None, rules: EngineRules
) -> Plan | None:
    """Where to begin judging; None when no stored state is in doubt and nothing was touched.

    stored: newest first. touched_us: start of the first changed hour. The newest checkpoint that
    stands on the settings of today and lies before the change counts; without one the rule is
    judged from its first limit on.
    """
    if touched_us is not None and rule.daily:
        touched_us = _day_floor_us(touched_us, rules)
    valid = [
        c
        for c in stored
        if int(c.state[conditions.FINGERPRINT]) == fingerprint(rule, c.at_us, rules)
    ]
    if touched_us is None and stored and valid[:1] == list(stored[:1]):
        return None
    for checkpoint in valid:
        if touched_us is None or checkpoint.at_us <= touched_us:
            return Plan(rule, checkpoint.at_us, checkpoint.state.copy())
    first_us = rule.limits[0].valid_from_us
    if first_us != MISSING:
        first_us = _day_floor_us(first_us, rules) if rule.daily else first_us // HOUR_US * HOUR_US
    return Plan(rule, first_us, np.zeros(STATE_SIZE, np.int64))


def begins(plans: Sequence[Plan]) -> dict[tuple[int, int], int]:
    """From when on each (facility, commodity) is needed, MISSING: from the beginning. [µs]"""
    out: dict[tuple[int, int], int] = {}
    for one in plans:
        key = (one.rule.facility_id, one.rule.commodity)
        out[key] = min(one.first_us, out.get(key, one.first_us))
    return out


def match(
    plans: Sequence[Plan], found: Mapping[tuple[int, int], Block | None]
) -> tuple[list[Plan], list[Block]]:
    """The plans whose (facility, commodity) has a block, and their blocks."""
    have: list[Plan] = []
    own: list[Block] = []
    for one in plans:
        block = found[one.rule.facility_id, one.rule.commodity]
        if block is not None:
            have.append(one)
            own.append(block)
    return have, own


def void_after(judged: Judged, rules: EngineRules) -> int:
    """Stored states later than this are replaced. The one begun from stays if it begins a month."""
    first_us = judged.plan.first_us
    if first_us == MISSING or not judged.checkpoints:
        return first_us
    day = day_of(first_us, rules.metering_offset_us)
    month_us = day_start_us(month_first(day), rules.metering_offset_us)
    return first_us if first_us == month_us else first_us - 1


def _day_floor_us(at_us: int, rules: EngineRules) -> int:
    offset_us = rules.metering_offset_us
    return day_start_us(day_of(at_us, offset_us), offset_us)


def _months(first_day: int, count: int) -> I64:
    """For quantities.weighted_return: columns of each day's month, and the same a year before."""
    out = np.empty((3, count), np.int64)
    k = 0
    while k < count:
        start = month_first(first_day + k)
        end = month_first(start + 31)
        before = month_first(start, years=-1)
        upto = min(end - first_day, count)
        out[0, k:upto] = start - first_day
        out[1, k:upto] = before - first_day
        out[2, k:upto] = month_first(before + 31) - before
        k = upto
    return out


class _Steps(NamedTuple):
    """One rule's steps, ready to be judged."""

    first_us: int
    value: I64
    window_h: U8
    limit: I64
    season: U8


def _steps(rule: Rule, first_us: int, block: Block, rules: EngineRules) -> _Steps:
    """Values and limits of the rule's steps, from `first_us` or the block's beginning on."""
    offset_us = rules.metering_offset_us
    step_us = DAY_US if rule.daily else HOUR_US
    block_us = day_start_us(block.first, offset_us) if rule.daily else block.first
    first_us = max(first_us, block_us)
    first = (first_us - block_us) // step_us
    count = max(_last_whole(rule, block) - first, 0)
    value, limit = np.empty(count, np.int64), np.empty(count, np.int64)
    window_h, season = np.empty(count, np.uint8), np.empty(count, np.uint8)
    day = day_of(first_us, offset_us)
    quantities.limits_at(
        first_us, step_us, offset_us,
        np.array([one.valid_from_us for one in rule.limits], np.int64),
        np.array([one[1:] for one in rule.limits], np.int64).T.copy(),
        seasons(day, day_of(first_us + count * step_us, offset_us) - day + 1, rules.calendars),
        day, limit, season,
    )  # fmt: skip
    if count == 0:
        pass
    elif rule.kind is AlarmKind.RETURN_TEMPERATURE:
        quantities.hourly_return(block.values, block.quality, block.steps, first, value, window_h)
    elif rule.kind is AlarmKind.HOURLY_POWER:
        quantities.hourly_power(
            block.values, block.quality, block.steps, first, limit, value, window_h
        )
    elif rule.kind is AlarmKind.DAILY_POWER:
        quantities.daily_power(block.values, first, value, window_h)
    else:
        months = _months(block.first, block.values.shape[1])
        quantities.weighted_return(block.values, months, first, value, window_h)
    return _Steps(first_us, value, window_h, limit, season)


def _last_whole(rule: Rule, block: Block) -> int:
    """How many of the block's cells are completed steps: up to the newest hour, or whole day."""
    complete = block.values[6] == 24 if rule.daily else block.quality != 0
    where = np.flatnonzero(complete)
    return int(where[-1]) + 1 if where.size else 0


def judge(plans: Sequence[Plan], blocks: Sequence[Block], rules: EngineRules) -> list[Judged]:
    """Judge rules on the hours or days of their facility and commodity, one block a plan.

    An hourly block begins LEAD_H hours before the plan, a daily one with its month or before.
    """
    parts = [_steps(p.rule, p.first_us, b, rules) for p, b in zip(plans, blocks, strict=True)]
    marks = [_marks(p.rule, part, rules) for p, part in zip(plans, parts, strict=True)]
    if not parts:
        return []
    starts = np.cumsum([0, *(part.value.size for part in parts)], dtype=np.int64)
    mark_starts = np.cumsum([0, *(m.size for m in marks)], dtype=np.int64)
    state = np.stack([p.state for p in plans])
    marked = np.zeros((int(mark_starts[-1]), STATE_SIZE), np.int64)
    events = np.empty((5, int(starts[-1])), np.int64)
    limit = np.concatenate([part.limit for part in parts])
    season = np.concatenate([part.season for part in parts])
    window_h = np.concatenate([part.window_h for part in parts])
    count = conditions.judge_steps(
        np.concatenate([part.value for part in parts]), window_h, limit, season, starts,
        np.array([_row(p.rule, s.first_us, rules) for p, s in zip(plans, parts, strict=True)]),
        np.concatenate([m + s for m, s in zip(marks, starts[:-1], strict=True)]), mark_starts,
        state, marked, events,
    )  # fmt: skip
    borders = np.searchsorted(events[0, :count], np.arange(len(plans) + 1))
    out = []
    for r, (p, part) in enumerate(zip(plans, parts, strict=True)):
        own = events[1:, borders[r] : borders[r + 1]].copy()
        own[0] -= starts[r]
        kept = [
            Checkpoint(_step_start_us(p.rule, part, int(m)), marked[mark_starts[r] + k])
            for k, m in enumerate(marks[r])
        ]
        if part.value.size:
            kept.append(Checkpoint(_step_start_us(p.rule, part, part.value.size), state[r]))
        for one in kept:
            one.state[conditions.FINGERPRINT] = fingerprint(p.rule, one.at_us, rules)
        out.append(Judged(p, _conditions(p, part, own, state[r]), kept))
    return out


def _row(rule: Rule, first_us: int, rules: EngineRules) -> tuple[int, ...]:
    own = rules.behaviour[rule.kind]
    step_us = DAY_US if rule.daily else HOUR_US
    return (
        rule.scale, int(rule.lower), own.on_steps, own.off_steps,
        own.deadband_cc, own.clear_ratio_permille, first_us, step_us,
    )  # fmt: skip


def _step_start_us(rule: Rule, part: _Steps, step: int) -> int:
    return part.first_us + step * (DAY_US if rule.daily else HOUR_US)


def _marks(rule: Rule, part: _Steps, rules: EngineRules) -> I64:
    """Steps that begin a month of normal time, the first excepted: its state is stored already."""
    offset_us = rules.metering_offset_us
    end_us = _step_start_us(rule, part, part.value.size)
    marks = []
    month = month_first(month_first(day_of(part.first_us, offset_us)) + 31)
    while (start_us := day_start_us(month, offset_us)) < end_us:
        marks.append((start_us - part.first_us) // (DAY_US if rule.daily else HOUR_US))
        month = month_first(month + 31)
    return np.array(marks, np.int64)


def _coarse(fine: int, scale: int) -> int:
    """From fine units to the limit's, rounded half up."""
    return (2 * fine + scale) // (2 * scale)


def _conditions(p: Plan, part: _Steps, events: I64, state: I64) -> list[Condition]:
    """Raises and clears as intervals; the first may have begun before, the last hold on."""
    scale = p.rule.scale
    opened: I64 | None = p.state if p.state[conditions.ACTIVE] else None
    out = []

    def condition(begun: I64, until_us: int | None, extreme: int, cleared: int | None) -> Condition:
        return Condition(
            since_us=int(begun[conditions.SINCE_US]),
            until_us=until_us,
            season=_SEASON_NAME[int(begun[conditions.SEASON])],
            limit_value=int(begun[conditions.LIMIT]),
            raised_value=_coarse(int(begun[conditions.RAISED]), scale),
            extreme_value=_coarse(extreme, scale),
            window_h=int(begun[conditions.WINDOW_H]),
            cleared_value=cleared,
        )

    for step, change, value, extreme in events.T.tolist():
        if change == conditions.RAISE:
            opened = np.zeros(STATE_SIZE, np.int64)
            opened[conditions.SINCE_US] = _step_start_us(p.rule, part, step + 1)
            opened[conditions.RAISED] = value
            opened[conditions.LIMIT] = part.limit[step]
            opened[conditions.SEASON] = part.season[step]
            opened[conditions.WINDOW_H] = part.window_h[step]
        elif opened is not None:
            switched_off = value == MISSING
            until_us = _step_start_us(p.rule, part, step if switched_off else step + 1)
            cleared = None if switched_off else _coarse(value, scale)
            out.append(condition(opened, until_us, extreme, cleared))
            opened = None
    if opened is not None:
        out.append(condition(opened, None, int(state[conditions.EXTREME]), None))
    return out
