"""The vocabulary of stored readings and archived telegrams: columns, types, outcomes."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Final

REGISTER_TYPES: Final = {
    "energy_j": "int8",
    "cooling_energy_j": "int8",
    "volume_ml": "int8",
    "e8_mlc": "int8",
    "e9_mlc": "int8",
    "power_w": "int4",
    "flow_l_h": "int4",
    "supply_temp_cc": "int2",
    "return_temp_cc": "int2",
    "operating_h": "int4",
    "error_h": "int4",
    "info_code": "int4",
}
"""The registers of a reading in column order, with their width in the database."""

READING_TYPES: Final = {
    "at": "timestamptz",
    "meter_id": "int4",
    **REGISTER_TYPES,
    "quality": "int4",
    "status": "int2",
    "access": "int2",
    "content_hash": "int8",
    "meter_clock_at": "timestamptz",
    "received_at": "timestamptz",
    "stored_at": "timestamptz",
    "telegram_id": "int8",
    "decoder_version": "int2",
}

TELEGRAM_TYPES: Final = {
    "received_at": "timestamptz",
    "telegram_id": "int8",
    "source": "text",
    "address": "text",
    "identity": "int8",
    "access": "int2",
    "content_hash": "int8",
    "at": "timestamptz",
    "outcome": "int2",
    "reason": "text",
    "detail": "text",
    "payload": "bytea",
}


class Outcome(IntEnum):
    """What became of an envelope; every one has exactly one."""

    STORED = 1
    DUPLICATE = 2
    QUARANTINED = 3
    WAITING = 4


REGISTER_QUALITY: Final = ("ok", "meter_error", "out_of_range", "invalid")
"""Why a register of a reading is null: two bits a register in `quality`, as REGISTER_TYPES goes."""


def register_quality(packed: int) -> dict[str, str]:
    """Each register's quality by name, from a reading's packed `quality`."""
    return {
        name: REGISTER_QUALITY[packed >> 2 * index & 3] for index, name in enumerate(REGISTER_TYPES)
    }


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def utc(at_us: int) -> datetime:
    """A moment from UTC microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=int(at_us))


def us(moment: datetime) -> int:
    """UTC microseconds since 1970, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def utc_list(times_us: Iterable[int]) -> list[datetime]:
    """Moments for a timestamptz[] parameter."""
    return [utc(at_us) for at_us in times_us]
