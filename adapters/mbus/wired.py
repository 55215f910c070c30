"""Step 1 for wired telegrams: frames of EN 13757-2 and their headers (EN 13757-7), a whole batch.

A payload is the answer of one meter: one long frame, or the frames of a multi-telegram answer back
to back. Noise, echoes, E5 and short frames before, between and after them are stepped over; from
68 L L 68 on everything must be right.
"""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from adapters.fnv import Buffer
from adapters.mbus import refusals
from adapters.mbus.columns import (
    FIXED,
    FIXED_REVERSED,
    VARIABLE,
    VARIABLE_REVERSED,
    Spans,
    Telegrams,
)

_ACCEPTED: Final = refusals.ACCEPTED
_NO_FRAME: Final = refusals.NO_FRAME
_LENGTHS_DIFFER: Final = refusals.LENGTHS_DIFFER
_TOO_SHORT: Final = refusals.TOO_SHORT
_TRUNCATED: Final = refusals.TRUNCATED
_NO_STOP: Final = refusals.NO_STOP
_CHECKSUM: Final = refusals.CHECKSUM
_FROM_CLIENT: Final = refusals.FROM_CLIENT
_UNKNOWN_CI: Final = refusals.UNKNOWN_CI
_HEADER_CUT: Final = refusals.HEADER_CUT
_APPLICATION_ERROR: Final = refusals.APPLICATION_ERROR
_OTHER_METER: Final = refusals.OTHER_METER

_START: Final = 0x68
_STOP: Final = 0x16
_FROM_CLIENT_BIT: Final = 0x40  # EN 13757-2:2018 5.5.2: C field, PRM


@njit(cache=True, nogil=True, forceinline=True)
def find_frame(  # noqa: C901, PLR0911 - each part of a frame can be wrong in its own way
    buffer: Buffer, at: int, stop: int
) -> tuple[int, int, int, int, int, int]:
    """The first long frame in buffer[at:stop].

    Returns (start, end, error, error at, expected, got); start is -1 without a frame. Before
    68 L L 68 anything may stand.
    """
    differ = -1
    while at + 3 < stop:
        if buffer[at] == _START and buffer[at + 3] == _START:
            if buffer[at + 1] == buffer[at + 2]:
                break
            if differ < 0:
                differ = at
        at += 1
    if at + 3 >= stop:
        if differ < 0:
            return -1, at, _NO_FRAME, at, 0, 0
        return (
            -1,
            at,
            _LENGTHS_DIFFER,
            differ + 1,
            buffer[differ + 1] & 0xFF,
            buffer[differ + 2] & 0xFF,
        )
    length = buffer[at + 1] & 0xFF
    if length < 3:
        return -1, at, _TOO_SHORT, at + 1, 3, length
    end = at + length + 6
    if end > stop:
        return -1, at, _TRUNCATED, at, length + 6, stop - at
    total = 0
    for byte in buffer[at + 4 : end - 2]:  # a slice needs no check of each index: twice as fast
        total += byte
    if total & 0xFF != buffer[end - 2]:
        return -1, at, _CHECKSUM, end - 2, total & 0xFF, buffer[end - 2] & 0xFF
    if buffer[end - 1] != _STOP:
        return -1, at, _NO_STOP, end - 1, _STOP, buffer[end - 1] & 0xFF
    return at, end, _ACCEPTED, 0, 0, 0


@njit(cache=True, nogil=True)
def _same_bytes(buffer: Buffer, a: int, a_end: int, b: int, b_end: int) -> bool:
    """Whether two frames are the same: a meter that missed our FCB sends the last one again."""
    if a_end - a != b_end - b:
        return False
    for i in range(a_end - a):  # noqa: SIM110 - numba compiles no generators here
        if buffer[a + i] != buffer[b + i]:
            return False
    return True


@njit(cache=True, nogil=True, forceinline=True)
def _header(buffer: Buffer, at: int, tail: int, ci: int) -> tuple[int, int, int, int, int]:
    """What stands between CI and the records.

    Returns (bytes or -1 - bytes wanted, identity, access, status, configuration word); -1 for what
    this CI does not have.
    """
    if ci == 0x78:
        return 0, -1, -1, -1, 0
    size = 16 if ci in (0x73, 0x77) else 4 if ci == 0x7A else 12
    if tail - at < size:
        return -1 - size, -1, -1, -1, 0
    ident = 0
    if ci in (0x73, 0x77):
        for i in range(4):
            ident = ident << 8 | (buffer[at + (3 - i if ci == 0x73 else i)] & 0xFF)
        medium = buffer[at + 6] >> 6 | buffer[at + 7] >> 6 << 2
        return 8, ident << 16 | medium, buffer[at + 4] & 0xFF, buffer[at + 5] & 0xFC, 0
    identity = -1
    if ci != 0x7A:
        for i in range(3, -1, -1):
            ident = ident << 8 | (buffer[at + i] & 0xFF)
        manufacturer = (buffer[at + 5] << 8 | buffer[at + 4]) & 0x7FFF
        kind = buffer[at + 6] << 8 | buffer[at + 7]
        identity = manufacturer << 48 | ident << 16 | kind
        at += 8
    configuration = (buffer[at + 3] << 8 | buffer[at + 2]) & 0xFFFF
    return size, identity, buffer[at] & 0xFF, buffer[at + 1] & 0xFF, configuration


@njit(cache=True, nogil=True, forceinline=True)
def _take_frame(
    buffer: Buffer, start: int, end: int, telegram: int, telegrams: Telegrams
) -> tuple[int, int, int, int, int, int]:
    """The header of one sound frame into the columns.

    Returns (records' start, layout, error, error at, expected, got).
    """
    ci = buffer[start + 6] & 0xFF
    at = start + 7
    tail = end - 2
    if ci == 0x70:
        return 0, 0, _APPLICATION_ERROR, at, 0, (buffer[at] & 0xFF) if at < tail else 0
    if ci not in (0x72, 0x73, 0x76, 0x77, 0x78, 0x7A):
        return 0, 0, _UNKNOWN_CI, start + 6, 0, ci
    size, identity, access, status, configuration = _header(buffer, at, tail, ci)
    if size < 0:
        return 0, 0, _HEADER_CUT, at, -1 - size, tail - at
    if telegrams.start[telegram] < 0:
        telegrams.start[telegram] = start
        telegrams.control_information[telegram] = ci
        telegrams.identity[telegram] = identity
        telegrams.access[telegram] = access
        telegrams.status[telegram] = status
        telegrams.configuration[telegram] = configuration
    elif identity != telegrams.identity[telegram]:
        return 0, 0, _OTHER_METER, start, 0, 0
    telegrams.stop[telegram] = end
    if ci in (0x73, 0x77):
        return at + size, FIXED if ci == 0x73 else FIXED_REVERSED, _ACCEPTED, 0, 0, 0
    return at + size, VARIABLE_REVERSED if ci == 0x76 else VARIABLE, _ACCEPTED, 0, 0, 0


@njit(cache=True, nogil=True, forceinline=True)
def _clear(telegram: int, telegrams: Telegrams) -> None:
    """A telegram's row before anything is known."""
    telegrams.error[telegram] = _ACCEPTED
    telegrams.error_at[telegram] = 0
    telegrams.expected[telegram] = 0
    telegrams.got[telegram] = 0
    telegrams.start[telegram] = -1
    telegrams.stop[telegram] = -1
    telegrams.control_information[telegram] = 0
    telegrams.identity[telegram] = -1
    telegrams.access[telegram] = -1
    telegrams.status[telegram] = -1
    telegrams.configuration[telegram] = 0
    telegrams.first_row[telegram] = 0
    telegrams.rows[telegram] = 0
    telegrams.more[telegram] = 0


@njit(cache=True, nogil=True)
def take_frames(
    buffer: Buffer, offsets: NDArray[np.int64], telegrams: Telegrams, spans: Spans
) -> int:
    """Frames and headers of every payload buffer[offsets[i]:offsets[i + 1]] into the columns.

    `spans` says where their records are. Returns the number of spans.
    """
    count = 0
    for telegram in range(offsets.size - 1):
        _clear(telegram, telegrams)
        at = offsets[telegram]
        last_start, last_end, client_at = -1, -1, -1
        while True:
            start, end, error, error_at, expected, got = find_frame(
                buffer, at, offsets[telegram + 1]
            )
            if start >= 0:
                at = end
                if buffer[start + 4] & _FROM_CLIENT_BIT:
                    client_at = start + 4
                    continue
                if last_start >= 0 and _same_bytes(buffer, last_start, last_end, start, end):
                    continue
                last_start, last_end = start, end
                body, layout, error, error_at, expected, got = _take_frame(
                    buffer, start, end, telegram, telegrams
                )
                if error == _ACCEPTED and count < spans.at.size:
                    spans.telegram[count] = telegram
                    spans.at[count] = body
                    spans.stop[count] = body + 8 if layout >= FIXED else end - 2
                    spans.layout[count] = layout
                    count += 1
                    continue
            elif error in (_NO_FRAME, _LENGTHS_DIFFER):  # nothing but noise from here on
                if last_start >= 0:
                    break
                if client_at >= 0:
                    error, error_at, got = _FROM_CLIENT, client_at, buffer[client_at] & 0xFF
            telegrams.error[telegram] = error
            telegrams.error_at[telegram] = error_at
            telegrams.expected[telegram] = expected
            telegrams.got[telegram] = got
            break
    return count
