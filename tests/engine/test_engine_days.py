"""Metering days, months and means: domain.md's vectors and the real meter."""

import csv
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import days
from engine.days import (
    E8,
    E9,
    ENERGY,
    HOURS,
    HOURS_MEASURED,
    QUALITY,
    VOLUME,
    WEIGHTED_ENERGY,
    WEIGHTED_RETURN,
)
from engine.metering_day import date_of, day_of, day_start_us, month_first
from engine.types import HOUR_US, MISSING, Quality
from tests.engine import naive
from tests.engine.naive import Reading
from tests.engine.plant import unjitted, us
from tests.engine.test_engine_hours import installation, make

OFFSET = HOUR_US


def fold(values: list[list[int]], quality: list[int], *, by_day: bool = False) -> np.ndarray:
    """One day from rows (E, V, E8, E9) an hour; short lists leave the rest of the day empty."""
    cells = np.full((4, 24), MISSING, np.int64)
    cells[:, : len(values)] = np.array(values, np.int64).T
    letters = np.zeros(24, np.uint8)
    letters[: len(quality)] = quality
    out = np.zeros((9, 1), np.int64)
    days.fold_days(cells, letters, np.zeros(1, np.int64), by_day, out)
    return out[:, 0]


def test_tv_1_means_from_e8_and_e9():
    assert days.temp_cc(28_113_000_000, 297_390_000) == 9453
    assert days.temp_cc(11_003_000_000, 297_390_000) == 3700
    assert days.temp_cc(23_750_000_000, 250_000_000) == 9500  # TV-1b
    assert days.temp_cc(11_250_000_000, 250_000_000) == 4500


def test_tv_8_a_metering_day_has_24_hours_when_clocks_change():
    for day, start in (("2026-03-29", "2026-03-28T23:00"), ("2026-10-25", "2026-10-24T23:00")):
        number = day_of(us(start), OFFSET)
        assert date_of(number).isoformat() == day
        assert day_start_us(number, OFFSET) == us(start)
        assert day_start_us(number + 1, OFFSET) - us(start) == 24 * HOUR_US


@pytest.mark.parametrize(("by_day", "weighted"), [(False, 3500), (True, 4125)])
def test_tv_10_three_kinds_of_mean(*, by_day: bool, weighted: int):
    volumes, energies, returns = (200, 100, 100), (10, 2, 1), (30, 50, 55)
    rows = [
        [e * 3_600_000, v * 1000, 0, v * 1000 * t]
        for e, v, t in zip(energies, volumes, returns, strict=True)
    ]
    day = fold(rows, [1, 1, 1], by_day=by_day)
    assert days.weighted_return_cc(int(day[WEIGHTED_RETURN]), int(day[WEIGHTED_ENERGY])) == weighted
    assert days.temp_cc(int(day[E9]), int(day[VOLUME])) == 4125


def test_hours_without_energy_or_flow_do_not_weigh():
    rows = [[3600, 100, 0, 4000], [0, 100, 0, 9000], [3600, 0, 0, 0], [3600, MISSING, 0, MISSING]]
    day = fold(rows, [1, 1, 1, 1])
    assert (day[WEIGHTED_ENERGY], day[WEIGHTED_RETURN]) == (3600, 3600 * 40)
    assert day[ENERGY] == 3 * 3600


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        pytest.param("M" * 24, (24, 24, "M"), id="measured"),
        pytest.param("M" * 23 + "I", (24, 24, "I"), id="one interpolated"),
        pytest.param("C" * 24, (24, 24, "M"), id="corrected by hand counts as measured"),
        pytest.param("MPPM" + "M" * 20, (24, 22, "I"), id="a gap inside: the sum is known"),
        pytest.param("PPMM" + "M" * 20, (24, 22, "P"), id="a gap over the day's start"),
        pytest.param("M" * 22 + "PP", (24, 22, "P"), id="a gap over the day's end"),
        pytest.param("MXXM" + "M" * 20, (24, 22, "X"), id="a rejected reading"),
        pytest.param("M" * 20, (20, 20, "M"), id="a day so far"),
        pytest.param("", (0, 0, "-"), id="nothing"),
    ],
)
def test_quality_of_a_day(quality: str, expected: tuple[int, int, str]):
    numbers = ["-MIPBXC".index(letter) for letter in quality]
    rows = [[3600, 100, 8000, 4000]] * len(quality) or [[MISSING] * 4]
    day = fold(rows, numbers)
    assert (day[HOURS], day[HOURS_MEASURED], "-MIPBXC"[day[QUALITY]]) == expected


hour = st.tuples(
    st.one_of(st.just(MISSING), st.integers(-(10**6), 10**12)),
    st.one_of(st.just(MISSING), st.integers(0, 10**9)),
    st.one_of(st.just(MISSING), st.integers(0, 10**11)),
    st.one_of(st.just(MISSING), st.integers(0, 10**11)),
)


@settings(deadline=None)
@given(
    st.lists(hour, min_size=24, max_size=24),
    st.lists(st.sampled_from([0, 1, 2, 3, 5, 6]), min_size=24, max_size=24),
)
def test_day_equals_the_naive_twin(rows: list[tuple[int, ...]], quality: list[int]):
    rows = [row if q else (MISSING,) * 4 for row, q in zip(rows, quality, strict=True)]
    day = fold([list(row) for row in rows], quality)
    with unjitted(days):
        assert fold([list(row) for row in rows], quality).tolist() == day.tolist()
    valued = [row for row in rows if row[0] != MISSING]
    for r in range(4):
        known = [row[r] for row in valued if row[r] != MISSING]
        assert day[r] == (sum(known) if known else MISSING)
    steps = [(e, v, e9) for e, v, _, e9 in rows if MISSING not in (e, v, e9)]
    assert (day[WEIGHTED_ENERGY], day[WEIGHTED_RETURN]) == naive.weighted_return(steps)


def test_sums_first_then_divide():
    one = fold([[3600, 100, 8000, 3000]], [1])
    other = fold([[7200, 300, 24_000, 15_000]], [3])
    total = days.total(np.stack([one, other], axis=1))
    assert days.temp_cc(int(total[E9]), int(total[VOLUME])) == 4500
    assert total[QUALITY] == Quality.PRELIMINARY
    assert days.total(np.zeros((9, 0), np.int64))[ENERGY] == MISSING


def test_numbers_read_off_a_sum():
    # TV-15's third-year totals, as an example of scale.
    energy_j, volume_ml = 51_627_243 * 3600, 1_286_315_300
    e8_mlc, e9_mlc = 87_912_340_000, 42_447_050_000
    assert days.coefficient_kwh_m3k(energy_j, e8_mlc, e9_mlc) == pytest.approx(1.13553, abs=5e-6)
    assert days.specific_flow_m3_mwh(energy_j, volume_ml) == pytest.approx(24.915, abs=5e-4)
    assert days.power_w_mean(88_127 * 3600, 24) == pytest.approx(3672.0, abs=0.05)
    assert days.coefficient_kwh_m3k(1, 5, 5) is None
    assert days.specific_flow_m3_mwh(0, 5) is None
    assert days.temp_cc(5, 0) is None


# The real meter -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_days(shared: Path) -> tuple[int, np.ndarray]:
    """Day number of the first column, and days of meter 660 floored to 1 Wh, 1 ml, 1 ml·°C."""
    readings = []
    with (shared / "data" / "meter660_hourly.csv").open() as file:
        for row in csv.DictReader(file):
            floors = [
                int(Fraction(row["energy_heat_kwh"]) * 1000) * 3600,
                int(Fraction(row["volume_flow_m3"]) * 10**6),
                int(Fraction(row["inlet_flow_energy_m3xC"]) * 10**6),
                int(Fraction(row["back_flow_energy_m3xC"]) * 10**6),
            ]
            readings.append(Reading(us(row["time_rounded"].rstrip("Z")), floors))
    count = len(readings) - 1
    made, found = make([(installation(), readings)], readings[0].at, count)
    assert not found
    assert (made.quality == Quality.MEASURED).all()
    for r in range(4):
        assert made.values[r].sum() == readings[-1].registers[r] - readings[0].registers[r]
    out = np.zeros((9, count // 24), np.int64)
    days.fold_days(made.values, made.quality, np.arange(count // 24) * 24, False, out)
    return day_of(readings[0].at, OFFSET), out


def test_real_day_2018_01_03(real_days: tuple[int, np.ndarray]):
    first, table = real_days
    assert date_of(first).isoformat() == "2018-01-03"
    day = table[:, 0].tolist()
    assert day[ENERGY] / 3.6e6 == pytest.approx(88.127, abs=0.001)
    assert days.power_w_mean(day[ENERGY], 24) / 1000 == pytest.approx(3.6720, abs=5e-5)
    assert day[VOLUME] / 1e6 == pytest.approx(1.864, abs=0.0005)
    assert days.temp_cc(day[E9], day[VOLUME]) == pytest.approx(3219, abs=1)


def test_real_month_2019_01(real_days: tuple[int, np.ndarray]):
    first, table = real_days
    start = day_of(us("2018-12-31T23:00"), OFFSET)
    end = month_first(start + 31)
    month = days.total(table[:, start - first : end - first]).tolist()
    assert month[HOURS] == 744
    assert month[ENERGY] / 3.6e6 == pytest.approx(2794.4, abs=0.05)
    assert days.temp_cc(month[E9], month[VOLUME]) == 3359
    assert days.weighted_return_cc(month[WEIGHTED_RETURN], month[WEIGHTED_ENERGY]) == 3353


def test_real_total(real_days: tuple[int, np.ndarray]):
    total = days.total(real_days[1]).tolist()
    assert total[ENERGY] / 3.6e6 == pytest.approx(35_115.620, abs=0.001)
    k = days.coefficient_kwh_m3k(total[ENERGY], total[E8], total[E9])
    assert k == pytest.approx(1.13475, abs=5e-6)
    assert days.temp_cc(total[E9], total[VOLUME]) == pytest.approx(3431.5, abs=1)
