"""Walks chains of data records into columns, whatever carried them (EN 13757-3:2018 6)."""

from typing import Final

import numpy as np
from numba import njit

from adapters.fnv import FNV_BASIS, Buffer, fnv_step
from adapters.mbus.blocks import EXTENSIONS_MAX, PLAIN_TEXT, read_dib, read_vib
from adapters.mbus.columns import (
    BINARY,
    DISPLAY,
    DURING_ERROR,
    FIXED,
    FIXED_REVERSED,
    METER_ERROR,
    NO_VALUE,
    OK,
    TEXT,
    UNDECODABLE,
    VARIABLE_REVERSED,
    Records,
    Spans,
    Telegrams,
)
from adapters.mbus.refusals import ACCEPTED, ENCRYPTED, PAST_END, RESERVED_DIF, RESERVED_LVAR
from adapters.mbus.values import (
    load,
    read_bcd,
    read_date,
    read_integer,
    read_long_bcd,
    read_real32,
)
from adapters.mbus.vif import (
    FIXED_EXPONENT,
    FIXED_QUANTITY,
    FIXED_UNIT,
    IS_DATE,
    IS_LABEL,
    IS_SIGNED,
    MANUFACTURER_SPECIFIC,
    TELLS_OF_ERROR,
    UNKNOWN,
    VIF_EXPONENT,
    VIF_QUANTITY,
    VIF_UNIT,
)

Record = tuple[
    int, int, int, int, int, int, int, int, int, int, int, int, int, int, int, float, int
]
"""next (-1: an error), then Records' columns after `start`, in order."""

# EN 13757-3:2018 table 4: bytes of data by the DIF's low nibble; D is LVAR, F is special.
DATA_BYTES: Final = np.array([0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, 0, 6, 0], np.uint8)
_REAL32: Final = 0x05
_BCD_FIRST: Final = 0x09
_LVAR: Final = 0x0D
_SPECIAL: Final = 0x0F
_FILL: Final = 0x2F
_MANUFACTURER_BLOCK: Final = 0x0F
_MORE_FOLLOWS: Final = 0x1F
_FIXED_HISTORIC: Final = 0x3E

# EN 13757-7:2018 table 20: modes (bits 8..12 of the configuration word) that encrypt; 0 is clear.
_MODES_OF_ENCRYPTION: Final = (2, 3, 4, 5, 7, 8, 9, 10, 13, 15)


@njit(cache=True, nogil=True)
def lvar_bytes(lvar: int) -> int:
    """Bytes of data after a length LVAR, -1 when it is reserved (EN 13757-3:2018 table 5)."""
    if lvar < 0xC0:
        return lvar
    if lvar < 0xF0:
        return lvar & 0x0F if lvar & 0x0F <= 9 or lvar >= 0xE0 else -1
    if lvar <= 0xF4:
        return 4 * (lvar - 0xEC)
    if lvar == 0xF5:
        return 48
    return 64 if lvar == 0xF6 else -1


@njit(cache=True, nogil=True)
def _read_lvar(buffer: Buffer, at: int, size: int, step: int, lvar: int) -> tuple[int, int, int]:
    """Data of variable length. Returns (kind, mantissa, quality)."""
    if lvar < 0xC0:
        return TEXT, 0, OK
    if size == 0:
        return NO_VALUE, 0, OK
    if lvar < 0xE0:
        kind, mantissa, quality = read_long_bcd(buffer, at, size, step)
        return kind, -mantissa if lvar >= 0xD0 else mantissa, quality
    if size <= 8:
        low, top = load(buffer, at, size, step)
        return read_integer(low, top, size, True)
    return BINARY, 0, OK


@njit(cache=True, nogil=True, forceinline=True)
def _read_data(
    buffer: Buffer, at: int, size: int, step: int, coding: int, quantity: int
) -> tuple[int, int, float, int]:
    """The value of the data at `at`. Returns (kind, mantissa, real, quality)."""
    if size == 0:
        return NO_VALUE, 0, 0.0, OK
    low, top = load(buffer, at, size, step)
    if coding == _REAL32:
        kind, real, quality = read_real32(low)
        return kind, 0, real, quality
    if coding >= _BCD_FIRST:
        kind, mantissa, quality = read_bcd(low, size)
        if kind == DISPLAY and IS_LABEL[quantity]:
            quality = OK
        return kind, mantissa, 0.0, quality
    if IS_DATE[quantity] and size in (2, 3, 4, 6):
        kind, mantissa, quality = read_date(low, size)
        return kind, mantissa, 0.0, quality
    kind, mantissa, quality = read_integer(low, top, size, bool(IS_SIGNED[quantity]))
    return kind, mantissa, 0.0, quality


@njit(cache=True, nogil=True, forceinline=True)
def _key(buffer: Buffer, start: int, stop: int) -> int:
    """FNV-1a of a record's DIB and VIB."""
    state = fnv_step(FNV_BASIS, buffer[start])
    for i in range(start + 1, stop):
        state = fnv_step(state, buffer[i])
    return state


@njit(cache=True, nogil=True, forceinline=True)
def _read_record(buffer: Buffer, start: int, stop: int, step: int, text_last: bool) -> Record:
    """The record at `start`, or the manufacturer's block there."""
    dif = buffer[start] & 0xFF
    coding = dif & 0x0F
    if coding == _SPECIAL:
        following = stop if dif in (_MANUFACTURER_BLOCK, _MORE_FOLLOWS) else -1
        key, size, quantity = (
            _key(buffer, start, start + 1),
            stop - start - 1,
            MANUFACTURER_SPECIFIC,
        )
        return following, 1, 0, size, 0, 0, 0, 0, key, quantity, 0, 0, 0, BINARY, 0, 0.0, OK
    vib, storage, tariff, subunit, error = start + 1, dif >> 6 & 1, 0, 0, ACCEPTED
    if dif >= 0x80:
        vib, storage, tariff, subunit, error = read_dib(buffer, start, stop)
    at = vib + 1
    code = buffer[vib] & 0xFF if vib < stop else 0xFF
    if code < 0x80 and code != PLAIN_TEXT:  # most VIBs are one byte
        quantity, unit = int(VIF_QUANTITY[code]), int(VIF_UNIT[code])
        exponent, qualifier, quality = int(VIF_EXPONENT[code]), 0, OK
    elif error == ACCEPTED:
        at, quantity, unit, exponent, qualifier, quality, error = read_vib(
            buffer, vib, stop, text_last
        )
    else:
        quantity, unit, exponent, qualifier, quality = UNKNOWN, 0, 0, 0, OK
    data, size, lvar = at, int(DATA_BYTES[coding]), 0
    if coding == _LVAR:
        lvar = buffer[at] & 0xFF if at < stop else 0xFF
        data, size = at + 1, lvar_bytes(lvar)
    if error != ACCEPTED or size < 0 or data + size > stop:
        return -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0
    real = 0.0
    if coding == _LVAR:
        kind, mantissa, value_quality = _read_lvar(buffer, data, size, step, lvar)
    else:
        kind, mantissa, real, value_quality = _read_data(buffer, data, size, step, coding, quantity)
    function = dif >> 4 & 3
    if quality == OK:
        quality = value_quality
    if quality == OK and function == DURING_ERROR and not TELLS_OF_ERROR[quantity]:
        quality = METER_ERROR
    key = _key(buffer, start, at)
    return (
        *(data + size, vib - start, at - vib, size, function, storage, tariff, subunit, key),
        *(quantity, unit, exponent, qualifier, kind, mantissa, real, quality),
    )


@njit(cache=True, nogil=True)
def record_error(buffer: Buffer, start: int, stop: int) -> tuple[int, int, int]:
    """Why there is no record at `start`, text after its VIF. Returns (error, expected, got)."""
    dif = buffer[start] & 0xFF
    if dif & 0x0F == _SPECIAL:
        return RESERVED_DIF, 0, dif
    vib, _, _, _, error = read_dib(buffer, start, stop)
    at = vib
    if error == ACCEPTED:
        at, _, _, _, _, _, error = read_vib(buffer, vib, stop, False)
    if error != ACCEPTED:
        return error, 1 if error == PAST_END else EXTENSIONS_MAX, 0
    size = int(DATA_BYTES[dif & 0x0F])
    if dif & 0x0F == _LVAR:
        if at >= stop:
            return PAST_END, 1, 0
        size = lvar_bytes(buffer[at] & 0xFF)
        if size < 0:
            return RESERVED_LVAR, 0, buffer[at] & 0xFF
        at += 1
    return PAST_END, size, stop - at


@njit(cache=True, nogil=True)
def _read_counter(buffer: Buffer, at: int, status_at: int, step: int) -> Record:
    """The counter at `at` of a fixed structure (MBDOC48 6.3.1, 8.2): a record without DIB and VIB.

    Bit 0 of the status says binary counters, bit 1 values stored at a fixed date; a second counter
    may be the first one's value then.
    """
    status = buffer[status_at] & 0xFF
    second = at > status_at + 3
    unit = buffer[status_at + (2 if second else 1)] & 0x3F
    storage = status >> 1 & 1
    if second and unit == _FIXED_HISTORIC:
        unit = buffer[status_at + 1] & 0x3F
        storage = 1
    low, _ = load(buffer, at, 4, step)
    kind, mantissa, quality = read_integer(low, 0, 4, False) if status & 1 else read_bcd(low, 4)
    quantity = int(FIXED_QUANTITY[unit])
    if quantity == UNKNOWN and quality == OK:
        quality = UNDECODABLE
    return (
        *(at + 4, 0, 0, 4, 0, storage, 0, 0, 0),
        *(quantity, int(FIXED_UNIT[unit]), int(FIXED_EXPONENT[unit]), 0),
        *(kind, mantissa, 0.0, quality),
    )


@njit(cache=True, nogil=True)
def _refuse(buffer: Buffer, at: int, stop: int, telegram: int, telegrams: Telegrams) -> int:
    """Mark a telegram whose record at `at` cannot be read. Returns the row its records began at."""
    error, expected, got = record_error(buffer, at, stop)
    mode = telegrams.configuration[telegram] >> 8 & 0x1F
    if mode in _MODES_OF_ENCRYPTION:
        error, expected, got = ENCRYPTED, mode, telegrams.configuration[telegram]
    telegrams.error[telegram] = error
    telegrams.error_at[telegram] = at
    telegrams.expected[telegram] = expected
    telegrams.got[telegram] = got
    return int(telegrams.first_row[telegram])


@njit(cache=True, nogil=True)
def walk_spans(
    buffer: Buffer, spans: Spans, span_count: int, telegrams: Telegrams, records: Records
) -> int:
    """Every record of the spans into the columns. Returns how many.

    A telegram whose chain of records is broken keeps none of them and gets its error. Plain-text
    units are first taken to stand right after their VIF; where that does not fit the whole span,
    after the VIFEs.
    """
    row = 0
    last = -1
    for span in range(span_count):
        telegram = spans.telegram[span]
        if telegram != last:
            telegrams.first_row[telegram] = row
            last = telegram
        if telegrams.error[telegram] != ACCEPTED:
            continue
        start, at, stop, layout = (
            spans.at[span],
            spans.at[span],
            spans.stop[span],
            spans.layout[span],
        )
        fixed = layout >= FIXED
        step = -1 if layout in (VARIABLE_REVERSED, FIXED_REVERSED) else 1
        first, dif, failed_at = row, 0, -1
        while 0 <= at < stop:
            dif = buffer[at]
            if dif == _FILL and not fixed:
                at += 1
                continue
            if fixed:
                record = _read_counter(buffer, at, start - 3, step)
            else:
                record = _read_record(buffer, at, stop, step, failed_at >= 0)
            if record[0] < 0 or not 0 <= row < records.start.size:
                if failed_at < 0:
                    failed_at, at, row = at, start, first
                    continue
                row = _refuse(buffer, failed_at, stop, telegram, telegrams)
                break
            records.start[row] = at
            records.dib_length[row] = record[1]
            records.vib_length[row] = record[2]
            records.data_length[row] = record[3]
            records.function[row] = record[4]
            records.storage[row] = record[5]
            records.tariff[row] = record[6]
            records.subunit[row] = record[7]
            records.key[row] = record[8]
            records.quantity[row] = record[9]
            records.unit[row] = record[10]
            records.exponent[row] = record[11]
            records.qualifier[row] = record[12]
            records.kind[row] = record[13]
            records.mantissa[row] = record[14]
            records.real[row] = record[15]
            records.quality[row] = record[16]
            row += 1
            at = record[0]
        telegrams.more[telegram] = 1 if dif == _MORE_FOLLOWS and not fixed else 0
        telegrams.rows[telegram] = row - telegrams.first_row[telegram]
    return row
