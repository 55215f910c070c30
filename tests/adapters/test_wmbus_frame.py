"""Checksums and frame formats of wireless M-Bus (EN 13757-4:2019 12.3, 12.4)."""

import pytest

import fjarrvakt  # noqa: F401 - names the folder of compiled kernels before numba is imported
from adapters.wmbus.frame import DecodeError, checksum, crc16, strip

# OMS specification volume 2 annex N.2.1: a gas meter, security profile A, with checksums.
OMS_A_WITH_CRC = bytes.fromhex(
    "2E44931578563412330333637A2A0020255923C95AAA26D1B2E7493BC2AD013EC4A6F6D3529B520EDFF0EA6DEFC9"
    "55B29D6D69EBF3EC8A"
)
OMS_A = bytes.fromhex(
    "2E4493157856341233037A2A0020255923C95AAA26D1B2E7493B013EC4A6F6D3529B520EDFF0EA6DEFC99D6D69EBF3"
)


def format_a(frame: bytes) -> bytes:
    blocks = [frame[:10], *(frame[at : at + 16] for at in range(10, len(frame), 16))]
    return b"".join(block + checksum(block) for block in blocks)


def format_b(frame: bytes) -> bytes:
    """L counts the checksums: one in a frame of up to 128 bytes, else one at byte 126 as well."""
    size = len(frame) + 2 if len(frame) <= 126 else len(frame) + 4
    frame = bytes((size - 1,)) + frame[1:]
    parts = (frame[:126], frame[126:]) if len(frame) > 126 else (frame,)
    return b"".join(part + checksum(part) for part in parts)


def long_frame(size: int) -> bytes:
    return bytes((size - 1,)) + OMS_A[1:10] + bytes(range(0x78, 0x78 + 16)) * 15 + bytes(size)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"123456789", 0xC2B7, id="check value of CRC-16/EN-13757"),
        pytest.param(OMS_A_WITH_CRC[:10], 0x3363, id="OMS annex N.2.1, first block"),
        pytest.param(b"", 0xFFFF, id="nothing"),
    ],
)
def test_crc(data, expected):
    assert crc16(data) == expected


def test_the_standard_example_is_stripped():
    assert strip(OMS_A_WITH_CRC) == OMS_A
    assert format_a(OMS_A) == OMS_A_WITH_CRC


@pytest.mark.parametrize("size", [11, 12, 26, 27, 42, 43, 126, 127, 128, 200, 252])
@pytest.mark.parametrize("wrap", [format_a, format_b, bytes], ids=["A", "B", "stripped"])
def test_every_format_gives_the_same_frame(size, wrap):
    frame = long_frame(size)[:size]
    assert strip(wrap(frame)) == frame


@pytest.mark.parametrize("wrap", [format_a, bytes], ids=["A", "stripped"])
def test_signal_strength_behind_a_frame_is_left_out(wrap):
    assert strip(wrap(OMS_A) + b"\x5a") == OMS_A


def test_the_last_checksum_left_by_a_receiver_tells_the_length():
    block = OMS_A[42:]
    left = bytes((OMS_A[0] - 2,)) + OMS_A[1:] + checksum(block)
    assert strip(left) == OMS_A


@pytest.mark.parametrize("at", range(1, len(OMS_A_WITH_CRC)))
def test_a_changed_byte_of_format_a_is_seen(at):
    changed = bytearray(OMS_A_WITH_CRC)
    changed[at] ^= 0x10
    with pytest.raises(DecodeError, match="checksum") as found:
        strip(bytes(changed))
    assert found.value.reason == "checksum"


@pytest.mark.parametrize("size", range(len(OMS_A)))
def test_a_frame_cut_short_is_refused(size):
    with pytest.raises(DecodeError) as found:
        strip(OMS_A[:size])
    assert found.value.reason == "frame"
