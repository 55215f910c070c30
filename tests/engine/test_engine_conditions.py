"""Conditions: domain.md's vector, delays, deadbands, frozen and reset, seasons, going on."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import conditions
from engine.conditions import ACTIVE, CLEAR, RAISE, RUN, STATE_SIZE
from engine.types import HOUR_US, MISSING
from tests.engine import naive
from tests.engine.plant import unjitted

SCALE = 10_000


def series(text: str) -> list[float | None]:
    """One line of values: `51x5` is five times 51, `_` is missing."""
    out: list[float | None] = []
    for word in text.split():
        value, _, times = word.partition("x")
        out += [None if value == "_" else float(value)] * int(times or 1)
    return out


def judge(
    values: list[float | None],
    limits: list[float | None],
    *,
    on: int = 6,
    off: int = 6,
    deadband: float = 2,
    ratio: int = 1000,
    lower: bool = False,
    state: np.ndarray | None = None,
    first: int = 0,
) -> tuple[list[tuple[int, str]], np.ndarray]:
    """(step, up or down) of each event, and the state after. Values and limits in °C."""
    n = len(values)
    value = np.array([MISSING if v is None else round(v * 100 * SCALE) for v in values], np.int64)
    window = np.array([v is not None for v in values], np.uint8)
    limit = np.array([MISSING if v is None else round(v * 100) for v in limits], np.int64)
    state = np.zeros((1, STATE_SIZE), np.int64) if state is None else state.copy()
    rule = [SCALE, int(lower), on, off, round(deadband * 100), ratio, first * HOUR_US, HOUR_US]
    events = np.zeros((5, max(n, 1)), np.int64)
    nothing = np.zeros(0, np.int64)
    count = conditions.judge_steps(
        value, window, limit, np.ones(n, np.uint8), np.array([0, n]),
        np.array([rule], np.int64), nothing, np.zeros(2, np.int64), state,
        np.zeros((0, STATE_SIZE), np.int64), events,
    )  # fmt: skip
    names = {RAISE: "up", CLEAR: "down"}
    return [(int(i), names[int(c)]) for i, c in events[1:3, :count].T], state


@pytest.mark.parametrize(
    ("values", "limits", "events"),
    [
        pytest.param("51x5 49.5 51x6", "50x12", [(11, "up")], id="TV-22"),
        pytest.param("51x6", "50x6", [(5, "up")], id="six hours"),
        pytest.param("50x20", "50x20", [], id="at the limit is not beyond it"),
        pytest.param("51x5 _x9 51", "50x15", [(14, "up")], id="missing freezes, does not reset"),
        pytest.param("51x6 47.9x6", "50x12", [(5, "up"), (11, "down")], id="clears in six hours"),
        pytest.param("51x6 48x20", "50x26", [(5, "up")], id="at the deadband's edge it holds"),
        pytest.param(
            "51x6 47x5 48.5 47x6", "50x18", [(5, "up"), (17, "down")], id="clearing starts anew"
        ),
        pytest.param("51x6 47x5 _x9 47", "50x21", [(5, "up"), (20, "down")], id="frozen clearing"),
        pytest.param("51x6 _x99", "50x105", [(5, "up")], id="no data holds, never clears"),
        pytest.param(
            "51x12",
            "50x6 60x6",
            [(5, "up"), (11, "down")],
            id="season change: the new limit judges",
        ),
        pytest.param("51x12", "50x6 52x6", [(5, "up")], id="season change: within the deadband"),
        pytest.param("51x12", "60x3 50x9", [(8, "up")], id="season change raises after the delay"),
        pytest.param("51x8", "50x6 _x2", [(5, "up"), (6, "down")], id="switched off"),
        pytest.param("51x3 51x3 51x6", "50x3 _x3 50x6", [(11, "up")], id="off resets the count"),
    ],
)
def test_conditions(values: str, limits: str, events: list[tuple[int, str]]):
    assert judge(series(values), series(limits))[0] == events


@pytest.mark.parametrize(
    ("values", "events"),
    [
        pytest.param("11x6", [(5, "up")], id="too cold a return"),
        pytest.param("12x20", [], id="at the limit"),
        pytest.param("11x6 14.1x6", [(5, "up"), (11, "down")], id="clears above the deadband"),
        pytest.param("11x6 14x20", [(5, "up")], id="at its edge it holds"),
    ],
)
def test_cooling_returns_have_lower_limits(values: str, events: list[tuple[int, str]]):
    steps = series(values)
    assert judge(steps, [12.0] * len(steps), lower=True)[0] == events


@pytest.mark.parametrize(
    ("values", "events"),
    [
        pytest.param("101 95x3", [(0, "up"), (3, "down")], id="95 % for three hours, inclusive"),
        pytest.param("101 95.01x9", [(0, "up")], id="above it"),
    ],
)
def test_powers_clear_at_a_share(values: str, events: list[tuple[int, str]]):
    steps = series(values)
    got, _ = judge(steps, [100.0] * len(steps), on=1, off=3, deadband=0, ratio=950)
    assert got == events


numbers = st.one_of(st.none(), st.integers(4500, 5500).map(lambda v: v / 100))
levels = st.one_of(st.none(), st.sampled_from([48.0, 50.0, 52.0]))


@settings(deadline=None)
@given(
    st.lists(st.tuples(numbers, levels), max_size=80),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([0.0, 1.0, 2.0]),
    st.booleans(),
    st.integers(0, 80),
)
def test_kernel_equals_the_naive_twin_and_goes_on_from_any_state(
    steps: list[tuple[float | None, float | None]],
    on: int,
    off: int,
    deadband: float,
    lower: bool,
    cut: int,
):
    values, limits = [v for v, _ in steps], [limit for _, limit in steps]
    how = {"on": on, "off": off, "deadband": deadband, "lower": lower}

    def clears(value: float, level: float) -> bool:
        gap = Fraction(level) - Fraction(value)
        gap = -gap if lower else gap
        return gap > Fraction(deadband) if deadband else gap >= 0

    expected = naive.raisings(values, lambda i: limits[i], clears, on, off, lower=lower)
    got, state = judge(values, limits, **how)
    ups = [i for i, kind in got if kind == "up"]
    downs: list[int | None] = [i for i, kind in got if kind == "down"]
    assert expected == list(zip(ups, downs + [None] * (len(ups) - len(downs)), strict=True))
    cut = min(cut, len(steps))
    head, between = judge(values[:cut], limits[:cut], **how)
    tail, end = judge(values[cut:], limits[cut:], state=between, first=cut, **how)
    assert got == head + [(i + cut, kind) for i, kind in tail]
    assert end.tolist() == state.tolist()
    with unjitted(conditions):
        plain = judge(values, limits, **how)
    assert (plain[0], plain[1].tolist()) == (got, state.tolist())


def test_marks_keep_the_state_before_their_step():
    value = np.full(10, 51 * 100 * SCALE, np.int64)
    marked = np.zeros((3, STATE_SIZE), np.int64)
    events = np.zeros((5, 10), np.int64)
    count = conditions.judge_steps(
        value, np.ones(10, np.uint8), np.full(10, 5000, np.int64), np.ones(10, np.uint8),
        np.array([0, 5, 10]), np.array([[SCALE, 0, 4, 6, 200, 1000, 0, HOUR_US]] * 2),
        np.array([2, 5, 9]), np.array([0, 1, 3]), np.zeros((2, STATE_SIZE), np.int64),
        marked, events,
    )  # fmt: skip
    assert marked[:, [ACTIVE, RUN]].tolist() == [[0, 2], [0, 0], [1, 0]]
    assert events[:2, :count].tolist() == [[0, 1], [3, 8]]
