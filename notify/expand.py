"""Who is told of a transition, and how: one pure function that gives its reason."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.lifecycle import Event, State

OFFERED: Final = frozenset({"portal", "mail"})
"""The channels that exist. A rule may name others; they are passed over, with a reason."""


class News(StrEnum):
    """What a transition means to a person."""

    RAISED = "raised"
    CLEARED = "cleared"
    WITHDRAWN = "withdrawn"
    NONE = "none"


class Reason(StrEnum):
    """Why somebody is told, or not."""

    NAMED = "named in the rule"
    GRANTED = "nobody is named: everybody with access is told"
    OLD_READING = "judged from old readings: a notice only"
    NOT_NEWS = "the transition is no news"
    NO_ACCESS = "named, but without access to the facility's customer"
    NOT_OFFERED = "the channel is not offered"


@dataclass(frozen=True)
class Decision:
    """One person, one channel, told or not, and why."""

    recipient: int
    channel: str
    told: bool
    reason: Reason


_EVENTS: Final = frozenset(str(event) for event in Event)

_NEWS: Final = {
    Event.RAISE: News.RAISED,
    Event.CLEAR: News.CLEARED,
    Event.WITHDRAW: News.WITHDRAWN,
}


def news(event: str, from_state: str) -> News:
    """What a transition means to a person.

    A person's own act is never news, nor is what was withdrawn before anybody was told of it.
    """
    what = _NEWS.get(Event(event), News.NONE) if event in _EVENTS else News.NONE
    return News.NONE if what is News.WITHDRAWN and from_state == State.PENDING else what


def expand(
    what: News,
    *,
    portal_only: bool,
    channels: Iterable[str],
    recipients: Iterable[int],
    granted: Iterable[int],
) -> list[Decision]:
    """Every decision about one event, told or not, ordered by person and channel.

    `recipients` are the people the rule names, none meaning all of `granted`, who hold a grant on
    the facility's customer; a grant that ended silences the rule's old name.
    """
    may_know = frozenset(granted)
    named = frozenset(recipients)
    people = sorted(named or may_know)
    wanted = ["portal"] if portal_only else sorted(frozenset(channels))
    decisions = []
    for person in people:
        for channel in wanted:
            reason = _reason(what, person, channel, may_know, named=bool(named))
            told = reason in (Reason.NAMED, Reason.GRANTED)
            if told and portal_only:
                reason = Reason.OLD_READING
            decisions.append(Decision(person, channel, told, reason))
    return decisions


def _reason(
    what: News, person: int, channel: str, may_know: frozenset[int], *, named: bool
) -> Reason:
    if what is News.NONE:
        return Reason.NOT_NEWS
    if person not in may_know:
        return Reason.NO_ACCESS
    if channel not in OFFERED:
        return Reason.NOT_OFFERED
    return Reason.NAMED if named else Reason.GRANTED
