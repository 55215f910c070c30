"""FNV-1a, 64 bits: the hash by which copies of a telegram and kinds of record are known.

http://www.isthe.com/chongo/tech/comp/fnv/. The state is a signed int64, as PostgreSQL's bigint
holds it.
"""

from collections.abc import Sequence
from typing import Final

import numba
import numpy as np
from numba import njit
from numba.extending import overload
from numpy.typing import NDArray

Buffer = NDArray[np.uint8] | bytes
"""Bytes as kernels read them, see `as_buffer`."""

FNV_BASIS: Final = 0xCBF29CE484222325 - (1 << 64)
_PRIME: Final = 0x100000001B3


def as_int64(number: int) -> int:
    """The low 64 bits of a number as a signed int64."""
    return (number + (1 << 63) & 0xFFFFFFFFFFFFFFFF) - (1 << 63)


# In compiled code arithmetic wraps by itself. numba wants no annotations where the lambda has none.
overload(as_int64)(lambda number: lambda number: number)  # noqa: ARG005 - it goes by the name


@njit(cache=True, nogil=True, forceinline=True)
def fnv_step(state: int, byte: int) -> int:
    """One byte into the state."""
    return as_int64((state ^ byte) * _PRIME)


@njit(cache=True, nogil=True, forceinline=True)
def fnv_span(buffer: Buffer, start: int, stop: int) -> int:
    """The hash of buffer[start:stop]; the caller has checked the bounds."""
    state = FNV_BASIS
    for i in range(start, stop):
        state = fnv_step(state, buffer[i])
    return state


@njit(cache=True, nogil=True, forceinline=True)
def _four_on(
    buffer: Buffer,
    at: NDArray[np.int64],
    size: int,
    state: NDArray[np.int64],
) -> None:
    """`size` bytes from each of at[0:4] into four states; the caller has checked the bounds.

    Each step waits for the product of the one before it: four chains side by side wait together.
    """
    a, b, c, d = int(at[0]), int(at[1]), int(at[2]), int(at[3])
    of_a, of_b, of_c, of_d = int(state[0]), int(state[1]), int(state[2]), int(state[3])
    for i in range(size):
        of_a = fnv_step(of_a, buffer[a + i])
        of_b = fnv_step(of_b, buffer[b + i])
        of_c = fnv_step(of_c, buffer[c + i])
        of_d = fnv_step(of_d, buffer[d + i])
    state[0], state[1], state[2], state[3] = of_a, of_b, of_c, of_d


@njit(cache=True, nogil=True)
def fnv_spans(
    buffer: Buffer, start: NDArray[np.int32], stop: NDArray[np.int32], out: NDArray[np.int64]
) -> None:
    """The hash of every buffer[start[i]:stop[i]] into out[i].

    A span is empty or lies in the buffer. Four are hashed at a time; where one ends, the next takes
    its lane.
    """
    at, left, of = np.zeros(4, np.int64), np.zeros(4, np.int64), np.full(4, -1, np.int64)
    state = np.zeros(4, np.int64)
    following = 0
    while True:
        for lane in range(4):
            while left[lane] == 0 and following < out.size:
                if of[lane] >= 0:
                    out[of[lane]] = state[lane]
                of[lane], at[lane], state[lane] = following, start[following], FNV_BASIS
                left[lane] = stop[following] - start[following]
                following += 1
        size = min(left[0], left[1], left[2], left[3])
        if size == 0:
            break
        _four_on(buffer, at, size, state)
        for lane in range(4):
            at[lane] += size
            left[lane] -= size
    for lane in range(4):
        if of[lane] >= 0:
            last = int(state[lane])
            for i in range(at[lane], at[lane] + left[lane]):
                last = fnv_step(last, buffer[i])
            out[of[lane]] = last


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
