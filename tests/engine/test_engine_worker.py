"""The worker on a real database: batching, order, late readings, alarms judged again."""

from datetime import date

import numpy as np
import psycopg
import pytest

from engine import worker
from engine.types import EngineRules
from store import engine as store
from tests.engine.plant import (
    HOUR_US,
    RULES,
    add_facility,
    add_meter,
    add_rule,
    alarms_of,
    days_of,
    deliver,
    hourly_us,
    hours_of,
    settle,
    steady,
    us,
)

pytestmark = pytest.mark.db


def test_hours_and_days_of_a_steady_week(conn: psycopg.Connection):
    facility = add_facility(conn)
    meter = add_meter(conn, facility)
    at = hourly_us("2024-01-09T23:00", 7 * 24)
    registers = steady(7 * 24, energy_j=36_000_000, volume_ml=200_000, supply_c=80, return_c=[40])
    deliver(conn, facility, meter, at, registers)
    turns = settle(conn)
    assert [turn.hours for turn in turns] == [168]
    hours = hours_of(conn, facility)
    assert len(hours) == 168
    assert set(hours[5][1:]) >= {36_000_000, 200_000, 16_000_000, 8_000_000, 1}
    days = days_of(conn, facility)
    assert [day[0] for day in days] == [date(2024, 1, d) for d in range(10, 17)]
    assert days[0][1:] == (
        864_000_000, 4_800_000, 384_000_000, 192_000_000, 864_000_000, 864_000_000 * 40,
        24, 24, None, 1,
    )  # fmt: skip
