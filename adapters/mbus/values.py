"""Reads the data of a record: integers, BCD, real32, dates (EN 13757-3:2018 annex A).

`load` takes the bytes as one number, the rest only sees that number. `step` is 1, or -1 in the
mode that sends the most significant byte first (CI 76, 77). Callers have checked the bounds.
"""

import math
from typing import Final

import numpy as np
from numba import njit

from adapters.fnv import Buffer
from adapters.mbus.columns import (
    DATE,
    DATE_TIME,
    DATE_TIME_SUMMER,
    DISPLAY,
    INTEGER,
    INVALID,
    METER_ERROR,
    NO_VALUE,
    OK,
    OUT_OF_RANGE,
    REAL,
    TIME_OF_DAY,
)

SECOND_US: Final = 1_000_000
DAY_US: Final = 86_400 * SECOND_US


_LOW_MASK: Final = np.array([(1 << 8 * min(n, 7)) - 1 for n in range(9)], np.int64)
_SIGN_BIT: Final = np.array([0, *(1 << 8 * n - 1 for n in range(1, 8))], np.int64)


@njit(cache=True, nogil=True, forceinline=True)
def load(buffer: Buffer, at: int, size: int, step: int) -> tuple[int, int]:
    """Up to 8 bytes as a number in two parts that fit int64: (the low 7 bytes, byte 8 or 0)."""
    low = 0
    if step > 0 and 0 <= at <= len(buffer) - 8:
        # Read eight, keep `size`: no loop whose length the processor would have to guess.
        for i in range(7):
            low |= (buffer[at + i] & 0xFF) << 8 * i
        return low & int(_LOW_MASK[size]), (buffer[at + 7] & 0xFF) if size == 8 else 0
    first = at if step > 0 else at + size - 1
    for i in range(min(size, 7)):
        low |= (buffer[first + step * i] & 0xFF) << 8 * i
    return low, (buffer[first + step * 7] & 0xFF) if size == 8 else 0


@njit(cache=True, nogil=True, forceinline=True)
def read_integer(low: int, top: int, size: int, signed: bool) -> tuple[int, int, int]:
    """Type B or C, 1 to 8 bytes. Returns (kind, mantissa, quality)."""
    if size < 8:
        if signed:
            sign = int(_SIGN_BIT[size])
            return INTEGER, (low ^ sign) - sign, OK
        return INTEGER, low, OK
    if signed:
        return INTEGER, ((top ^ 0x80) - 0x80) * (1 << 56) + low, OK
    if top >= 0x80:
        return NO_VALUE, 0, OUT_OF_RANGE
    return INTEGER, top << 56 | low, OK


@njit(cache=True, nogil=True, forceinline=True)
def read_bcd(low: int, size: int) -> tuple[int, int, int]:
    """Type A, up to 7 bytes: an F on top is a minus, any other nibble A..F is the display's.

    Returns (kind, mantissa, quality). Digits are added up in pairs, all of them at once.
    """
    negative = low >> 8 * size - 4 == 0xF
    if negative:
        low ^= 0xF << 8 * size - 4
    # A nibble is above 9 when bit 3 is set together with bit 2 or 1.
    if low >> 3 & (low >> 2 | low >> 1) & 0x11111111111111:
        return DISPLAY, 0, METER_ERROR
    pairs = (low & 0x0F0F0F0F0F0F0F) + 10 * (low >> 4 & 0x0F0F0F0F0F0F0F)
    fours = (pairs & 0xFF00FF00FF00FF) + 100 * (pairs >> 8 & 0xFF00FF00FF00FF)
    eights = (fours & 0xFFFF0000FFFF) + 10_000 * (fours >> 16 & 0xFFFF0000FFFF)
    value = (eights & 0xFFFFFFFF) + 100_000_000 * (eights >> 32)
    return INTEGER, -value if negative else value, OK


@njit(cache=True, nogil=True)
def read_long_bcd(buffer: Buffer, at: int, size: int, step: int) -> tuple[int, int, int]:
    """Type A without sign, up to 9 bytes (LVAR). Returns (kind, mantissa, quality)."""
    first = at if step > 0 else at + size - 1
    value = 0
    for i in range(size - 1, -1, -1):
        byte = buffer[first + step * i] & 0xFF
        if byte >= 0xA0 or byte & 0x0F > 9:
            return DISPLAY, 0, METER_ERROR
        value = value * 100 + (byte >> 4) * 10 + (byte & 0x0F)
    return INTEGER, value, OK


@njit(cache=True, nogil=True)
def read_real32(bits: int) -> tuple[int, float, int]:
    """Type H, IEEE 754 of 32 bits. Returns (kind, value, quality); NaN and infinity are invalid."""
    biased = bits >> 23 & 0xFF
    fraction = bits & 0x7FFFFF
    if biased == 0xFF:
        return NO_VALUE, 0.0, INVALID
    if biased > 0:
        value = math.ldexp(float(fraction | 0x800000), biased - 150)
    else:
        value = math.ldexp(float(fraction), -149)
    return REAL, -value if bits >> 31 else value, OK


@njit(cache=True, nogil=True)
def days_since_1970(year: int, month: int, day: int) -> int:
    """Days of the Gregorian calendar, -1 when there is no such day.

    Years are counted from March, so the leap day comes last; 153 days are five such months.
    """
    if month < 1 or month > 12 or day < 1:
        return -1
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    length = 31
    if month == 2:
        length = 29 if leap else 28
    elif month in (4, 6, 9, 11):
        length = 30
    if day > length:
        return -1
    shifted = year - 1 if month <= 2 else year
    day_of_year = (153 * (month + (9 if month <= 2 else -3)) + 2) // 5 + day - 1
    return shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + day_of_year - 719468


@njit(cache=True, nogil=True)
def _date(low: int, high: int, hundreds: int) -> int:
    """Days since 1970 of the two date bytes of types F, G and I; -1 when they name no one day.

    Years are 0..99; without a century 0..80 are 20xx and 81..99 are 19xx (EN 13757-3 annex A).
    """
    year = low >> 5 | (high & 0xF0) >> 1
    if year > 99:
        return -1
    year += 1900 + 100 * hundreds
    if hundreds == 0 and year <= 1980:
        year += 100
    return days_since_1970(year, high & 0x0F, low & 0x1F)


@njit(cache=True, nogil=True)
def read_date(low: int, size: int) -> tuple[int, int, int]:
    """Type G (2 bytes), J (3), F (4) or I (6). Returns (kind, local microseconds, quality).

    A date that is marked invalid, or says "every" day, month or year, is no date: INVALID.
    """
    b0, b1, b2 = low & 0xFF, low >> 8 & 0xFF, low >> 16 & 0xFF
    b3, b4 = low >> 24 & 0xFF, low >> 32 & 0xFF
    if size == 2:
        days = _date(b0, b1, 0)
        if days < 0:
            return NO_VALUE, 0, INVALID
        return DATE, days * DAY_US, OK
    if size == 3:
        hour, minute, second, days, summer = b2 & 0x1F, b1 & 0x3F, b0 & 0x3F, 0, False
    elif size == 4:
        hour, minute, second, summer = b1 & 0x1F, b0 & 0x3F, 0, b1 >= 0x80
        days = -1 if b0 >= 0x80 else _date(b2, b3, b1 >> 5 & 3)
    else:
        hour, minute, second, summer = b2 & 0x1F, b1 & 0x3F, b0 & 0x3F, b0 & 0x40 != 0
        days = -1 if b1 >= 0x80 else _date(b3, b4, 0)
    if days < 0 or hour > 23 or minute > 59 or second > 59:
        return NO_VALUE, 0, INVALID
    local_us = days * DAY_US + ((hour * 60 + minute) * 60 + second) * SECOND_US
    if size == 3:
        return TIME_OF_DAY, local_us, OK
    return DATE_TIME_SUMMER if summer else DATE_TIME, local_us, OK
