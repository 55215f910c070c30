"""FNV-1a against the authors' test vectors (http://www.isthe.com/chongo/src/fnv/test_fnv.c)."""

import pytest

import fjarrvakt  # noqa: F401 - names the folder of compiled kernels before numba is imported
from adapters.fnv import fnv1a64, fnv1a64_batch


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
