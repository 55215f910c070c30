"""FNV-1a, 64 bits: the hash by which copies of a telegram and kinds of record are known.

http://www.isthe.com/chongo/tech/comp/fnv/. The state is held as two halves of 32 bits, so no
product leaves int64 and the un-jitted run gives the same result: the prime is 2^40 + 0x1B3, so
`h * prime` is `(h << 40) + h * 0x1B3`.
"""

from collections.abc import Sequence
from typing import Final

import numba
import numpy as np
from numba import njit
from numpy.typing import NDArray

Buffer = NDArray[np.uint8] | bytes
"""Bytes as kernels read them, see `as_buffer`."""

FNV_HIGH: Final = 0xCBF29CE4
FNV_LOW: Final = 0x84222325
"""The two halves of the offset basis."""


@njit(cache=True, nogil=True, forceinline=True)
def fnv_step(high: int, low: int, byte: int) -> tuple[int, int]:
    """One byte into the state; returns (high, low)."""
    low ^= byte
    product = low * 0x1B3
    return (high * 0x1B3 + (product >> 32) + (low << 8)) & 0xFFFFFFFF, product & 0xFFFFFFFF


@njit(cache=True, nogil=True, forceinline=True)
def fnv_signed(high: int, low: int) -> int:
    """The state as a signed int64, as PostgreSQL's bigint holds it."""
    if high >= 0x80000000:
        high -= 0x100000000
    return high << 32 | low


@njit(cache=True, nogil=True, forceinline=True)
def fnv_span(buffer: Buffer, start: int, stop: int) -> int:
    """The hash of buffer[start:stop]; the caller has checked the bounds."""
    high, low = FNV_HIGH, FNV_LOW
    for i in range(start, stop):
        high, low = fnv_step(high, low, buffer[i])
    return fnv_signed(high, low)


@njit(cache=True, nogil=True)
def _fnv_batch(buffer: Buffer, offsets: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    for i in range(out.size):
        out[i] = fnv_span(buffer, offsets[i], offsets[i + 1])


def as_buffer(joined: bytes) -> Buffer:
    """Bytes as kernels read them: a uint8 array.

    Plain bytes when numba is switched off, because numpy's scalars wrap at their own width and
    Python's ints do not.
    """
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]  # numba makes its settings at run time
        return joined
    return np.frombuffer(joined, np.uint8)


def joined_offsets(parts: Sequence[bytes]) -> NDArray[np.int64]:
    """Where each part starts in their concatenation, and the end. int64, shape (n + 1,)."""
    offsets = np.zeros(len(parts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)), out=offsets[1:])
    return offsets


def fnv1a64(data: bytes) -> int:
    """FNV-1a 64 of `data` as a signed int64."""
    return int(fnv1a64_batch([data])[0])


def fnv1a64_batch(parts: Sequence[bytes]) -> NDArray[np.int64]:
    """FNV-1a 64 of each part as signed int64, shape (n,)."""
    out = np.empty(len(parts), np.int64)
    _fnv_batch(as_buffer(b"".join(parts)), joined_offsets(parts), out)
    return out


def warm() -> None:
    """Compile the kernels of this module."""
    fnv1a64_batch([b"a"])
