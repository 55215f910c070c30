"""Compact frames: data without DIFs and VIFs, their format known from a full frame.

EN 13757-3:2018 annex G. A format is the DIFs and VIFs of a full frame one after the other; its
signature is their CRC-16. A compact frame is signature (2), CRC-16 of the full frame's records (2),
least significant byte first, and the data alone.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from adapters.fnv import Buffer, as_buffer
from adapters.mbus.blocks import read_dib, read_vib
from adapters.mbus.columns import Records, Telegrams
from adapters.mbus.refusals import ACCEPTED
from adapters.mbus.walk import DATA_BYTES, lvar_bytes
from adapters.wmbus.frame import DecodeError, crc16, crc_step

HEADER_BYTES: Final = 4
_LVAR: Final = 0x0D
_SPECIAL: Final = 0x0F


class FormatKey(NamedTuple):
    """Which make's format: a signature alone may be another maker's."""

    manufacturer: int
    version: int
    medium: int
    signature: int


Formats = Mapping[FormatKey, bytes]
"""DIFs and VIFs of full frames by make and signature: a plain mapping, easy to keep."""


@njit(cache=True, nogil=True)
def signatures(
    buffer: Buffer, telegrams: Telegrams, records: Records, out: NDArray[np.int64]
) -> None:
    """The format signature of every telegram; -1 where there is none to learn.

    A manufacturer's block has no length of its own, so a format with one cannot be laid out again.
    """
    for telegram in range(telegrams.error.size):
        out[telegram] = -1
        if telegrams.error[telegram] != ACCEPTED or telegrams.rows[telegram] == 0:
            continue
        crc, first = 0, telegrams.first_row[telegram]
        for row in range(first, first + telegrams.rows[telegram]):
            at = records.start[row]
            if records.dib_length[row] == 0 or buffer[at] & 0x0F == _SPECIAL:
                crc = -1
                break
            for i in range(at, at + records.dib_length[row] + records.vib_length[row]):
                crc = crc_step(crc, buffer[i])
        if crc >= 0:
            out[telegram] = crc ^ 0xFFFF


def format_of(plain: bytes, base: int, telegrams: Telegrams, records: Records, index: int) -> bytes:
    """The DIFs and VIFs of telegram `index`, whose bytes `plain` begin at `base` of the buffer."""
    first = int(telegrams.first_row[index])
    parts = []
    for row in range(first, first + int(telegrams.rows[index])):
        start = int(records.start[row]) - base
        parts.append(
            plain[start : start + int(records.dib_length[row]) + int(records.vib_length[row])]
        )
    return b"".join(parts)


def signature_of(compact: bytes) -> int:
    """The signature in front of a compact frame's data. Raises DecodeError when cut short."""
    if len(compact) < HEADER_BYTES:
        raise DecodeError(
            "structure",
            f"expected signature and checksum of a compact frame, got {len(compact)} bytes",
        )
    return int.from_bytes(compact[:2], "little")


def _data_bytes(data: bytes, at: int, coding: int) -> int:
    """Bytes of the value at `at`, its LVAR included; -1 when it runs past the end."""
    size = int(DATA_BYTES[coding])
    if coding == _LVAR:
        if at >= len(data):
            return -1
        size = lvar_bytes(data[at])
        if size < 0:
            return -1
        size += 1
    return size if at + size <= len(data) else -1


def _lay_out(layout: bytes, data: bytes, *, text_last: bool) -> bytes | None:
    """The full records of `data`, None when they do not fit the format."""
    buffer = as_buffer(layout)
    parts: list[bytes] = []
    at, taken = 0, 0
    while at < len(layout):
        vib, _, _, _, error = read_dib(buffer, at, len(layout))
        if error != ACCEPTED:
            return None
        end, *_, error = read_vib(buffer, vib, len(layout), text_last)
        size = _data_bytes(data, taken, layout[at] & 0x0F)
        if error != ACCEPTED or size < 0:
            return None
        parts += (layout[at:end], data[taken : taken + size])
        at, taken = end, taken + size
    return b"".join(parts) if taken == len(data) else None


def expand(compact: bytes, layout: bytes, *, checked: bool = False) -> bytes:
    """The full records of a compact frame.

    `checked`: a checksum around the frame was right. Then the one of the full frame may be wrong:
    there are meters that send it of the last full frame they sent, not of these data. Raises
    DecodeError when the data do not fit the format or, unchecked, that checksum.
    """
    expected = int.from_bytes(compact[2:HEADER_BYTES], "little")
    data = compact[HEADER_BYTES:]
    fitting = (_lay_out(layout, data, text_last=last) for last in (False, True))
    found = [records for records in fitting if records is not None]
    if not found:
        raise DecodeError(
            "structure",
            f"expected data for the format {layout.hex().upper()}, got {len(data)} bytes",
        )
    for records in found:
        if crc16(records) == expected:
            return records
    if checked:
        return found[0]
    raise DecodeError(
        "checksum", f"expected checksum {crc16(found[0]):04X} of the full frame, got {expected:04X}"
    )
