"""Who is told of a transition, and how: one pure function that gives its reason."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

OFFERED: Final = frozenset({"portal", "mail"})
"""The channels that exist. A rule may name others; they are passed over, with a reason."""

ACTIVE: Final = frozenset({"unacknowledged", "acknowledged", "shelved", "suppressed"})
"""States of an alarm whose condition holds; leaving them for a calm one is news."""

CALM: Final = frozenset({"normal", "returned_unacknowledged"})


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


def news(from_state: str, to_state: str) -> News:
    """What going from one state to another means to a person.

    A person's own act is never news: acknowledging leaves an active alarm active, or ends one that
    had returned, which was told when it returned.
    """
    if to_state == "withdrawn":
        return News.WITHDRAWN if from_state != "pending" else News.NONE
    if to_state == "unacknowledged":
        return News.RAISED
    if from_state in ACTIVE and to_state in CALM:
        return News.CLEARED
    return News.NONE


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
