"""The flat arrays the kernels fill: one row per telegram, one row per record."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Records.function, as in the DIF (EN 13757-3:2018 6.3.2).
INSTANTANEOUS, MAXIMUM, MINIMUM, DURING_ERROR = range(4)

# Records.quality; the first four are those of RegisterQuality.
OK, METER_ERROR, OUT_OF_RANGE, INVALID, UNDECODABLE = range(5)

# Records.kind: where the value is.
(
    NO_VALUE,  # no data, or nothing that can be told from it
    INTEGER,  # mantissa
    REAL,  # real, before the exponent
    DATE,  # mantissa: microseconds since 1970 of the local midnight
    DATE_TIME,  # mantissa: microseconds since 1970, local time
    DATE_TIME_SUMMER,  # the same, local summer time
    TIME_OF_DAY,  # mantissa: microseconds since midnight
    TEXT,  # the data bytes, last one first
    BINARY,  # the data bytes
    DISPLAY,  # BCD with nibbles A..F: what the display shows
) = range(10)

SEVERAL_QUALIFIERS: Final = 0xFF
"""Records.qualifier with more than one VIFE that says something; 0 is none, else the VIFE code."""


class Telegrams(NamedTuple):
    """One row per payload of the batch.

    `error` is 0 or a code of adapters/mbus/refusals.py, then `error_at` [byte of the joined
    buffer], `expected` and `got` are its facts. `start`, `stop` span the frames in the joined
    buffer. `identity`, `access` and `status` are -1 where the header has none. `first_row`, `rows`
    are the telegram's records; `more` is 1 when the last frame ends in 1F: more records follow.
    """

    error: NDArray[np.uint8]
    error_at: NDArray[np.int32]
    expected: NDArray[np.int32]
    got: NDArray[np.int32]
    start: NDArray[np.int32]
    stop: NDArray[np.int32]
    control_information: NDArray[np.uint8]
    identity: NDArray[np.int64]
    access: NDArray[np.int16]
    status: NDArray[np.int16]
    configuration: NDArray[np.int32]
    first_row: NDArray[np.int32]
    rows: NDArray[np.int32]
    more: NDArray[np.uint8]


class Spans(NamedTuple):
    """One row per stretch of records: buffer[at:stop] of `telegram`, in order.

    `layout` is VARIABLE, VARIABLE_REVERSED (most significant byte first), FIXED, FIXED_REVERSED.
    """

    telegram: NDArray[np.int32]
    at: NDArray[np.int32]
    stop: NDArray[np.int32]
    layout: NDArray[np.uint8]


VARIABLE, VARIABLE_REVERSED, FIXED, FIXED_REVERSED = range(4)


class Records(NamedTuple):
    """One row per data record.

    `start` is where the DIB begins in the joined buffer, followed by `dib_length` and `vib_length`
    bytes, LVAR if the DIF says so, and `data_length` bytes of data. `key` is FNV-1a of DIB and VIB:
    with the meter's identity it is the record's. Value = `mantissa` or `real`, times
    10**`exponent`, in `unit` (adapters/mbus/vif.py).
    """

    start: NDArray[np.int32]
    dib_length: NDArray[np.uint8]
    vib_length: NDArray[np.int16]
    data_length: NDArray[np.int16]
    function: NDArray[np.uint8]
    storage: NDArray[np.int64]
    tariff: NDArray[np.int32]
    subunit: NDArray[np.int16]
    key: NDArray[np.int64]
    quantity: NDArray[np.uint8]
    unit: NDArray[np.uint8]
    exponent: NDArray[np.int8]
    qualifier: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    mantissa: NDArray[np.int64]
    real: NDArray[np.float64]
    quality: NDArray[np.uint8]


_TELEGRAM_TYPES: Final = "u1 i4 i4 i4 i4 i4 u1 i8 i2 i2 i4 i4 i4 u1"
_SPAN_TYPES: Final = "i4 i4 i4 u1"
_RECORD_TYPES: Final = "i4 u1 i2 i2 u1 i8 i4 i2 i8 u1 u1 i1 u1 u1 i8 f8 u1"


def telegrams(count: int) -> Telegrams:
    """Unfilled columns for `count` telegrams."""
    return Telegrams(*(np.empty(count, kind) for kind in _TELEGRAM_TYPES.split()))


def spans(total_bytes: int) -> Spans:
    """Unfilled columns for the spans of so many bytes: each lies in a frame of 9 bytes or more."""
    return Spans(*(np.empty(total_bytes // 9 + 1, kind) for kind in _SPAN_TYPES.split()))


def records(total_bytes: int) -> Records:
    """Unfilled columns for the records of so many bytes.

    Each takes two, but a manufacturer's block at the end of a frame, and a frame has 9 bytes more.
    """
    return Records(*(np.empty(total_bytes // 2 + 1, kind) for kind in _RECORD_TYPES.split()))
