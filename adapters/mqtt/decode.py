"""Publications to readings: raw telegrams, our JSON, weather, in the forms of docs/payloads.md."""

import re
from collections.abc import Sequence
from dataclasses import fields as dataclass_fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from adapters import fnv
from adapters.fnv import fnv1a64
from adapters.mbus import decode as mbus
from adapters.mbus.profile import MeterProfiles
from adapters.mqtt.reading import Reading, ReadingError, as_written, parse_reading, to_units
from adapters.registers import (
    MISSING,
    Decoded,
    OutdoorTemperature,
    Refusal,
    Rows,
    empty_rows,
)

_TOPIC: Final = re.compile(r"gw/([^/]+)/up/(telegram|reading|weather)")
_LONG_FRAME: Final = 0x68  # EN 13757-2: a binary telegram begins with it, text never does ("h")
_JSON: Final = ord("{")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS: Final = (2000, 2200)  # numbers outside are a broken clock, and int64 sums must not overflow
_OUTDOOR_CC: Final = (-9000, 6000)


class Topic(NamedTuple):
    """Who speaks, and what: telegram, reading or weather."""

    gateway: str
    kind: str


@lru_cache(maxsize=100_000)
def parse_topic(topic: str) -> Topic | None:
    """The parts of `gw/<gateway>/up/<kind>`, None when it has another form."""
    match = _TOPIC.fullmatch(topic)
    return Topic(*match.groups()) if match else None


def decode_batch(
    topics: Sequence[str], payloads: Sequence[bytes], profiles: MeterProfiles
) -> Decoded:
    """Decode publications; row, temperature and refusal name their place in the batch.

    `at_us` is the gateway's stamp unless the telegram itself carries the time of a stored value.
    Raw telegrams of the batch are decoded in one call.
    """
    telegrams = _Telegrams()
    readings: list[tuple[int, int, Reading, int]] = []
    outdoor: list[OutdoorTemperature] = []
    refused: dict[int, Refusal] = {}
    for index, (topic, payload) in enumerate(zip(topics, payloads, strict=True)):
        parsed = parse_topic(topic)
        if parsed is None:
            refused[index] = Refusal(
                "topic",
                f"topic {topic!r:.200}: expected gw/<gateway>/up/telegram, reading or weather",
            )
            continue
        try:
            if parsed.kind == "telegram":
                frame, at_us = unwrap(payload)
                telegrams.add(index, frame, at_us)
            elif parsed.kind == "reading":
                fields = _json_object(payload)
                reading = parse_reading(fields, payload)
                readings.append((index, _time_of(fields), reading, fnv1a64(payload)))
            else:
                outdoor.append(_weather(index, payload))
        except ReadingError as error:
            refused[index] = Refusal(error.reason, str(error))
    telegram_rows = telegrams.decode(profiles, refused)
    rows = _joined(telegram_rows, _reading_rows(readings)) if readings else telegram_rows
    return Decoded(rows=rows, outdoor=outdoor, refused=refused)


class _Telegrams:
    """The raw telegrams of a batch, collected for one call of the M-Bus decoder."""

    def __init__(self) -> None:
        self.index: list[int] = []
        self.frames: list[bytes] = []
        self.at_us: list[int] = []

    def add(self, index: int, frame: bytes, at_us: int) -> None:
        self.index.append(index)
        self.frames.append(frame)
        self.at_us.append(at_us)

    def decode(self, profiles: MeterProfiles, refused: dict[int, Refusal]) -> Rows:
        """Their rows; refusals are added to `refused` under the publication's place."""
        if not self.frames:
            return empty_rows(0)
        decoded = mbus.decode_batch(self.frames, profiles)
        refused.update((self.index[place], why) for place, why in decoded.refused.items())
        rows = decoded.rows
        stamp_us = np.asarray(self.at_us, np.int64)[rows.envelope]
        rows.at_us[:] = np.where(rows.at_us == MISSING, stamp_us, rows.at_us)
        rows.envelope[:] = np.asarray(self.index, np.int64)[rows.envelope]
        return rows


def unwrap(payload: bytes) -> tuple[bytes, int]:
    """The M-Bus bytes of a telegram publication, and the gateway's stamp [us] or MISSING.

    Raises ReadingError (`json`, `frame`).
    """
    if not payload:
        raise ReadingError("frame", "empty payload; expected an M-Bus telegram")
    if payload[0] == _LONG_FRAME:
        return payload, MISSING
    if payload[0] != _JSON and payload.lstrip()[:1] != b"{":
        return _unhex(payload.decode("latin-1")), MISSING
    fields = _json_object(payload)
    telegram = fields.get("telegram")
    if not isinstance(telegram, str):
        raise ReadingError("json", f"'telegram' must be hex text, got {telegram!r:.80}")
    return _unhex(telegram), _time_of(fields)


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ReadingError(
            "frame",
            "expected an M-Bus telegram as hex text, binary (first byte 68) or JSON, "
            f"got {text!r:.80}",
        ) from None


def _json_object(payload: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise ReadingError("json", f"not JSON: {error}; got {payload!r:.80}") from None
    if not isinstance(fields, dict):
        raise ReadingError("json", f"expected a JSON object, got {payload!r:.80}")
    return fields


def _time_of(fields: dict[str, Any]) -> int:
    """The stamp in UTC microseconds, MISSING when there is none."""
    text = fields.get("time")
    if text is None:
        return MISSING
    if not isinstance(text, str):
        raise ReadingError(
            "json", f"'time' must be text like \"2026-01-31T12:00:00Z\", got {text!r:.80}"
        )
    return parse_time_us(text)


@lru_cache(maxsize=4096)
def parse_time_us(text: str) -> int:
    """ISO 8601 with its zone to UTC microseconds since 1970. Raises ReadingError (`json`)."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not _YEARS[0] <= moment.year < _YEARS[1]:
        raise ReadingError(
            "json",
            f"time {text!r:.80}: expected ISO 8601 with its zone, like 2026-01-31T12:00:00Z, "
            f"from {_YEARS[0]} to {_YEARS[1] - 1}",
        )
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _weather(index: int, payload: bytes) -> OutdoorTemperature:
    key = "outdoor_temp_c"
    fields = _json_object(payload)
    station, value = fields.get("station"), fields.get(key)
    if not isinstance(station, str) or not station:
        raise ReadingError("json", f"'station' must be text like \"98230\", got {station!r:.80}")
    at_us = _time_of(fields)
    if at_us == MISSING:
        raise ReadingError("json", "'time' is missing; an outdoor temperature needs one")
    temp_cc = to_units(value, 100, lambda: as_written(payload, key), key)
    if temp_cc is None or not _OUTDOOR_CC[0] <= temp_cc <= _OUTDOOR_CC[1]:
        raise ReadingError("json", f"{key!r} must lie from -90 to 60 °C, got {value!r:.80}")
    return OutdoorTemperature(envelope=index, station=station, at_us=at_us, temp_cc=temp_cc)


def _reading_rows(readings: list[tuple[int, int, Reading, int]]) -> Rows:
    rows = empty_rows(len(readings))
    for place, (index, at_us, reading, content_hash) in enumerate(readings):
        rows.envelope[place] = index
        rows.at_us[place] = at_us
        rows.content_hash[place] = content_hash
        rows.identity[place] = reading.identity
        rows.registers[place] = reading.registers
        rows.quality[place] = reading.quality
        rows.access[place] = reading.access
        rows.status[place] = reading.status
        rows.energy_step_j[place] = reading.energy_step_j
        rows.volume_step_ml[place] = reading.volume_step_ml
    return rows


def _joined(first: Rows, second: Rows) -> Rows:
    """Both, column by column, in the order of their envelopes."""
    order = np.argsort(np.concatenate((first.envelope, second.envelope)), kind="stable")

    def column(name: str) -> NDArray[np.int64]:
        both = np.concatenate((getattr(first, name), getattr(second, name)))
        return both[order]

    return Rows(**{field.name: column(field.name) for field in dataclass_fields(Rows)})


def warm() -> None:
    """Compile the kernels that are called from here; the telegrams' are adapters.mbus.decode's."""
    fnv.warm()
