"""Registers at hour boundaries: domain.md's vectors, the naive twin, conservation."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import hours, validation
from engine.exact import proportion
from engine.series import Hours, Installation, doubts, gather, make_hours
from engine.types import HOUR_US, MISSING, EngineRules, Finding
from tests.engine import naive
from tests.engine.naive import Limits, Reading
from tests.engine.plant import unjitted, us

RULES = EngineRules()
WH = 3600
KWH = 3_600_000
DAY = "2024-01-10T"
LETTERS = {1: "M", 2: "I", 3: "P", 5: "X"}


def installation(**changes: int) -> Installation:
    base = Installation(
        facility_id=1, commodity=1, meter_id=1, cooling_register=False, sign=1,
        installed_us=MISSING, removed_us=MISSING, energy_step_j=0, volume_step_ml=0,
        energy_modulus_j=0, volume_modulus_ml=0, qs_l_h=0,
    )  # fmt: skip
    return base._replace(**changes)


def make(
    meters: Sequence[tuple[Installation, Sequence[Reading]]],
    start: str | int,
    count: int,
    rules: EngineRules = RULES,
) -> tuple[Hours, list[Finding]]:
    """Hours of one facility from `start` on, and the findings."""
    rows = sorted(
        (one.meter_id, r.at, *r.registers, r.supply_cc, r.return_cc)
        for one, readings in meters
        for r in readings
    )
    table = [[MISSING if cell is None else cell for cell in row] for row in rows]
    columns = list(np.array(table, np.int64).reshape(-1, 8).T)
    energies = (columns[2], columns[2])
    series = gather(
        [one for one, _ in meters], columns[0], columns[1], energies, columns[3:], rules
    )
    first = np.array([us(start) if isinstance(start, str) else start])
    made, verdict = make_hours(series, first, first + count * HOUR_US, rules)
    _, found = doubts(series, verdict, first, first + (count + 1) * HOUR_US)
    return made, [one.kind for one in found]


def single(
    readings: Sequence[Reading], start: str, count: int, **changes: int
) -> list[tuple[int | None, str]]:
    """Energy [J] and letter of each hour of one meter."""
    return letters(make([(installation(**changes), readings)], start, count)[0])


def letters(made: Hours) -> list[tuple[int | None, str]]:
    return [
        (None if energy == MISSING or not q else energy, LETTERS.get(q, "-"))
        for energy, q in zip(made.values[0].tolist(), made.quality.tolist(), strict=True)
    ]


def kwh(time: str, energy: float, volume: int | None = None) -> Reading:
    return Reading(us(DAY + time), [round(energy * KWH), volume, None, None])


def test_tv_4_rollover_counts_on():
    readings = [kwh("10:00", 9_999_990), kwh("11:00", 12)]
    assert single(readings, DAY + "10:00", 1, energy_modulus_j=10**7 * KWH) == [(22 * KWH, "M")]


@pytest.mark.parametrize(
    ("old", "new", "qs_l_h"),
    [
        pytest.param(5_000_000, 12, 0, id="not near the register's end"),
        pytest.param(9_999_990, 2_000_000, 0, id="further than a tenth of the register"),
        pytest.param(9_999_990, 5_000, 3_000, id="more than the greatest flow explains"),
    ],
)
def test_no_rollover(old: int, new: int, qs_l_h: int):
    readings = [kwh("10:00", old), kwh("11:00", new)]
    changes = {"energy_modulus_j": 10**7 * KWH, "qs_l_h": qs_l_h}
    made, found = make([(installation(**changes), readings)], DAY + "10:00", 1)
    assert letters(made) == [(None, "-")]
    assert found == [Finding.NEGATIVE_STEP]


def test_tv_5_registered_exchange():
    """The old meter's last 2.0 kWh and the new one's first 3.0; nothing for the time between."""
    old = installation(meter_id=1, removed_us=us(DAY + "10:25"))
    new = installation(meter_id=2, installed_us=us(DAY + "10:40"))
    made, found = make(
        [
            (old, [kwh("09:00", 84_500), kwh("10:00", 84_510), kwh("10:25", 84_512)]),
            (new, [kwh("10:40", 3), kwh("11:00", 6), kwh("12:00", 11)]),
        ],
        DAY + "09:00",
        4,
    )
    assert letters(made) == [(10 * KWH, "M"), (5 * KWH, "I"), (5 * KWH, "M"), (None, "-")]
    assert not found


def test_tv_6_interpolates_on_the_register():
    readings = [kwh("09:52", 1000.0), kwh("10:07", 1003.0), kwh("11:00", 1009.2)]
    assert single(readings, DAY + "09:00", 3) == [
        (None, "-"),
        (round(7.6 * KWH), "I"),
        (None, "-"),
    ]


def test_tv_7_spreads_a_known_total_by_weights():
    out = np.zeros(4, np.int64)
    hours.distribute(22_000, np.array([4, 5, 6, 5]), out)
    assert out.tolist() == [4400, 5500, 6600, 5500]


@given(st.integers(0, 10**13), st.lists(st.integers(0, 10**6), min_size=1, max_size=50))
def test_spreading_loses_nothing(total: int, weights: list[int]):
    out = np.zeros(len(weights), np.int64)
    hours.distribute(total, np.array(weights), out)
    assert out.sum() == total
    assert (out >= 0).all()


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        pytest.param("10:00:30 11:00:00", "M", id="30 s late is exact"),
        pytest.param("09:59:30 11:00:00", "M", id="30 s early is exact"),
        pytest.param("10:00:31 11:00:00", "-", id="31 s late does not reach the boundary"),
        pytest.param("09:59:29 11:00:00", "I", id="31 s early is interpolated"),
        pytest.param("09:45:00 11:15:00", "I", id="90 min is interpolated"),
        pytest.param("09:45:00 11:15:01", "P", id="longer is preliminary"),
        pytest.param("10:00:00 10:59:30", "M", id="complete half a minute before its end"),
        pytest.param("10:00:00 10:59:29", "-", id="not complete before that"),
    ],
)
def test_boundaries(times: str, expected: str):
    readings = [kwh(time, float(k)) for k, time in enumerate(times.split())]
    assert single(readings, DAY + "10:00", 1)[0][1] == expected


def test_of_two_exact_readings_the_nearer_counts():
    readings = [kwh("09:00", 1), kwh("09:59:40", 5), kwh("10:00:10", 7), kwh("11:00", 9)]
    assert single(readings, DAY + "09:00", 2) == [(6 * KWH, "M"), (2 * KWH, "M")]


def test_a_long_gap_is_spread_evenly():
    readings = [kwh("08:00", 100), kwh("12:00", 110)]
    assert single(readings, DAY + "08:00", 4) == [(round(2.5 * KWH), "P")] * 4


def test_gaps_over_the_longest_give_no_hours():
    readings = [
        Reading(us("2024-01-01T00:00"), [0, 0, 0, 0]),
        Reading(us("2024-01-01T01:00"), [WH, 0, 0, 0]),
        Reading(us("2024-03-03T02:00"), [9 * WH, 0, 0, 0]),
        Reading(us("2024-03-03T03:00"), [10 * WH, 0, 0, 0]),
    ]
    made = single(readings, "2024-01-01T00:00", 24 * 63)
    assert {k: cell for k, cell in enumerate(made) if cell[1] != "-"} == {
        0: (WH, "M"),
        24 * 62 + 2: (WH, "M"),
    }


def test_a_step_back_is_rejected_and_its_hours_take_the_line():
    readings = [kwh("09:00", 100), kwh("10:00", 50), kwh("11:00", 104), kwh("12:00", 105)]
    made, found = make([(installation(), readings)], DAY + "09:00", 3)
    assert letters(made) == [(2 * KWH, "X"), (2 * KWH, "X"), (KWH, "M")]
    assert found == [Finding.NEGATIVE_STEP]


def test_a_step_back_inside_an_hour_leaves_the_hour():
    readings = [kwh("09:00", 100), kwh("09:20", 50), kwh("09:40", 103), kwh("10:00", 104)]
    made, found = make([(installation(), readings)], DAY + "09:00", 1)
    assert letters(made) == [(4 * KWH, "M")]
    assert found == [Finding.NEGATIVE_STEP]


def test_two_readings_at_a_new_level_are_an_exchange():
    readings = [kwh("09:00", 100), kwh("10:00", 104), kwh("11:00", 2), kwh("12:00", 5)]
    made, found = make([(installation(), readings)], DAY + "09:00", 3)
    assert letters(made) == [(4 * KWH, "M"), (None, "X"), (3 * KWH, "M")]
    assert found == [Finding.NEGATIVE_STEP, Finding.EXCHANGE_SUSPECTED]


def test_an_exchange_within_an_hour_breaks_the_hours_it_touches():
    readings = [kwh("09:00", 100), kwh("10:20", 104), kwh("11:10", 2), kwh("12:00", 5)]
    assert single(readings, DAY + "09:00", 3) == [(3 * KWH, "I"), (None, "X"), (None, "X")]


def test_more_than_the_greatest_flow_is_rejected():
    # qs 1000 l/h at 125 K: 145.5 kWh an hour at the most.
    readings = [kwh("09:00", 100), kwh("10:00", 300), kwh("11:00", 102)]
    made, found = make([(installation(qs_l_h=1000), readings)], DAY + "09:00", 2)
    assert letters(made) == [(KWH, "X"), (KWH, "X")]
    assert found == [Finding.STEP_TOO_LARGE]


def test_the_last_reading_stepping_back_is_doubted_at_once():
    readings = [kwh("09:00", 100), kwh("10:00", 104), kwh("11:00", 2)]
    made, found = make([(installation(), readings)], DAY + "09:00", 2)
    assert letters(made) == [(4 * KWH, "M"), (None, "-")]
    assert found == [Finding.NEGATIVE_STEP]


def test_without_e8_and_e9_the_snapshots_stand_in():
    readings = [
        Reading(us(DAY + "09:00"), [0, 0, None, None], 8000, 4000),
        Reading(us(DAY + "10:00"), [KWH, 100_000, None, None], 9000, 4200),
    ]
    made, _ = make([(installation(), readings)], DAY + "09:00", 1)
    assert made.values[:, 0].tolist() == [KWH, 100_000, 8_500_000, 4_100_000]


def test_meters_of_one_facility_add_up_with_their_signs():
    readings = [kwh("09:00", 0, 0), kwh("10:00", 10, 1000)]
    inner = [kwh("09:00", 0, 0), kwh("10:00", 4, 300)]
    made, _ = make(
        [(installation(), readings), (installation(meter_id=2, sign=-1), inner)], DAY + "09:00", 1
    )
    assert made.values[:2, 0].tolist() == [6 * KWH, 700]


def test_an_hour_waits_for_every_meter():
    made, _ = make(
        [
            (installation(), [kwh("09:00", 0), kwh("10:00", 1)]),
            (installation(meter_id=2), [kwh("09:00", 0)]),
        ],
        DAY + "09:00",
        1,
    )
    assert letters(made) == [(None, "-")]


# Irregular streams ------------------------------------------------------------------------------

T0 = us("2024-01-10T00:00")
SHORT = EngineRules(gap_max_us=12 * HOUR_US)  # so that streams with such gaps stay small


@st.composite
def streams(draw: st.DrawFn, *, faults: bool) -> list[Reading]:
    """Readings of some hours: odd gaps, lumps, missing registers; with `faults`, wrong levels."""
    at, registers = T0 - draw(st.integers(0, HOUR_US)), [draw(st.integers(0, 10**9))] * 4
    out = []
    for _ in range(draw(st.integers(1, 25))):
        row: list[int | None] = list(registers)
        if faults and draw(st.integers(0, 5)) == 0:
            row[0] = draw(st.integers(0, 2 * 10**9))
        for r in range(1, 4):
            if draw(st.integers(0, 7)) == 0:
                row[r] = None
        temps = draw(st.tuples(*[st.one_of(st.none(), st.integers(-500, 13_000))] * 2))
        out.append(Reading(at, row, *temps))
        at += draw(
            st.one_of(
                st.integers(1, 3 * HOUR_US),
                st.sampled_from([60_000_000, 300_000_000, HOUR_US, 3 * HOUR_US, 13 * HOUR_US]),
            )
        )
        if draw(st.booleans()):  # onto, or just beside, a whole hour
            at = at // HOUR_US * HOUR_US + draw(st.integers(-40, 40)) * 1_000_000
        at = max(at, out[-1].at + 1)
        registers = [value + draw(st.integers(0, 10**8)) for value in registers]
    return out


@given(streams(faults=True), st.sampled_from([0, 400]), st.sampled_from([0, 2 * 10**9]))
def test_kernel_equals_the_naive_twin(readings: list[Reading], qs_l_h: int, modulus: int):
    limits = Limits(
        cap=(int(qs_l_h * 1000 * 4.19 * 125) or None, qs_l_h * 1000 or None),
        modulus=(modulus or None, None),
    )
    expected = naive.hours(readings, limits, gap_max=SHORT.gap_max_us)
    first = (readings[0].at - HOUR_US) // HOUR_US * HOUR_US
    count = (readings[-1].at - first) // HOUR_US + 2
    one = installation(qs_l_h=qs_l_h, energy_modulus_j=modulus)
    made, found = make([(one, readings)], first, count, SHORT)
    got = {
        first + k * HOUR_US: (
            [None if v == MISSING else v for v in made.values[:, k].tolist()],
            LETTERS[int(made.quality[k])],
        )
        for k in np.flatnonzero(made.quality).tolist()
    }
    assert got == {at: (hour.values, hour.quality) for at, hour in expected.items()}
    verdict = naive.verdicts(readings, limits, SHORT.gap_max_us)
    assert len(found) == sum(len(one & {"negative", "too large", "exchanged"}) for one in verdict)


@given(streams(faults=False))
def test_hours_add_up_to_the_register(readings: list[Reading]):
    at = [r.at for r in readings]
    energy = [r.registers[0] for r in readings]
    first = (at[0] - HOUR_US) // HOUR_US * HOUR_US
    made, found = make([(installation(), readings)], first, (at[-1] - first) // HOUR_US + 2)
    assert not found
    some = np.flatnonzero(made.quality)
    if some.size:
        assert np.diff(some).max(initial=1) == 1

        def register(h: int) -> int:
            near = min(range(len(at)), key=lambda k: (abs(at[k] - h), k))
            if abs(at[near] - h) <= RULES.exact_us:
                return energy[near]
            k = max(k for k in range(len(at)) if at[k] < h)
            return energy[k] + proportion(energy[k + 1] - energy[k], h - at[k], at[k + 1] - at[k])

        ends = [first + int(some[0]) * HOUR_US, first + (int(some[-1]) + 1) * HOUR_US]
        assert made.values[0, some].sum() == register(ends[1]) - register(ends[0])


@settings(deadline=None, max_examples=30)
@given(streams(faults=True))
def test_unjitted_gives_the_same(readings: list[Reading]):
    meter = installation(qs_l_h=400, energy_modulus_j=10**9)
    compiled, _ = make([(meter, readings)], "2024-01-09T22:00", 24)
    with unjitted(validation, hours):
        plain, _ = make([(meter, readings)], "2024-01-09T22:00", 24)
    assert plain.quality.tolist() == compiled.quality.tolist()
    some = compiled.quality != 0
    assert plain.values[:, some].tolist() == compiled.values[:, some].tolist()


@given(st.integers(0, 2**62), st.integers(0, 10**14), st.integers(1, 10**14))
def test_proportion_is_exact(amount: int, part: int, whole: int):
    part = min(part, whole)
    expected = (2 * amount * part + whole) // (2 * whole)
    assert proportion(amount, part, whole) == expected
    assert proportion.py_func(amount, part, whole) == expected
