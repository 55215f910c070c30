"""Frames of wireless M-Bus: formats A and B with their checksums, or stripped of them.

EN 13757-4:2019 12.3, 12.4. Receivers differ in what they hand on, so the format is found out.
"""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from adapters.fnv import Buffer, as_buffer

_POLYNOMIAL: Final = 0x3D65
_FIRST_BLOCK: Final = 10
_BLOCK: Final = 16
_CRC: Final = 2
_B_FIRST: Final = 128
"""Format B: the first checksum stands at the end of so many bytes, or of a shorter frame."""


def _table() -> NDArray[np.int64]:
    """The remainder of every byte in front of 16 zero bits."""
    table = np.zeros(256, np.int64)
    for byte in range(256):
        rest = byte << 8
        for _ in range(8):
            rest = (rest << 1) ^ (_POLYNOMIAL if rest & 0x8000 else 0)
        table[byte] = rest & 0xFFFF
    return table


_REMAINDER: Final = _table()


@njit(cache=True, nogil=True, forceinline=True)
def crc_step(crc: int, byte: int) -> int:
    """One byte into the state of the checksum, which begins at 0 and is inverted at the end."""
    return (crc << 8 & 0xFFFF) ^ int(_REMAINDER[(crc >> 8 ^ byte) & 0xFF])


@njit(cache=True, nogil=True)
def _crc(buffer: Buffer) -> int:
    crc = 0
    for byte in buffer:
        crc = crc_step(crc, byte)
    return crc ^ 0xFFFF


def crc16(data: bytes) -> int:
    """CRC-16/EN-13757: polynomial 0x3D65, most significant bit first, inverted."""
    return int(_crc(as_buffer(data)))


def checksum(data: bytes) -> bytes:
    """The checksum as it stands in a frame, most significant byte first."""
    return crc16(data).to_bytes(2, "big")


class DecodeError(ValueError):
    """Why a telegram gives no records: `reason` of a short list, and what came where."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def _size_a(length: int) -> int:
    """Bytes of a format A frame with L `length`: the first block has ten, L itself is not in L."""
    return length + 1 + _CRC * (1 + (length + 1 - _FIRST_BLOCK + _BLOCK - 1) // _BLOCK)


def _blocks_a(length: int) -> list[tuple[int, int]]:
    """(start, end of the checksum) of the blocks of a format A frame with L `length`."""
    left, at = length + 1, 0
    blocks = []
    size = _FIRST_BLOCK
    while left > 0:
        end = at + min(size, left) + _CRC
        blocks.append((at, end))
        left -= size
        at, size = end, _BLOCK
    return blocks


def _blocks_b(length: int) -> list[tuple[int, int]]:
    """The same of a format B frame, whose L counts its checksums too."""
    size = length + 1
    if size <= _B_FIRST:
        return [(0, size)]
    return [(0, _B_FIRST), (_B_FIRST, size)]


def _wrong_block(payload: bytes, blocks: list[tuple[int, int]]) -> int:
    """Where the first wrong checksum stands, -1 when all are right."""
    for start, end in blocks:
        if payload[end - _CRC : end] != checksum(payload[start : end - _CRC]):
            return end - _CRC
    return -1


def _stripped(payload: bytes, blocks: list[tuple[int, int]]) -> bytes:
    """The frame without checksums; its L counts what is left."""
    frame = b"".join(payload[start : end - _CRC] for start, end in blocks)
    return bytes((len(frame) - 1,)) + frame[1:]


def strip(payload: bytes) -> bytes:
    """The frame from L to its last byte, without checksums.

    Tried in turn: format A, format B, stripped, stripped of all checksums but the last with an L
    that was made too small. What a receiver adds behind the frame (signal strength) is left out.
    Raises DecodeError when it is shorter than it says, or
    as long as format A makes it but with a wrong checksum.
    """
    if len(payload) < _FIRST_BLOCK + 1 or payload[0] < _FIRST_BLOCK:
        raise DecodeError(
            "frame",
            f"expected a wireless frame of at least {_FIRST_BLOCK + 1} bytes, its length first, "
            f"got {len(payload)} bytes: {payload[:_FIRST_BLOCK].hex(' ').upper() or 'nothing'}",
        )
    length = payload[0]
    if len(payload) >= _size_a(length):
        blocks = _blocks_a(length)
        wrong = _wrong_block(payload, blocks)
        if wrong < 0:
            return _stripped(payload, blocks)
        if len(payload) == _size_a(length):
            crc = checksum(_block_of(payload, blocks, wrong)).hex().upper()
            raise DecodeError(
                "checksum",
                f"expected checksum {crc}, got {payload[wrong : wrong + _CRC].hex().upper()} "
                f"at byte {wrong} of a format A frame",
            )
    if len(payload) < length + 1:
        raise DecodeError(
            "frame", f"expected a frame of {length + 1} bytes, got {len(payload)} from byte 0 on"
        )
    blocks = _blocks_b(length)
    if all(end - start > _CRC for start, end in blocks) and _wrong_block(payload, blocks) < 0:
        return _stripped(payload, blocks)
    if len(payload) > length + 1 and _ends_in_checksum(payload):
        return bytes((len(payload) - _CRC - 1,)) + payload[1:-_CRC]
    return payload[: length + 1]


def _ends_in_checksum(payload: bytes) -> bool:
    """Whether a receiver left the last checksum of format A where it took the others out."""
    size = len(payload) - _CRC
    last = _FIRST_BLOCK + (size - _FIRST_BLOCK - 1) // _BLOCK * _BLOCK
    return size < 256 and payload[size:] == checksum(payload[last:size])


def _block_of(payload: bytes, blocks: list[tuple[int, int]], crc_at: int) -> bytes:
    """The bytes that the checksum at `crc_at` is of."""
    start = next(start for start, end in blocks if end == crc_at + _CRC)
    return payload[start:crc_at]


def warm() -> None:
    """Compile the kernel of this module."""
    crc16(b"")
