"""What a bad network sends is kept with its reason where people look, and stops nothing."""

import time

import httpx
import numpy as np
import orjson
import pytest
from prometheus_client import REGISTRY

from adapters import identity
from adapters.mbus import encode
from simulators.gateway import Publication
from tests.scenarios.conftest import Get, Installation

pytestmark = pytest.mark.db

METER, STRANGER = "FJV-00000001-01-04", "FJV-00000002-01-04"
UP = "gw/north/up/telegram"
HOUR_S = 3600


def frame(meter: str, energy_kwh: int, access: int) -> bytes:
    return encode.telegram(
        identity.parse(meter), [encode.integer("0406", energy_kwh, 4)], access=access
    )


def stamped(telegram: bytes, at_s: float) -> bytes:
    time_text = str(np.datetime64(round(at_s), "s")) + "Z"
    return orjson.dumps({"time": time_text, "telegram": telegram.hex()})


def counted(outcome: str, reason: str) -> float:
    labels = {"protocol": "mqtt", "outcome": outcome, "reason": reason}
    return REGISTRY.get_sample_value("fjarrvakt_telegrams_total", labels) or 0.0


def test_bad_input_is_kept_counted_and_harmless(
    installation: Installation, get: Get, api: httpx.Client
):
    facility = installation.facility("North")
    meter = installation.meter(facility, METER)
    now_s = time.time() // HOUR_S * HOUR_S
    sound = frame(METER, 100, 1)
    broken = sound[:-2] + bytes((sound[-2] ^ 1, 0x16))
    # 100, 101, then a reading that steps back, then on as if it had not been.
    course = [(100, 1), (101, 2), (7, 3), (103, 4), (104, 5)]
    good = [
        Publication(UP, stamped(frame(METER, kwh, access), now_s + (access - 6) * HOUR_S))
        for kwh, access in course
    ]
    bad = {
        "frame": Publication(UP, b"\x00\xffnonsense"),
        "checksum": Publication(UP, stamped(broken, now_s)),
        "future": Publication(UP, stamped(frame(METER, 105, 9), now_s + 30 * 86400)),
        "json": Publication("gw/north/up/reading", b'{"meter": 5'),
        "topic": Publication("gw/north/up/elsewhere", b"?"),
    }
    strange = Publication(UP, stamped(frame(STRANGER, 1, 1), now_s))
    before = {reason: counted("quarantined", reason) for reason in bad}
    installation.settle(installation.publish([*bad.values(), strange, *good]))

    held = get("/telegrams", outcome="quarantined")["telegrams"]
    assert {one["reason"] for one in held} == set(bad)
    for one in held:
        assert one["detail"], one
        assert one["source"] == "mqtt:main"
        sent = bad[one["reason"]]
        assert (one["address"], bytes.fromhex(one["payload_hex"])) == (sent.topic, sent.payload)
        assert counted("quarantined", one["reason"]) == before[one["reason"]] + 1
    assert [one["meter"] for one in get("/meters/unclaimed")["meters"]] == [STRANGER]

    # The reading that steps back is stored, doubted, and no energy is lost or made by it.
    stored = get(f"/facilities/{facility}/meters/{meter}/readings")
    assert stored["registers"]["energy_kwh"] == [100, 101, 7, 103, 104]
    assert [one["kind"] for one in get("/findings")["findings"]] == ["NEGATIVE_STEP"]
    hours = get(f"/facilities/{facility}/hours", commodity="heat")
    made = [kwh for kwh in hours["series"]["energy_kwh"] if kwh is not None]
    assert made == [1, 1, 1, 1]
    assert [letter for letter in hours["quality"] if letter] == ["M", "X", "X", "M"]

    # The stranger gets an owner, and what waited becomes a reading.
    other = installation.facility("South")
    claimed = installation.meter(other, STRANGER)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = api.get(f"/api/v1/facilities/{other}/meters/{claimed}/readings").json()
        if found["t"]:
            break
        time.sleep(0.1)
    assert found["registers"]["energy_kwh"] == [1]
    assert get("/meters/unclaimed")["meters"] == []
