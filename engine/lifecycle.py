"""The life cycle of one alarm occurrence: ISA-18.2 (IEC 62682) plus pending, no data, withdrawn.

Rule 1: every state, event and move stands in TABLE, nowhere else. `step` only follows it, and the
diagram in docs/alarms.md is drawn from it. Whether the condition holds is decided elsewhere
(engine/conditions.py); `reconcile` compares what held before with what holds now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final


class State(StrEnum):
    """Where an occurrence is."""

    NORMAL = "normal"  # the condition does not hold, nothing is left to do
    PENDING = "pending"  # it holds, the on-delay has not passed
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED_UNACKNOWLEDGED = "returned_unacknowledged"  # over, and nobody has seen it
    SHELVED = "shelved"  # muted by a person until a time
    SUPPRESSED = "suppressed"  # muted by design, as during an outage
    OUT_OF_SERVICE = "out_of_service"
    NO_DATA = "no_data"  # cannot be judged: holds, never clears
    WITHDRAWN = "withdrawn"  # judged again on corrected data: it never was


class Event(StrEnum):
    """What moves an occurrence: the condition, judged by the engine, or people."""

    EXCEED = "exceed"  # beyond the limit, the on-delay begins
    RECEDE = "recede"  # back before the on-delay passed
    RAISE = "raise"
    CLEAR = "clear"
    REOPEN = "reopen"  # judged again: it had not cleared
    WITHDRAW = "withdraw"
    ACKNOWLEDGE = "acknowledge"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    SUPPRESS = "suppress"
    UNSUPPRESS = "unsuppress"
    REMOVE_FROM_SERVICE = "remove_from_service"
    RETURN_TO_SERVICE = "return_to_service"
    LOSE_DATA = "lose_data"
    REGAIN_DATA = "regain_data"


_S, _E = State, Event

TABLE: Final[tuple[tuple[State, Event, State], ...]] = (
    (_S.NORMAL, _E.EXCEED, _S.PENDING),
    (_S.PENDING, _E.RECEDE, _S.NORMAL),
    (_S.NORMAL, _E.RAISE, _S.UNACKNOWLEDGED),
    (_S.PENDING, _E.RAISE, _S.UNACKNOWLEDGED),
    (_S.UNACKNOWLEDGED, _E.ACKNOWLEDGE, _S.ACKNOWLEDGED),
    (_S.UNACKNOWLEDGED, _E.CLEAR, _S.RETURNED_UNACKNOWLEDGED),
    (_S.ACKNOWLEDGED, _E.CLEAR, _S.NORMAL),
    (_S.RETURNED_UNACKNOWLEDGED, _E.ACKNOWLEDGE, _S.NORMAL),
    # Only an acknowledged occurrence comes to rest, so what is reopened there stays acknowledged.
    (_S.RETURNED_UNACKNOWLEDGED, _E.REOPEN, _S.UNACKNOWLEDGED),
    (_S.NORMAL, _E.REOPEN, _S.ACKNOWLEDGED),
    # A muted alarm that clears is over; muting ends by showing what still holds as new.
    (_S.UNACKNOWLEDGED, _E.SHELVE, _S.SHELVED),
    (_S.ACKNOWLEDGED, _E.SHELVE, _S.SHELVED),
    (_S.SHELVED, _E.UNSHELVE, _S.UNACKNOWLEDGED),
    (_S.SHELVED, _E.CLEAR, _S.NORMAL),
    (_S.UNACKNOWLEDGED, _E.SUPPRESS, _S.SUPPRESSED),
    (_S.ACKNOWLEDGED, _E.SUPPRESS, _S.SUPPRESSED),
    (_S.SUPPRESSED, _E.UNSUPPRESS, _S.UNACKNOWLEDGED),
    (_S.SUPPRESSED, _E.CLEAR, _S.NORMAL),
    (_S.UNACKNOWLEDGED, _E.REMOVE_FROM_SERVICE, _S.OUT_OF_SERVICE),
    (_S.ACKNOWLEDGED, _E.REMOVE_FROM_SERVICE, _S.OUT_OF_SERVICE),
    (_S.OUT_OF_SERVICE, _E.RETURN_TO_SERVICE, _S.UNACKNOWLEDGED),
    (_S.OUT_OF_SERVICE, _E.CLEAR, _S.NORMAL),
    (_S.UNACKNOWLEDGED, _E.LOSE_DATA, _S.NO_DATA),
    (_S.ACKNOWLEDGED, _E.LOSE_DATA, _S.NO_DATA),
    (_S.NO_DATA, _E.REGAIN_DATA, _S.UNACKNOWLEDGED),
    (_S.PENDING, _E.WITHDRAW, _S.WITHDRAWN),
    (_S.NORMAL, _E.WITHDRAW, _S.WITHDRAWN),
    (_S.UNACKNOWLEDGED, _E.WITHDRAW, _S.WITHDRAWN),
    (_S.ACKNOWLEDGED, _E.WITHDRAW, _S.WITHDRAWN),
    (_S.RETURNED_UNACKNOWLEDGED, _E.WITHDRAW, _S.WITHDRAWN),
    (_S.SHELVED, _E.WITHDRAW, _S.WITHDRAWN),
    (_S.SUPPRESSED, _E.WITHDRAW, _S.WITHDRAWN),
    (_S.OUT_OF_SERVICE, _E.WITHDRAW, _S.WITHDRAWN),
    (_S.NO_DATA, _E.WITHDRAW, _S.WITHDRAWN),
)

TOLD: Final = frozenset({Event.RAISE, Event.CLEAR, Event.WITHDRAW})
"""Events that go to the outbox."""

_NEXT: Final[Mapping[tuple[State, Event], State]] = {(s, e): n for s, e, n in TABLE}


def step(state: State, event: Event) -> State:
    """The state after the event. Raises ValueError where the table has no such move."""
    try:
        return _NEXT[state, event]
    except KeyError:
        possible = ", ".join(sorted(moves_from(state))) or "none"
        raise ValueError(
            f"an alarm that is {state} cannot {event}; what can happen: {possible}"
        ) from None


def moves_from(state: State) -> frozenset[Event]:
    """The events the table has for a state."""
    return frozenset(e for s, e, _ in TABLE if s == state)


def moves(event: Event) -> dict[str, str]:
    """From which state to which an event leads, as stored text."""
    return {str(s): str(n) for s, e, n in TABLE if e == event}


def diagram() -> str:
    """TABLE as a mermaid state diagram, for docs/alarms.md."""
    lines = ["stateDiagram-v2", "    [*] --> normal"]
    lines += [f"    {state} --> {after}: {event}" for state, event, after in TABLE]
    return "\n".join([*lines, "    withdrawn --> [*]"])


@dataclass(frozen=True, kw_only=True)
class Condition:
    """The condition held in [since, until), until None: still holds. Values in the limit's unit."""

    since_us: int
    until_us: int | None
    season: str
    limit_value: int
    raised_value: int
    extreme_value: int
    window_h: int
    # None: still holds, or the limit was switched off. It belongs to the transition alone.
    cleared_value: int | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """A stored raising, as far as reconciling needs it."""

    occurrence_id: int
    state: State
    condition: Condition


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do about one occurrence: the events in order, the condition to store, and why.

    occurrence None: a new one. condition None: what was stored stays.
    """

    occurrence: Occurrence | None
    condition: Condition | None
    events: tuple[Event, ...]
    reason: str


def occurrence_of(row: Sequence[Any]) -> Occurrence:
    """From occurrence_id, state and the facts of a stored raising, in the order of Condition."""
    since_us, until_us, season, limit_value, raised_value, extreme_value, window_h = row[2:]
    condition = Condition(
        since_us=since_us,
        until_us=until_us,
        season=season,
        limit_value=limit_value,
        raised_value=raised_value,
        extreme_value=extreme_value,
        window_h=window_h,
    )
    return Occurrence(occurrence_id=row[0], state=State(row[1]), condition=condition)


def facts(condition: Condition) -> dict[str, Any]:
    """The condition by the names of the stored columns; times as since_us and until_us."""
    out = dict(vars(condition))
    del out["cleared_value"]
    return out


def source(decision: Decision, event: Event) -> tuple[int, int | None]:
    """The time of the readings an event of the engine stands on [µs], and its value."""
    condition = decision.condition
    if condition is None:
        assert decision.occurrence is not None  # noqa: S101 (only what was stored is withdrawn)
        return decision.occurrence.condition.since_us, None
    if event is Event.CLEAR and condition.until_us is not None:
        return condition.until_us, condition.cleared_value
    if event is Event.REOPEN and decision.occurrence is not None:
        return decision.occurrence.condition.until_us or condition.since_us, None
    return condition.since_us, condition.raised_value


def _overlap(old: Condition, new: Condition) -> bool:
    starts_before_end = new.until_us is None or old.since_us < new.until_us
    ends_after_start = old.until_us is None or new.since_us < old.until_us
    return old.since_us == new.since_us or (starts_before_end and ends_after_start)


def _follow(old: Occurrence, new: Condition) -> Decision:
    """An occurrence whose condition is still there, perhaps with other ends or values."""
    was, now = old.condition.until_us, new.until_us
    if was is None and now is not None:
        events: tuple[Event, ...] = (Event.CLEAR,)
        if old.state is State.NO_DATA:
            events = (Event.REGAIN_DATA, Event.CLEAR)
        return Decision(occurrence=old, condition=new, events=events, reason="the condition ended")
    if was is not None and now is None:
        reason = "judged again: the condition had not ended"
        return Decision(occurrence=old, condition=new, events=(Event.REOPEN,), reason=reason)
    same = "unchanged" if new == old.condition else "judged again: same alarm, other facts"
    return Decision(occurrence=old, condition=new, events=(), reason=same)


def reconcile(old: Sequence[Occurrence], new: Sequence[Condition]) -> list[Decision]:
    """Match what is stored with what the readings now say. Design 10.

    An occurrence that overlaps a condition follows it, keeps its acknowledgement and is not told
    again. One without a match is withdrawn; a condition without a match is raised (and cleared, if
    it is already over). One occurrence matches one condition, equal beginnings first.
    """
    left = sorted(old, key=lambda o: o.condition.since_us)
    fresh: list[Condition] = []
    decisions: list[Decision] = []
    by_since = {o.condition.since_us: o for o in left}
    rest: list[Condition] = []
    for condition in sorted(new, key=lambda c: c.since_us):
        match = by_since.pop(condition.since_us, None)
        if match is None:
            rest.append(condition)
        else:
            left.remove(match)
            decisions.append(_follow(match, condition))
    for condition in rest:
        match = next((o for o in left if _overlap(o.condition, condition)), None)
        if match is None:
            fresh.append(condition)
        else:
            left.remove(match)
            decisions.append(_follow(match, condition))
    decisions += [
        Decision(
            occurrence=o,
            condition=None,
            events=(Event.WITHDRAW,),
            reason="judged again on changed data: the condition never held",
        )
        for o in left
    ]
    for condition in fresh:
        ended = () if condition.until_us is None else (Event.CLEAR,)
        decisions.append(
            Decision(
                occurrence=None,
                condition=condition,
                events=(Event.RAISE, *ended),
                reason="the condition holds",
            )
        )
    return decisions
