"""What alarms judge: guards, the quantisation window, month to date."""

from datetime import date

import numpy as np
import pytest

from engine import quantities
from engine.alarms import _months
from engine.metering_day import day_of
from engine.types import HOUR_US, MISSING, Quality
from tests.engine.plant import us

KWH = 3_600_000


def hours(
    energy_kwh: list[float], volume_l: list[int], return_c: float, step: tuple[int, int] = (0, 0)
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = len(energy_kwh)
    values = np.zeros((4, n), np.int64)
    values[0] = [round(one * KWH) for one in energy_kwh]
    values[1] = np.array(volume_l) * 1000
    values[3] = values[1] * return_c
    return values, np.ones(n, np.uint8), np.tile(np.array(step, np.int64)[:, None], (1, n))


@pytest.mark.parametrize(
    ("quality", "volume_ml", "step_ml", "valid"),
    [
        pytest.param(Quality.MEASURED, 100_000, 10_000, True, id="ten counts"),
        pytest.param(Quality.MEASURED, 99_999, 10_000, False, id="less than ten counts"),
        pytest.param(Quality.MEASURED, 1, 0, True, id="unknown step"),
        pytest.param(Quality.MEASURED, 0, 0, False, id="no flow"),
        pytest.param(Quality.INTERPOLATED, 100_000, 10_000, True, id="interpolated"),
        pytest.param(Quality.CORRECTED, 100_000, 10_000, True, id="corrected"),
        pytest.param(Quality.PRELIMINARY, 100_000, 10_000, False, id="preliminary"),
        pytest.param(Quality.REJECTED, 100_000, 10_000, False, id="rejected"),
        pytest.param(0, 100_000, 10_000, False, id="no hour"),
        pytest.param(Quality.MEASURED, MISSING, 0, False, id="no volume"),
    ],
)
def test_return_guard(quality: int, volume_ml: int, step_ml: int, *, valid: bool):
    values, letters, steps = hours([1.0], [1], 42.0, (0, step_ml))
    values[1] = volume_ml
    values[3] = 42 * volume_ml if volume_ml != MISSING else MISSING
    letters[0] = quality
    value, window = np.zeros(1, np.int64), np.zeros(1, np.uint8)
    quantities.hourly_return(values, letters, steps, 0, value, window)
    assert (bool(window[0]), value[0]) == (valid, 42_000_000 if valid else MISSING)


@pytest.mark.parametrize(
    ("step_kwh", "limit_kw", "window_h"),
    [
        pytest.param(0, 5, 1, id="step not known"),
        pytest.param(1, 10, 1, id="1 kWh against 10 kW"),
        pytest.param(1, 9.999, 2, id="1 kWh against a little less"),
        pytest.param(10, 20, 6, id="5 hours are not a window"),
        pytest.param(10, 5, 24, id="20 hours are not a window"),
        pytest.param(10, 4, 0, id="too coarse for a day"),
    ],
)
def test_quantisation_window(step_kwh: int, limit_kw: float, window_h: int):
    values, letters, steps = hours([1.0] * 24, [1] * 24, 40, (step_kwh * KWH, 0))
    value, window = np.zeros(1, np.int64), np.zeros(1, np.uint8)
    limit = np.array([round(limit_kw * 1000)])
    quantities.hourly_power(values, letters, steps, 23, limit, value, window)
    assert window[0] == window_h
    assert value[0] == (1_000_000 if window_h else MISSING)


def test_a_window_needs_all_its_hours():
    values, letters, steps = hours([0, 10, 0, 10, 10, 10], [1] * 6, 40, (10 * KWH, 0))
    letters[2] = Quality.PRELIMINARY
    value, window = np.zeros(6, np.int64), np.zeros(6, np.uint8)
    limit = np.full(6, 50_000)
    quantities.hourly_power(values, letters, steps, 0, limit, value, window)
    assert window.tolist() == [0, 2, 0, 0, 2, 2]
    assert value[[1, 4, 5]].tolist() == [5_000_000, 10_000_000, 10_000_000]


def test_only_whole_measured_days_have_a_power():
    days = np.zeros((9, 3), np.int64)
    days[0] = 24 * KWH
    days[6] = 24
    days[7] = [24, 23, 24]
    days[0, 2] = MISSING
    value, window = np.zeros(3, np.int64), np.zeros(3, np.uint8)
    quantities.daily_power(days, 0, value, window)
    assert value.tolist() == [1_000_000, MISSING, MISSING]
    assert window.tolist() == [24, 0, 0]


def month_to_date(first: str, energy: dict[str, int], returns: dict[str, int]) -> dict[str, int]:
    """Judged values [0.01 °C] by date, from whole days with energies [kWh] and returns [°C]."""
    dates = sorted(energy)
    start = date.fromisoformat(dates[0])
    n = (date.fromisoformat(dates[-1]) - start).days + 1
    days = np.zeros((9, n), np.int64)
    days[:4] = MISSING
    for day in dates:
        k = (date.fromisoformat(day) - start).days
        energy_j = energy[day] * KWH
        days[0, k] = days[4, k] = energy_j
        days[5, k] = energy_j * returns.get(day, 40)
        days[6, k] = days[7, k] = 24
    begin = (date.fromisoformat(first) - start).days
    value, window = np.zeros(n - begin, np.int64), np.zeros(n - begin, np.uint8)
    months = _months(day_of(us(dates[0]), HOUR_US), n)
    quantities.weighted_return(days, months, begin, value, window)
    return {
        str(date.fromordinal(start.toordinal() + begin + k)): int(value[k]) // 10_000
        for k in np.flatnonzero(window).tolist()
    }


def dates(first: str, count: int) -> list[str]:
    start = date.fromisoformat(first).toordinal()
    return [str(date.fromordinal(start + k)) for k in range(count)]


def test_month_to_date_waits_for_three_days_and_begins_anew():
    energy = dict.fromkeys(dates("2024-01-30", 6), 10)
    returns = {"2024-01-30": 90, "2024-02-01": 30, "2024-02-02": 30, "2024-02-03": 60}
    got = month_to_date("2024-01-30", energy, returns)
    assert got == {"2024-02-03": 4000, "2024-02-04": 4000}


def test_month_to_date_judged_from_its_middle_knows_its_beginning():
    energy = dict.fromkeys(dates("2024-02-01", 5), 10)
    got = month_to_date("2024-02-05", energy, {"2024-02-01": 90})
    assert got == {"2024-02-05": 5000}


def test_month_to_date_waits_for_five_percent_of_a_normal_month():
    energy = dict.fromkeys(dates("2023-02-01", 28), 100) | dict.fromkeys(dates("2024-02-01", 6), 30)
    # 5 % of 2 800 kWh is 140 kWh: on the fifth day 150.
    assert list(month_to_date("2024-02-01", energy, {})) == ["2024-02-05", "2024-02-06"]


def test_a_thin_month_of_last_year_is_no_norm():
    energy = dict.fromkeys(dates("2023-02-01", 25), 100) | dict.fromkeys(dates("2024-02-01", 4), 1)
    assert list(month_to_date("2024-02-01", energy, {})) == ["2024-02-03", "2024-02-04"]
