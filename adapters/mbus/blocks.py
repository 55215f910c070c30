"""Reads the two blocks before a record's data: DIB and VIB (EN 13757-3:2018 6.3, 6.4).

Every function takes `stop`, one past the last byte it may read, and returns an error code of
adapters/mbus/refusals.py; a position is a byte in the joined buffer.
"""

from typing import Final

from numba import njit

from adapters.fnv import Buffer
from adapters.mbus.columns import OK, SEVERAL_QUALIFIERS
from adapters.mbus.refusals import ACCEPTED, PAST_END, TOO_MANY_DIFE, TOO_MANY_VIFE
from adapters.mbus.vif import VIF_EXPONENT, VIF_QUANTITY, VIF_UNIT
from adapters.mbus.vife import (
    MANUFACTURER,
    VIFE_CLASS,
    VIFE_KEEPS_EXPONENT,
    VIFE_QUALIFIES,
    VIFE_QUALITY,
    VIFE_QUANTITY,
    VIFE_SHIFT,
    VIFE_UNIT,
)

EXTENSIONS_MAX: Final = 10
PLAIN_TEXT: Final = 0x7C
MANUFACTURER_VIF: Final = 0x7F


@njit(cache=True, nogil=True)
def read_dib(buffer: Buffer, at: int, stop: int) -> tuple[int, int, int, int, int]:
    """The DIB at `at`. Returns (next, storage, tariff, subunit, error).

    Each DIFE adds four bits of storage above those before it (the DIF has the lowest), two of
    tariff and one of subunit.
    """
    byte = buffer[at] & 0xFF
    storage = byte >> 6 & 1
    tariff = 0
    subunit = 0
    at += 1
    count = 0
    while byte & 0x80:
        if at >= stop:
            return at, 0, 0, 0, PAST_END
        if count == EXTENSIONS_MAX:
            return at, 0, 0, 0, TOO_MANY_DIFE
        byte = buffer[at] & 0xFF
        storage |= (byte & 0x0F) << (4 * count + 1)
        tariff |= (byte >> 4 & 3) << (2 * count)
        subunit |= (byte >> 6 & 1) << count
        at += 1
        count += 1
    return at, storage, tariff, subunit, ACCEPTED


@njit(cache=True, nogil=True, forceinline=True)
def _qualify(
    code: int, quantity: int, unit: int, exponent: int, qualifier: int, quality: int
) -> tuple[int, int, int, int, int]:
    """What one VIFE makes of the record. Returns (quantity, unit, exponent, qualifier, quality)."""
    if VIFE_QUANTITY[code] >= 0:
        quantity = int(VIFE_QUANTITY[code])
    if VIFE_UNIT[code] >= 0:
        unit = int(VIFE_UNIT[code])
    exponent = exponent + int(VIFE_SHIFT[code]) if VIFE_KEEPS_EXPONENT[code] else 0
    if VIFE_QUALIFIES[code]:
        qualifier = code if qualifier == 0 else SEVERAL_QUALIFIERS
    return quantity, unit, exponent, qualifier, max(quality, int(VIFE_QUALITY[code]))


@njit(cache=True, nogil=True)
def _skip_text(buffer: Buffer, at: int, stop: int) -> int:
    """Past a plain-text unit (its length, then the text), -1 when it runs past the end."""
    if at >= stop:
        return -1
    end = at + 1 + (buffer[at] & 0xFF)
    return end if end <= stop else -1


@njit(cache=True, nogil=True)
def read_vib(  # noqa: C901, PLR0911 - each byte may be the last; a way out stands where it ends
    buffer: Buffer, at: int, stop: int, text_last: bool
) -> tuple[int, int, int, int, int, int, int]:
    """The VIB at `at`. Returns (next, quantity, unit, exponent, qualifier, quality, error).

    `text_last`: a plain-text unit (VIF 7C) stands after the VIFEs, as EN 13757-3 has it; else
    right after the VIF, as MBDOC48 and most meters have it.
    """
    if at >= stop:
        return at, 0, 0, 0, 0, 0, PAST_END
    vif = buffer[at] & 0xFF
    at += 1
    table = 0
    count = 0
    if vif in (0xFB, 0xFD):
        if at >= stop:
            return at, 0, 0, 0, 0, 0, PAST_END
        table = 1 if vif == 0xFB else 2
        vif = buffer[at] & 0xFF
        at += 1
        count = 1
    code = table << 7 | vif & 0x7F
    quantity = int(VIF_QUANTITY[code])
    unit = int(VIF_UNIT[code])
    exponent = int(VIF_EXPONENT[code])
    qualifier = 0
    quality = OK
    if code == PLAIN_TEXT and not text_last:
        at = _skip_text(buffer, at, stop)
        if at < 0:
            return stop, 0, 0, 0, 0, 0, PAST_END
    makers_own = code == MANUFACTURER_VIF
    more = vif & 0x80
    while more:
        if at >= stop:
            return at, 0, 0, 0, 0, 0, PAST_END
        if count == EXTENSIONS_MAX:
            return at, 0, 0, 0, 0, 0, TOO_MANY_VIFE
        byte = buffer[at] & 0xFF
        at += 1
        count += 1
        more = byte & 0x80
        if not makers_own:
            quantity, unit, exponent, qualifier, quality = _qualify(
                byte & 0x7F, quantity, unit, exponent, qualifier, quality
            )
            makers_own = VIFE_CLASS[byte & 0x7F] == MANUFACTURER
    if code == PLAIN_TEXT and text_last:
        at = _skip_text(buffer, at, stop)
        if at < 0:
            return stop, 0, 0, 0, 0, 0, PAST_END
    return at, quantity, unit, exponent, qualifier, quality, ACCEPTED
