"""The front door of the wireless M-Bus decoder: bytes in, rows and refusals out.

EN 13757-4, EN 13757-7, OMS volume 2. Each telegram is opened by itself (layers.py); the records of
the whole batch then go through the kernels of the wired decoder, which do not know what carried
them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adapters import identity as meter_identity
from adapters.fnv import as_buffer, joined_offsets
from adapters.mbus import columns, refusals
from adapters.mbus import decode as wired
from adapters.mbus.columns import UNDECODABLE, VARIABLE
from adapters.mbus.decode import Walked, kept_rows, map_walked, refusals_of
from adapters.mbus.document import document
from adapters.mbus.profile import NO_PROFILES, MeterProfiles
from adapters.mbus.walk import walk_spans
from adapters.registers import Decoded, Refusal, empty_rows
from adapters.wmbus import compact, frame
from adapters.wmbus.compact import FormatKey, Formats
from adapters.wmbus.frame import DecodeError
from adapters.wmbus.layers import FindKey, Opened, open_telegram

Keys = Callable[[int], bytes | None] | Mapping[int, bytes]
"""The AES-128 key of a meter by its identity (adapters/identity.py)."""

_MANUFACTURER_BLOCK: Final = b"\x0f"
_FILLED: Final = b"\xff"
NO_FORMATS: Final[Formats] = {}


@dataclass(kw_only=True)
class DecodedWireless(Decoded):
    """Rows and refusals, and `learned`: formats of full frames that `formats` did not have.

    Four refusals are worth another try: `key_missing` and `key_wrong` with the (right) key,
    `format_unknown` once its format was learned, and `mac_wrong` never: it was changed on its way.
    """

    learned: dict[FormatKey, bytes] = field(default_factory=dict)


class _Batch(NamedTuple):
    """Opened telegrams in columns, and their place in the caller's batch."""

    indices: list[int]
    opened: list[Opened]
    walked: Walked


def _finder(keys: Keys) -> FindKey:
    return keys if callable(keys) else keys.get


def _body(opened: Opened) -> bytes:
    """The bytes of a telegram as the kernels get them: a maker's own as a block after DIF 0F."""
    if not opened.proprietary:
        return opened.plain
    at = opened.records_at
    return opened.plain[:at] + _MANUFACTURER_BLOCK + opened.plain[at:]


def _set_headers(opened: Sequence[Opened], telegrams: columns.Telegrams) -> None:
    """Everything but the records of the telegrams' columns."""
    telegrams.error[:] = refusals.ACCEPTED
    for column in (telegrams.error_at, telegrams.expected, telegrams.got, telegrams.first_row):
        column[:] = 0
    telegrams.rows[:] = 0
    telegrams.more[:] = 0
    # What was ciphered is clear by now: records that break off are broken, not encrypted.
    telegrams.configuration[:] = 0
    for i, one in enumerate(opened):
        telegrams.control_information[i] = one.control_information
        telegrams.identity[i] = one.identity
        telegrams.access[i] = one.access
        telegrams.status[i] = one.status


def _filled(bodies: Sequence[bytes], walked: Walked) -> dict[int, int]:
    """Telegrams whose records break off where nothing but FF follows, and where that is."""
    found = {}
    for i in np.flatnonzero(walked.telegrams.error).tolist():
        at = int(walked.telegrams.error_at[i] - walked.offsets[i])
        if not bodies[i][at:].strip(_FILLED):
            found[i] = at
    return found


def _walk(opened: Sequence[Opened]) -> Walked:
    """The records of opened telegrams into columns, by the kernel of the wired decoder.

    Some meters fill their frames up with FF, which no record begins with: it is left out.
    """
    bodies = [_body(one) for one in opened]
    walked = _walk_bodies(opened, bodies)
    filled = _filled(bodies, walked)
    if filled:
        walked = _walk_bodies(opened, [body[: filled.get(i)] for i, body in enumerate(bodies)])
    return walked


def _walk_bodies(opened: Sequence[Opened], bodies: Sequence[bytes]) -> Walked:
    offsets = joined_offsets(bodies)
    size = int(offsets[-1])
    if size >= 2**31:
        raise ValueError(f"a batch of less than 2 GiB is expected, got {size} bytes")
    buffer = as_buffer(b"".join(bodies))
    count = len(opened)
    telegrams, records = columns.telegrams(count), columns.records(size)
    _set_headers(opened, telegrams)
    telegrams.start[:] = offsets[:-1]
    telegrams.stop[:] = offsets[1:]
    spans = columns.Spans(
        telegram=np.arange(count, dtype=np.int32),
        at=(offsets[:-1] + [one.records_at for one in opened]).astype(np.int32),
        stop=offsets[1:].astype(np.int32),
        layout=np.full(count, VARIABLE, np.uint8),
    )
    rows = walk_spans(buffer, spans, count, telegrams, records)
    for i, one in enumerate(opened):
        if one.proprietary and telegrams.rows[i]:
            row = telegrams.first_row[i]
            records.start[row] += 1
            records.dib_length[row] = 0
            records.quality[row] = UNDECODABLE
    return Walked(buffer, offsets, telegrams, records, rows)


def _format_key(identity: int, signature: int) -> FormatKey:
    manufacturer, _, version, medium = meter_identity.unpack(identity)
    return FormatKey(manufacturer, version, medium, signature)


def _learn(opened: Sequence[Opened], walked: Walked, formats: Formats) -> dict[FormatKey, bytes]:
    """The formats of full frames that `formats` lacks."""
    found: NDArray[np.int64] = np.empty(len(opened), np.int64)
    compact.signatures(walked.buffer, walked.telegrams, walked.records, found)
    learned: dict[FormatKey, bytes] = {}
    for i in np.flatnonzero(found >= 0).tolist():
        key = _format_key(opened[i].identity, int(found[i]))
        if key not in formats and key not in learned:
            base = int(walked.offsets[i])
            learned[key] = compact.format_of(
                opened[i].plain, base, walked.telegrams, walked.records, i
            )
    return learned


def _expanded(opened: Opened, formats: Formats) -> Opened:
    """A compact telegram with its full records. Raises DecodeError without a fitting format."""
    body = opened.plain[opened.records_at :]
    key = _format_key(opened.identity, compact.signature_of(body))
    layout = formats.get(key)
    if layout is None:
        raise DecodeError(
            "format_unknown",
            f"expected a full frame of {meter_identity.text(opened.identity)} before this compact "
            f"one: its format {key.signature:04X} is not known",
        )
    records = compact.expand(body, layout, checked=opened.checked)
    return replace(opened, plain=opened.plain[: opened.records_at] + records)


def _open_batch(
    payloads: Sequence[bytes], keys: Keys, formats: Formats
) -> tuple[list[_Batch], dict[int, Refusal], dict[FormatKey, bytes]]:
    """Full telegrams, then the compact ones with what the full ones taught."""
    find_key = _finder(keys)
    full: tuple[list[int], list[Opened]] = ([], [])
    short: tuple[list[int], list[Opened]] = ([], [])
    refused: dict[int, Refusal] = {}
    for i, payload in enumerate(payloads):
        opened, error = open_telegram(payload, find_key)
        if error is not None:
            refused[i] = Refusal(error.reason, error.detail)
            continue
        indices, group = short if opened.compact else full
        indices.append(i)
        group.append(opened)
    walked = _walk(full[1])
    learned = _learn(full[1], walked, formats)
    known = {**formats, **learned} if learned else formats
    expanded: tuple[list[int], list[Opened]] = ([], [])
    for i, opened in zip(*short, strict=True):
        try:
            expanded[1].append(_expanded(opened, known))
            expanded[0].append(i)
        except DecodeError as error:
            refused[i] = Refusal(error.reason, error.detail)
    batches = [_Batch(*full, walked), _Batch(*expanded, _walk(expanded[1]))]
    return batches, refused, learned


def decode_batch(
    payloads: Sequence[bytes], keys: Keys, formats: Formats, profiles: MeterProfiles
) -> DecodedWireless:
    """One row per payload that is a meter's telegram with a register we keep, else a refusal.

    A payload is one frame, format A or B or stripped of checksums. `keys` has the key of each
    meter that needs one, `formats` the formats learned so far; a compact frame may come before the
    full frame that tells its format, in the same batch. Rows stand in the order of their payloads,
    their times are as in adapters/mbus/decode.py. The content's hash is of the clear frame without
    checksums: one telegram heard by two receivers has one. Never raises for any bytes.
    """
    batches, refused, learned = _open_batch(payloads, keys, formats)
    parts = []
    for batch in batches:
        rows = map_walked(batch.walked, profiles)
        plain = [_body(one) for one in batch.opened]
        of_batch = refusals_of(plain, batch.walked, rows)
        kept = kept_rows(rows, 0, of_batch)
        parts.append(replace(kept, envelope=np.array(batch.indices, np.int64)[kept.envelope]))
        refused.update((batch.indices[i], refusal) for i, refusal in of_batch.items())
    order = np.argsort(np.concatenate([part.envelope for part in parts]), kind="stable")
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])[order]
        for name in vars(parts[0])
    }
    return DecodedWireless(
        rows=replace(parts[0], **joined), refused=dict(sorted(refused.items())), learned=learned
    )


def _refused_document(payload: bytes, opened: Opened, detail: str) -> dict[str, Any]:
    """The dict of a telegram that has no records to show."""
    telegrams = columns.telegrams(1)
    _set_headers([opened], telegrams)
    telegrams.start[:] = 0
    telegrams.stop[:] = 0
    found = document(payload, telegrams, columns.records(0), empty_rows(1))
    return found | {"ok": False, "security": opened.security, "error": detail}


def decode_one(
    payload: bytes,
    key: bytes | None = None,
    profiles: MeterProfiles | None = None,
    formats: Formats = NO_FORMATS,
) -> dict[str, Any]:
    """Everything in one wireless telegram, in the shape of adapters/mbus/document.py.

    `security` is what had to be opened: a telegram deciphered by its receiver has none. A frame
    with a layout of its maker's own (CI A0 to B7) is one record of quality undecodable. Offsets in
    `error` are of the clear frame without checksums.
    """
    opened, error = open_telegram(payload, lambda _: key)
    if error is None and opened.compact:
        try:
            opened = _expanded(opened, formats)
        except DecodeError as unfit:
            error = unfit
    if error is not None:
        return _refused_document(payload, opened, error.detail)
    walked = _walk([opened])
    rows = map_walked(walked, profiles or NO_PROFILES)
    found = document(_body(opened), walked.telegrams, walked.records, rows)
    return found | {"frame": payload.hex().upper(), "security": opened.security}


def learned_from(
    payload: bytes, key: bytes | None = None, formats: Formats = NO_FORMATS
) -> dict[FormatKey, bytes]:
    """The format a full frame teaches, nothing when there is none or `formats` has it."""
    return _open_batch([payload], lambda _: key, formats)[2]


def warm() -> None:
    """Compile every kernel of the wireless decoder, or take it from the cache."""
    frame.warm()
    wired.warm()
    decode_batch([b""], {}, {}, NO_PROFILES)
    compact.expand(bytes(5), b"\x01\x13", checked=True)
