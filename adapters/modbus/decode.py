"""Register blocks to readings, whole batches at once by numpy views.

pymodbus swaps words but never bytes and scales nothing; a wrong order gives 2.3e-41 and no error.
So orders, scales and invalid marks are all ours.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from adapters import fnv, identity
from adapters.bounds import BOUNDS, INT64_MAX
from adapters.fnv import fnv1a64
from adapters.modbus.registermap import TYPES, Block, Point, RegisterMap
from adapters.registers import (
    REGISTER_INDEX,
    Decoded,
    Refusal,
    RegisterQuality,
    empty_rows,
)


class _Answer(NamedTuple):
    """One payload: the blocks as they were read, in the order of the plan."""

    place: int
    identity: int
    content_hash: int
    registers: bytes


def decode_batch(payloads: Sequence[bytes], maps: Mapping[str, RegisterMap]) -> Decoded:
    """Decode answers of Modbus meters, the JSON that adapters/modbus/source.py makes.

    A block that could not be read is absent; its registers are MISSING. Refusals: `json`,
    `identity`, `protocol` (unknown profile), `no_register`.
    """
    groups: dict[tuple[str, tuple[Block, ...]], list[_Answer]] = {}
    refused: dict[int, Refusal] = {}
    for index, payload in enumerate(payloads):
        try:
            name, blocks, answer = _parse(index, payload, maps)
        except _RefusedError as error:
            refused[index] = Refusal(error.reason, str(error))
        else:
            groups.setdefault((name, blocks), []).append(answer)
    rows = empty_rows(len(payloads) - len(refused))
    place = 0
    for (name, blocks), answers in groups.items():
        span = slice(place, place + len(answers))
        rows.envelope[span] = [answer.place for answer in answers]
        rows.identity[span] = [answer.identity for answer in answers]
        rows.content_hash[span] = [answer.content_hash for answer in answers]
        rows.energy_step_j[span] = maps[name].energy_step_j
        rows.volume_step_ml[span] = maps[name].volume_step_ml
        wire = np.frombuffer(b"".join(answer.registers for answer in answers), np.uint8)
        wire = wire.reshape(len(answers), -1)
        for point in maps[name].points:
            offset = _offset(point, blocks)
            if offset is not None:
                values, quality = decode_point(point, wire[:, offset : offset + point.size])
                column = REGISTER_INDEX[point.register]
                rows.registers[span, column] = values
                rows.quality[span] |= quality << 2 * column
        place = span.stop
    return Decoded(rows=rows, refused=refused)


def decode_point(
    point: Point, wire: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Values in the register's unit (MISSING where there is none) and their RegisterQuality.

    `wire` has shape (n, bytes of the value), as read. Integers are scaled exactly and rounded half
    to even; floats in float64.
    """
    raw = np.ascontiguousarray(wire[:, point.byte_order()])
    pattern = raw.view(f">u{point.size}")[:, 0]
    number = raw.view(f">{TYPES[point.type]}")[:, 0]
    invalid = np.isin(pattern, np.asarray(point.invalid, np.uint64))
    if number.dtype.kind == "f":
        invalid |= ~np.isfinite(number)
        exact = np.where(invalid, 0.0, number.astype(np.float64)) * float(point.scale.numerator)
        scaled = np.rint(exact / float(point.scale.denominator))
    else:
        scaled = _scaled_integers(number, point)
    low, high = BOUNDS[point.register]
    outside = ~invalid & ((scaled < low) | (scaled > min(high, 2**62)))
    quality = np.where(
        invalid,
        int(RegisterQuality.INVALID),
        np.where(outside, int(RegisterQuality.OUT_OF_RANGE), 0),
    )
    return np.where(quality > 0, np.iinfo(np.int64).min, scaled).astype(np.int64), quality


def _scaled_integers(number: NDArray[Any], point: Point) -> NDArray[np.int64]:
    """Number * scale, half to even; what no int64 holds becomes one past every bound."""
    numerator, denominator = point.scale.numerator, point.scale.denominator
    room = np.abs(number.astype(np.float64)) < INT64_MAX / (2 * numerator)
    product = np.where(room, number, 0).astype(np.int64) * numerator
    quotient, rest = np.divmod(product, denominator)
    twice = 2 * rest
    quotient += (twice > denominator) | ((twice == denominator) & (quotient % 2 == 1))
    return np.where(room, quotient, INT64_MAX)


class _RefusedError(ValueError):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def _parse(
    index: int, payload: bytes, maps: Mapping[str, RegisterMap]
) -> tuple[str, tuple[Block, ...], _Answer]:
    try:
        fields = orjson.loads(payload)
        name, meter = fields["profile"], fields["meter"]
        parts = [
            (int(f), int(address), bytes.fromhex(text)) for f, address, text in fields["blocks"]
        ]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise _RefusedError(
            "json",
            'expected {"profile", "meter", "blocks": [[function, address, "hex"]]}, '
            f"got {payload!r:.120} ({type(error).__name__}: {error})",
        ) from None
    if name not in maps:
        raise _RefusedError(
            "protocol", f"unknown register map {name!r:.80}; known: {', '.join(sorted(maps))}"
        )
    try:
        meter_identity = identity.parse(str(meter))
    except ValueError as error:
        raise _RefusedError("identity", str(error)) from None
    blocks = tuple(Block(f, address, len(data) // 2) for f, address, data in parts)
    if all(_offset(point, blocks) is None for point in maps[name].points):
        raise _RefusedError("no_register", f"no block holds a register of map {name!r}")
    data = b"".join(data[: len(data) // 2 * 2] for _, _, data in parts)
    return name, blocks, _Answer(index, meter_identity, fnv1a64(payload), data)


def _offset(point: Point, blocks: tuple[Block, ...]) -> int | None:
    """Where the point begins in the joined blocks [bytes], None when none holds all of it."""
    before = 0
    for block in blocks:
        inside = point.address - block.address
        if block.function == point.function and 0 <= inside <= block.registers - point.count:
            return 2 * (before + inside)
        before += block.registers
    return None


def warm() -> None:
    """Compile the kernels that are called from here."""
    fnv.warm()
