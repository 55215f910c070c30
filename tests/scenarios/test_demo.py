"""`fjarrvakt demo --once`: the product without a person, from history through one more day."""

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from simulators.fleet import build_fleet
from simulators.history import planted

pytestmark = [pytest.mark.db, pytest.mark.concurrent]

KINDS = {"return_temperature", "daily_power", "hourly_power", "energy_weighted_return"}


def once(seed: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "fjarrvakt", "demo", "--once", "--json", "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.timeout(900)
def test_two_seeds():
    seconds = {}
    summaries = {}
    for seed in (1, 2):
        begin = time.monotonic()
        summaries[seed] = once(seed)
        seconds[seed] = time.monotonic() - begin
    for seed, found in summaries.items():
        plants = planted(build_fleet(seed, time.time_ns() // 1000))
        telegrams = found["telegrams"]
        outcomes = {name: count for name, count in telegrams.items() if name != "received"}
        assert telegrams["received"] == sum(outcomes.values()) >= 40 * 17_520
        assert outcomes["quarantined"] == plants.garbage
        assert outcomes["waiting"] == plants.stranger
        assert outcomes["duplicate"] >= plants.copies
        assert found["conservation_error_j"] == 0
        assert set(found["alarms"]) == KINDS
        for kind, seasons in found["alarms"].items():
            for season, counts in seasons.items():
                assert counts["raised"] >= 1, (kind, season)
                assert counts["cleared"] >= 1, (kind, season)
        assert found["mails"] >= 1
        assert found["notices"] > found["mails"], "old alarms give notices, no mail"
        assert len(found["yearly_kwh"]) == 3
        for years in found["yearly_kwh"].values():
            for year in years.values():
                assert year["stored"] == pytest.approx(year["simulated"], abs=1e-6)
        assert found["seconds"] <= seconds[seed]
    assert summaries[1]["yearly_kwh"] != summaries[2]["yearly_kwh"]
