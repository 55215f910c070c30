"""Telegrams to measure on: the visible frames with other values, ids and access numbers."""

import os
import random
import re
from pathlib import Path
from typing import Final

from adapters.mbus import columns, refusals
from adapters.mbus.decode import walk_batch

_LVAR: Final = 0x0D
_BCD_FIRST: Final = 0x09
_CI_FIXED: Final = 0x73
_CI_REVERSED: Final = 0x76
_HEADER_WITH_ADDRESS: Final = (0x72, _CI_FIXED, _CI_REVERSED)


class NoTelegramsError(Exception):
    """The frames to be varied are not there."""


def corpus() -> list[bytes]:
    """Every visible wired frame that is sound and names its meter, one frame a payload.

    Raises NoTelegramsError without the shared data.
    """
    root = Path(__file__).parents[1]
    folder = Path(os.environ.get("FJARRVAKT_SHARED") or root.parent / "shared") / "telegrams/mbus"
    found = []
    for path in sorted(folder.rglob("*.hex")):
        digits = re.sub(r"[^0-9A-Fa-f]", "", path.read_text("latin-1"))
        payload = bytes.fromhex(digits[: len(digits) // 2 * 2])
        telegram = walk_batch([payload]).telegrams
        start, stop = int(telegram.start[0]), int(telegram.stop[0])
        sound = telegram.error[0] == refusals.ACCEPTED and telegram.identity[0] >= 0
        if sound and stop - start == payload[start + 1] + 6:
            found.append(payload[start:stop])
    if not found:
        raise NoTelegramsError(f"expected telegrams in {folder}; FJARRVAKT_SHARED can name shared")
    return found


def changing(frame: bytes) -> list[tuple[int, int, int]]:
    """Where another value may stand in a frame: (position, bytes, coding) of its numbers.

    Of a longer number only the two lowest bytes change, so that it keeps its size.
    """
    walked = walk_batch([frame])
    records = walked.records
    found = []
    for row in range(walked.record_count):
        start = int(records.start[row])
        data = start + int(records.dib_length[row]) + int(records.vib_length[row])
        size, coding = int(records.data_length[row]), frame[start] & 0x0F
        if records.kind[row] in (columns.INTEGER, columns.REAL) and coding != _LVAR:
            # A counter of the fixed structure has no DIB: it starts with its data.
            coding = _BCD_FIRST if data == start and not frame[start - 3] & 1 else coding
            found.append((data, min(size, 2), coding))
    return found


def varied(frames: list[bytes], count: int, seed: int, meters: int | None = None) -> list[bytes]:
    """`count` telegrams, the frames in turn, no two alike.

    Ids (of `meters` different ones, None: each its own), access numbers and values are drawn,
    digits for digits, and checksums made anew; dates and texts stay. With few meters the frames
    must have enough values to change.
    """
    chance = random.Random(seed)
    places = [changing(frame) for frame in frames]
    ids = chance.sample(range(10**8), meters or count)
    made: dict[bytes, None] = {}
    while len(made) < count:
        kind = len(made) % len(frames)
        telegram = bytearray(frames[kind])
        for at, size, coding in places[kind]:
            for i in range(at, at + size):
                number = chance.randrange(100)
                telegram[i] = int(str(number), 16) if coding >= _BCD_FIRST else number
        if telegram[6] in _HEADER_WITH_ADDRESS:
            digits = int(str(ids[len(made) % len(ids)]), 16).to_bytes(4, "little")
            telegram[7:11] = digits[::-1] if telegram[6] == _CI_REVERSED else digits
            telegram[11 if telegram[6] == _CI_FIXED else 15] = chance.randrange(256)
        telegram[-2] = sum(telegram[4:-2]) & 0xFF
        made[bytes(telegram)] = None
    return list(made)
