"""The front door of the wired M-Bus decoder: bytes in, rows and refusals out (EN 13757-2, -3, -7).

Two kernels do the work for a whole batch: adapters/mbus/wired.py and walk.py take frames and
records into columns, mapping.py makes registers of them. Refused telegrams alone cost Python.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adapters import fnv
from adapters.fnv import Buffer, as_buffer, joined_offsets
from adapters.mbus import columns, refusals
from adapters.mbus.columns import Records, Telegrams
from adapters.mbus.document import document
from adapters.mbus.mapping import identify, map_registers
from adapters.mbus.profile import NO_PROFILES, MeterProfiles
from adapters.mbus.walk import walk_spans
from adapters.mbus.wired import take_frames
from adapters.registers import MISSING, Decoded, Refusal, Rows, empty_rows

CHUNK_BYTES: Final = 256 * 1024
"""About how many bytes go through both kernels at a time: their columns stay in the cache."""


class Walked(NamedTuple):
    """A batch in columns: `record_count` rows of `records` are filled.

    Payload i is buffer[offsets[i]:offsets[i + 1]].
    """

    buffer: Buffer
    offsets: NDArray[np.int64]
    telegrams: Telegrams
    records: Records
    record_count: int


def walk_batch(payloads: Sequence[bytes]) -> Walked:
    """Step 1 alone: frames, headers and records of a batch in columns.

    Raises ValueError when the batch is 2 GiB or more, the reach of the columns' positions.
    """
    return _walk(payloads, joined_offsets(payloads))


def _walk(payloads: Sequence[bytes], offsets: NDArray[np.int64]) -> Walked:
    size = int(offsets[-1])
    if size >= 2**31:
        raise ValueError(f"a batch of less than 2 GiB is expected, got {size} bytes")
    buffer = as_buffer(b"".join(payloads))
    telegrams = columns.telegrams(len(payloads))
    spans = columns.spans(size)
    records = columns.records(size)
    span_count = take_frames(buffer, offsets, telegrams, spans)
    record_count = walk_spans(buffer, spans, span_count, telegrams, records)
    return Walked(buffer, offsets, telegrams, records, record_count)


def walk_chunks(payloads: Sequence[bytes]) -> Iterator[Walked]:
    """Step 1 as `decode_batch` takes it: a large batch in chunks that stay in the cache."""
    for first, end, offsets in _chunks(payloads):
        yield _walk(payloads[first:end], offsets)


def map_walked(walked: Walked, profiles: MeterProfiles) -> Rows:
    """Step 2: one row per telegram; those of refused telegrams stay empty."""
    telegrams = walked.telegrams
    rows = empty_rows(telegrams.error.size)
    rows.identity[:] = telegrams.identity
    rows.access[:] = telegrams.access
    rows.status[:] = np.maximum(telegrams.status, 0)
    profile = np.empty(telegrams.error.size, np.int64)
    table = profiles.table
    identify(walked.buffer, telegrams, table.matches, rows.content_hash, profile)
    map_registers(
        telegrams,
        walked.records,
        table,
        profile,
        rows.meter_clock_us,
        rows.registers,
        rows.quality,
        rows.energy_step_j,
        rows.volume_step_ml,
    )
    return rows


def refusals_of(payloads: Sequence[bytes], walked: Walked, rows: Rows) -> dict[int, Refusal]:
    """The refusals of a chunk, by index in it."""
    telegrams = walked.telegrams
    error = telegrams.error.astype(np.int64)
    sound = error == refusals.ACCEPTED
    empty = (rows.registers == MISSING).all(axis=1) & (rows.quality == 0)
    without_identity = sound & (telegrams.identity < 0)
    error[sound & empty] = refusals.NO_REGISTER
    error[without_identity] = refusals.NO_IDENTITY
    got = np.where(error == refusals.NO_REGISTER, telegrams.rows, telegrams.got)
    got[without_identity] = telegrams.control_information[without_identity]
    at = np.maximum(telegrams.error_at - walked.offsets[:-1], 0)
    which = np.flatnonzero(error)
    facts = zip(
        *(column[which].tolist() for column in (error, at, telegrams.expected, got)), strict=True
    )
    return {
        i: refusals.refusal(code, payloads[i], *of_it)
        for i, (code, *of_it) in zip(which.tolist(), facts, strict=True)
    }


def _chunks(payloads: Sequence[bytes]) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """(first, end, offsets from 0) of about CHUNK_BYTES each."""
    offsets = joined_offsets(payloads)
    first = 0
    while first < len(payloads):
        end = int(np.searchsorted(offsets, offsets[first] + CHUNK_BYTES))
        end = min(max(end, first + 1), len(payloads))
        yield first, end, offsets[first : end + 1] - offsets[first]
        first = end


def kept_rows(rows: Rows, first: int, refused: dict[int, Refusal]) -> Rows:
    """The rows that were not refused, with their envelopes' indices from `first` on."""
    keep = np.ones(len(rows), bool)
    keep[list(refused)] = False
    kept = {name: column[keep] for name, column in vars(rows).items()}
    kept["envelope"] = first + np.flatnonzero(keep)
    return Rows(**kept)


def decode_batch(payloads: Sequence[bytes], profiles: MeterProfiles) -> Decoded:
    """One row per payload that is a meter's answer with a register we keep, else a refusal.

    A payload holds one long frame, or the frames of a multi-telegram answer back to back. A live
    value's time is not the meter's clock: `at_us` is MISSING, `meter_clock_us` is what VIF 6D
    (type F or I, storage 0) says, read as UTC+1 unless its summer-time bit is set. Never raises
    for any bytes.
    """
    parts: list[Rows] = []
    refused: dict[int, Refusal] = {}
    for first, end, offsets in _chunks(payloads):
        chunk = payloads[first:end]
        walked = _walk(chunk, offsets)
        rows = map_walked(walked, profiles)
        of_chunk = refusals_of(chunk, walked, rows)
        parts.append(kept_rows(rows, first, of_chunk))
        refused.update((first + i, refusal) for i, refusal in of_chunk.items())
    if len(parts) == 1:
        return Decoded(rows=parts[0], refused=refused)
    parts = parts or [empty_rows(0)]
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])
    }
    return Decoded(rows=Rows(**joined), refused=refused)


def decode_one(payload: bytes, profiles: MeterProfiles | None = None) -> dict[str, Any]:
    """Everything in one payload: a batch of one through the same kernels, as a JSON-ready dict.

    The shape is documented in adapters/mbus/document.py. `ok` is False and `error` a sentence when
    the telegram was refused; one without a register we keep is ok.
    """
    walked = walk_batch([payload])
    rows = map_walked(walked, profiles or NO_PROFILES)
    return document(payload, walked.telegrams, walked.records, rows)


def more_follows(payload: bytes) -> bool:
    """Whether the answer ends in DIF 1F: the meter has more records for the next request."""
    telegrams = walk_batch([payload]).telegrams
    return bool(telegrams.error[0] == refusals.ACCEPTED and telegrams.more[0])


def warm() -> None:
    """Compile every kernel of the wired decoder, or take it from the cache."""
    fnv.warm()
    decode_batch([b""], NO_PROFILES)
