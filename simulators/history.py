"""What the fleet's gateways publish, in time order: years at once, then quarters of an hour."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np
import orjson

from adapters import identity
from adapters.mbus import encode
from simulators.building import I64
from simulators.fleet import STATION, Course, Fleet
from simulators.gateway import Publication
from simulators.telegrams import LIVE_STEP_US, telegrams
from simulators.weather import HOUR_US

WEATHER_TOPIC: Final = "gw/weather-01/up/weather"
_CHUNK: Final = 7 * 24  # moments handed over at a time
_COPY_DELAY_US: Final = 4_000_000
_COPY_EVERY_H: Final = 7 * 24
_GARBAGE_EVERY_H: Final = 45 * 24
_GARBAGE_KINDS: Final = 5
_STRANGER_EVERY_H: Final = 24
_STRANGER_SINCE_H: Final = 30 * 24  # of these last hours before live time
_STRANGER: Final = identity.parse("FJV-79999991-01-04")


class Planted(NamedTuple):
    """Messages of the past that must not become readings.

    Garbage goes to quarantine, a stranger's telegrams wait, copies by a second gateway are known.
    """

    garbage: int
    stranger: int
    copies: int


def history(fleet: Fleet, since_us: int, until_us: int) -> Iterator[list[Publication]]:
    """All that was published from `since_us` until before `until_us`, a week of the past at a time.

    Every meter's telegrams through its gateway, the weather, and what was planted.
    """
    for at_us in _moments(fleet, since_us, until_us):
        yield _publications(fleet, fleet.courses, at_us)


def live_publications(fleet: Fleet, since_us: int, until_us: int) -> list[Publication]:
    """What gateways publish from `since_us` until before `until_us`, without polled meters."""
    pushed = tuple(course for course in fleet.courses if course.meter.live == "mqtt")
    return [
        publication
        for at_us in _moments(fleet, since_us, until_us)
        for publication in _publications(fleet, pushed, at_us)
    ]


def planted(fleet: Fleet) -> Planted:
    """How many messages of each kind a full history holds."""
    hours = range((fleet.live_us - fleet.start_us) // HOUR_US)
    return Planted(
        garbage=sum(hour % _GARBAGE_EVERY_H == _GARBAGE_EVERY_H - 1 for hour in hours)
        * _GARBAGE_KINDS,
        stranger=sum(_stranger_speaks(fleet, hour) for hour in hours),
        copies=sum(hour % _COPY_EVERY_H == _COPY_EVERY_H - 1 for hour in hours)
        * sum(len(course.meter.gateways) > 1 for course in fleet.courses),
    )


def _moments(fleet: Fleet, since_us: int, until_us: int) -> Iterator[I64]:
    """Times of sending in [since, until) in chunks: whole hours up to live time, then quarters."""
    for begin_us, end_us, step_us in (
        (max(since_us, fleet.start_us), min(until_us, fleet.live_us), HOUR_US),
        (max(since_us, fleet.live_us), min(until_us, fleet.end_us), LIVE_STEP_US),
    ):
        first_us = -(-begin_us // step_us) * step_us
        at_us = np.arange(first_us, max(end_us, first_us), step_us, dtype=np.int64)
        yield from (at_us[start : start + _CHUNK] for start in range(0, at_us.size, _CHUNK))


def _publications(fleet: Fleet, courses: tuple[Course, ...], at_us: I64) -> list[Publication]:
    frames = [telegrams(fleet, course, at_us) for course in courses]
    topics = [f"gw/{course.meter.gateways[0]}/up/telegram" for course in courses]
    hours = ((at_us - fleet.start_us) // HOUR_US).tolist()
    whole = (at_us % HOUR_US == 0).tolist()
    out: list[Publication] = []
    for index, moment_us in enumerate(at_us.tolist()):
        hour, stamp = hours[index], _stamp(moment_us)
        if whole[index]:
            out.append(_weather(fleet, hour, stamp))
        head = f'{{"time":"{stamp}","telegram":"'
        out.extend(
            Publication(topic, f'{head}{sent[index].hex().upper()}"}}'.encode())
            for topic, sent in zip(topics, frames, strict=True)
        )
        if moment_us < fleet.live_us:
            out.extend(_plants(fleet, courses, [sent[index] for sent in frames], hour, moment_us))
    return out


def _plants(
    fleet: Fleet, courses: tuple[Course, ...], frames: list[bytes], hour: int, at_us: int
) -> Iterator[Publication]:
    """What goes wrong on a real network, at times that every fleet knows."""
    if hour % _COPY_EVERY_H == _COPY_EVERY_H - 1:
        stamp = _stamp(at_us + _COPY_DELAY_US)
        for course, frame in zip(courses, frames, strict=True):
            for gateway in course.meter.gateways[1:]:
                yield Publication(f"gw/{gateway}/up/telegram", _envelope(stamp, frame))
    if hour % _GARBAGE_EVERY_H == _GARBAGE_EVERY_H - 1:
        yield from _garbage(courses[0], frames[0], _stamp(at_us))
    if _stranger_speaks(fleet, hour):
        record = encode.integer("0406", 40_000 + hour, 4)
        frame = encode.telegram(_STRANGER, [record], access=hour // _STRANGER_EVERY_H & 0xFF)
        yield Publication("gw/gw-03/up/telegram", _envelope(_stamp(at_us), frame))


def _stranger_speaks(fleet: Fleet, hour: int) -> bool:
    """A meter that nobody registered is heard once a day in the last month."""
    last = (fleet.live_us - fleet.start_us) // HOUR_US
    return hour % _STRANGER_EVERY_H == 0 and hour >= last - _STRANGER_SINCE_H


def _garbage(course: Course, frame: bytes, stamp: str) -> list[Publication]:
    """One of each kind of nonsense, _GARBAGE_KINDS in all."""
    flipped = frame[:-2] + bytes((frame[-2] ^ 0x5A, frame[-1]))
    meter = identity.text(course.meter.identity)
    reading = {"meter": meter, "time": "2098-01-01T00:00:00Z", "energy_kwh": 1.5}
    return [
        Publication("gw/gw-01/up/telegram", b"\x00\x17garbled\xff\xfe"),
        Publication("gw/gw-01/up/telegram", _envelope(stamp, flipped)),
        Publication("gw/gw-02/up/telegram", b'{"time": "2026-01-01T00:00:00Z", "teleg'),
        Publication("gw/gw-02/up/hello", b"is anybody there?"),
        Publication("gw/gw-04/up/reading", orjson.dumps(reading)),
    ]


def _weather(fleet: Fleet, hour: int, stamp: str) -> Publication:
    body = {"station": STATION, "time": stamp, "outdoor_temp_c": fleet.outdoor_temp_c[hour].item()}
    return Publication(WEATHER_TOPIC, orjson.dumps(body))


def _envelope(stamp: str, frame: bytes) -> bytes:
    return f'{{"time":"{stamp}","telegram":"{frame.hex().upper()}"}}'.encode()


def _stamp(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%dT%H:%M:%SZ}"
