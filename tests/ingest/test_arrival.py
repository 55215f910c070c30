import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.arrival import Candidate, Verdict, clashing_meters, judge, spans, touched

MIN = 60_000_000
WINDOW = 30 * MIN


def candidate(at_min: float, telegram_id: int, content: int = 1, received: int = 0) -> Candidate:
    return Candidate(int(at_min * MIN), received, telegram_id, 7, content)


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        pytest.param(
            [candidate(0, 1), candidate(2, 2)],
            {1: Verdict.ROW, 2: Verdict.COPY},
            id="design 5: same content 2 min later is a copy",
        ),
        pytest.param(
            [candidate(0, 1), candidate(31, 2)],
            {1: Verdict.ROW, 2: Verdict.ROW},
            id="design 5: beyond 30 min it is news",
        ),
        pytest.param(
            [candidate(0, 1), candidate(20, 2), candidate(40, 3)],
            {1: Verdict.ROW, 2: Verdict.COPY, 3: Verdict.ROW},
            id="design 5: the 30 min count from the row, not from its last copy",
        ),
        pytest.param(
            [candidate(0, 1, content=5, received=9), candidate(0, 2, content=6, received=8)],
            {1: Verdict.OTHER_CONTENT, 2: Verdict.ROW},
            id="design 5: other content at one time, the first received wins",
        ),
        pytest.param(
            [candidate(0, 1, content=5, received=8), candidate(0, 2, content=4, received=8)],
            {1: Verdict.OTHER_CONTENT, 2: Verdict.ROW},
            id="design 5: received together, the smaller hash wins",
        ),
    ],
)
def test_verdicts(candidates, expected):
    assert judge(candidates, WINDOW) == expected


candidates_of_one_meter = st.lists(
    st.builds(
        Candidate,
        at_us=st.integers(0, 12).map(lambda count: count * 10 * MIN),
        received_us=st.integers(0, 3),
        telegram_id=st.integers(0, 10_000),
        access=st.just(1),
        content_hash=st.integers(0, 3),
    ),
    max_size=12,
    unique_by=lambda one: one.telegram_id,
)


@given(candidates_of_one_meter, st.randoms())
def test_verdicts_do_not_depend_on_the_order_of_arrival(candidates, random):
    shuffled = list(candidates)
    random.shuffle(shuffled)
    assert judge(shuffled, WINDOW) == judge(candidates, WINDOW)


@given(candidates_of_one_meter)
def test_one_row_a_time_and_no_candidate_without_verdict(candidates):
    verdicts = judge(candidates, WINDOW)
    rows = [one.at_us for one in candidates if verdicts[one.telegram_id] is Verdict.ROW]
    assert len(verdicts) == len(candidates)
    assert len(rows) == len(set(rows))


def naive_clashes(readings: list[tuple[int, int, int, int]]) -> set[int]:
    found = set()
    for i, (meter, at, access, content) in enumerate(readings):
        for other, at2, access2, content2 in readings[i + 1 :]:
            same = (access, content) == (access2, content2) and abs(at - at2) <= WINDOW
            if meter == other and (at == at2 or same):
                found.add(meter)
    return found


@given(
    st.lists(
        st.tuples(
            st.integers(1, 3),
            st.integers(0, 12).map(lambda count: count * 10 * MIN),
            st.integers(0, 2),
            st.integers(0, 2),
        ),
        max_size=15,
    )
)
def test_clashing_meters_are_those_of_the_naive_twin(readings):
    columns = np.array(readings, np.int64).reshape(-1, 4).T
    found = clashing_meters(*columns, WINDOW)
    assert set(found.tolist()) == naive_clashes(readings)


def test_spans_join_what_is_near():
    from_us, until_us = spans(np.array([100, 0, 5, 1000]), 10)
    assert from_us.tolist() == [-10, 90, 990]
    assert until_us.tolist() == [15, 110, 1010]


def test_touched_spans_stay_apart_when_far():
    found = touched(np.array([2, 1, 1, 1]), np.array([50, 10, 12, 90]), 5)
    assert found.facility_id.tolist() == [1, 1, 2]
    assert found.from_us.tolist() == [10, 90, 50]
    assert found.until_us.tolist() == [12, 90, 50]
