"""FNV-1a against the authors' test vectors (http://www.isthe.com/chongo/src/fnv/test_fnv.c)."""

import numpy as np
import pytest

import fjarrvakt  # noqa: F401 - names the folder of compiled kernels before numba is imported
from adapters.fnv import as_buffer, fnv1a64, fnv1a64_batch, fnv_spans


@pytest.mark.parametrize(
    ("data", "unsigned"),
    [
        pytest.param(b"", 0xCBF29CE484222325, id="empty: the offset basis"),
        pytest.param(b"a", 0xAF63DC4C8601EC8C, id="a"),
        pytest.param(b"foobar", 0x85944171F73967E8, id="foobar"),
    ],
)
def test_vectors(data, unsigned):
    assert fnv1a64(data) % 2**64 == unsigned
    assert -(2**63) <= fnv1a64(data) < 2**63


def test_batch_is_each_alone():
    parts = [b"", b"a", b"foobar", bytes(range(256))]
    assert fnv1a64_batch(parts).tolist() == [fnv1a64(part) for part in parts]
    assert fnv1a64_batch([]).tolist() == []


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 9])
def test_spans_in_four_lanes_are_each_alone(count):
    data = bytes(range(256))
    start = np.array([7 * i for i in range(count)], np.int32)
    stop = start + np.array([(5 * i) % 40 for i in range(count)], np.int32)
    out = np.empty(count, np.int64)
    fnv_spans(as_buffer(data), start, stop, out)
    spans = zip(start.tolist(), stop.tolist(), strict=True)
    assert out.tolist() == [fnv1a64(data[first:end]) for first, end in spans]
