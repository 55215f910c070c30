"""The life cycle's table, and what judging again means for occurrences."""

from pathlib import Path

import pytest

from engine.lifecycle import (
    TABLE,
    Condition,
    Event,
    Occurrence,
    State,
    diagram,
    moves,
    moves_from,
    reconcile,
    step,
)

DOCS = Path(__file__).parents[2] / "docs" / "alarms.md"


def test_no_state_has_an_event_twice():
    keys = [(state, event) for state, event, _ in TABLE]
    assert len(keys) == len(set(keys))


def test_every_state_and_event_is_used():
    assert {state for state, _, after in TABLE for state in (state, after)} == set(State)
    assert {event for _, event, _ in TABLE} == set(Event)


def test_withdrawn_is_the_end_and_reached_from_everywhere():
    assert not moves_from(State.WITHDRAWN)
    assert set(moves(Event.WITHDRAW)) == set(State) - {State.WITHDRAWN}


def test_no_data_never_clears():
    assert Event.CLEAR not in moves_from(State.NO_DATA)


@pytest.mark.parametrize(
    ("events", "state"),
    [
        pytest.param("raise acknowledge clear", "normal", id="seen, then over"),
        pytest.param("raise clear acknowledge", "normal", id="over, then seen"),
        pytest.param("raise clear", "returned_unacknowledged", id="over, nobody saw it"),
        pytest.param("exceed recede", "normal", id="too short"),
        pytest.param("exceed raise", "unacknowledged", id="after its delay"),
        pytest.param("raise acknowledge clear reopen", "acknowledged", id="reopened after seen"),
        pytest.param("raise clear reopen", "unacknowledged", id="reopened, not seen"),
        pytest.param("raise shelve clear", "normal", id="over while shelved"),
        pytest.param("raise acknowledge shelve unshelve", "unacknowledged", id="shelving ends"),
        pytest.param("raise clear withdraw", "withdrawn", id="it never was"),
    ],
)
def test_stories(events: str, state: str):
    here = State.NORMAL
    for event in events.split():
        here = step(here, Event(event))
    assert here == state


def test_an_impossible_event_names_the_possible():
    with pytest.raises(ValueError, match="acknowledged cannot raise; what can happen: clear, lose"):
        step(State.ACKNOWLEDGED, Event.RAISE)


def test_the_documented_diagram_is_the_table():
    assert f"```mermaid\n{diagram()}\n```" in DOCS.read_text("utf-8")


def condition(span: str) -> Condition:
    """`3-7` or `3-`: since and until, in hours."""
    since, _, until = span.partition("-")
    return Condition(
        since_us=int(since),
        until_us=int(until) if until else None,
        season="winter",
        limit_value=5000,
        raised_value=5100,
        extreme_value=5200,
        window_h=1,
    )


def occurrence(number: int, text: str) -> Occurrence:
    """`3-7 state`."""
    span, _, state = text.partition(" ")
    return Occurrence(occurrence_id=number, state=State(state), condition=condition(span))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param([], ["3-"], [(None, "raise")], id="raised"),
        pytest.param([], ["3-7"], [(None, "raise clear")], id="raised and over"),
        pytest.param(["3- unacknowledged"], ["3-"], [(0, "")], id="unchanged"),
        pytest.param(["3- acknowledged"], ["3-7"], [(0, "clear")], id="over"),
        pytest.param(["3-7 normal"], ["3-"], [(0, "reopen")], id="not over after all"),
        pytest.param(["3-7 normal"], ["3-9"], [(0, "")], id="longer"),
        pytest.param(["3-7 normal"], ["5-9"], [(0, "")], id="moved, overlapping: follows"),
        pytest.param(["3- acknowledged"], ["5-"], [(0, "")], id="later start keeps its ack"),
        pytest.param(["3- unacknowledged"], [], [(0, "withdraw")], id="withdrawn"),
        pytest.param(
            ["3-7 normal"],
            ["7-9"],
            [(0, "withdraw"), (None, "raise clear")],
            id="touching is apart",
        ),
        pytest.param(
            ["3-9 normal"], ["3-5", "7-9"], [(0, ""), (None, "raise clear")], id="split in two"
        ),
        pytest.param(
            ["3-5 normal", "7- acknowledged"], ["3-"], [(0, "reopen"), (1, "withdraw")], id="merged"
        ),
        pytest.param(
            ["3-5 normal", "7- acknowledged"],
            ["4-6", "7-"],
            [(0, ""), (1, "")],
            id="equal beginnings first",
        ),
        pytest.param(["3- no_data"], ["3-7"], [(0, "regain_data clear")], id="data again"),
    ],
)
def test_reconcile(old: list[str], new: list[str], expected: list[tuple[int | None, str]]):
    stored = [occurrence(number, text) for number, text in enumerate(old)]
    decisions = reconcile(stored, [condition(span) for span in new])
    got = [
        (d.occurrence.occurrence_id if d.occurrence else None, " ".join(d.events))
        for d in decisions
    ]
    assert sorted(got, key=str) == sorted(expected, key=str)
    assert all(d.reason for d in decisions)
    for d in decisions:  # every decision can be carried out
        state = d.occurrence.state if d.occurrence else State.NORMAL
        for event in d.events:
            state = step(state, event)
