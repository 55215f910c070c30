"""Rows of varying width to PostgreSQL's binary COPY: text and bytea beside fixed columns, in numpy.

The output buffer is laid out by cumulative row sizes; each field is then written for all rows at
once by index arithmetic, so a batch costs a few array operations and no Python step per row.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from store.copy import EPOCH_US, HEADER, I64, MISSING, TRAILER, WIRE


class Blob(NamedTuple):
    """A column of byte strings: row i is data[offsets[i]:offsets[i + 1]], NULL where `null`."""

    data: NDArray[np.uint8]
    offsets: I64
    null: NDArray[np.bool_]

    @classmethod
    def of(cls, values: Sequence[bytes | None]) -> "Blob":
        """From Python byte strings."""
        lengths = np.fromiter((len(value or b"") for value in values), np.int64, len(values))
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        null = np.fromiter((value is None for value in values), np.bool_, len(values))
        data = np.frombuffer(b"".join(value or b"" for value in values), np.uint8)
        return cls(data, offsets, null)

    @classmethod
    def of_texts(cls, values: Sequence[str | None]) -> "Blob":
        """From text, as UTF-8 without the NUL that PostgreSQL's text cannot hold."""
        known: dict[str, bytes] = {}
        for value in set(values):
            if value is not None:
                known[value] = value.replace("\0", "\ufffd").encode("utf-8", "replace")
        return cls.of([None if value is None else known[value] for value in values])


_INT32: Final = np.dtype(">i4")


def encode_rows(types: Sequence[str], columns: Sequence[I64 | Blob]) -> bytes:
    """The whole body of a binary COPY; MISSING and a Blob's nulls become NULL.

    `types` names int2, int4, int8, timestamptz, or text/bytea for a Blob.
    """
    count = columns[0].offsets.size - 1 if isinstance(columns[0], Blob) else columns[0].size
    lengths = []
    for kind, column in zip(types, columns, strict=True):
        if isinstance(column, Blob):
            lengths.append(np.where(column.null, -1, np.diff(column.offsets)))
        else:
            lengths.append(np.where(column == MISSING, -1, np.dtype(WIRE[kind]).itemsize))
    sizes = 2 + sum(4 + np.maximum(length, 0) for length in lengths)
    starts = np.concatenate(([0], np.cumsum(sizes)))
    out = np.empty(int(starts[-1]), np.uint8)
    at = starts[:-1].copy()
    _scatter(out, at, np.full(count, len(types), ">i2"))
    at += 2
    for kind, column, length in zip(types, columns, lengths, strict=True):
        _scatter(out, at, length.astype(_INT32))
        at += 4
        present = length >= 0
        if isinstance(column, Blob):
            shift = np.repeat(at - column.offsets[:-1], np.maximum(length, 0))
            out[shift + np.arange(shift.size)] = column.data
        else:
            shifted = column - EPOCH_US if kind == "timestamptz" else column
            _scatter(out, at[present], shifted[present].astype(WIRE[kind]))
        at += np.maximum(length, 0)
    return b"".join((HEADER, out.tobytes(), TRAILER))


def _scatter(out: NDArray[np.uint8], at: I64, values: NDArray[np.signedinteger]) -> None:
    width = values.dtype.itemsize
    out[at[:, None] + np.arange(width)] = values.view(np.uint8).reshape(-1, width)


def copy_rows_in(
    conn: psycopg.Connection,
    table: str,
    types: Mapping[str, str],
    columns: Mapping[str, I64 | Blob],
) -> None:
    """COPY columns of which some vary in width into `table`."""
    statement = sql.SQL("copy {} ({}) from stdin (format binary)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, types))
    )
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(encode_rows(list(types.values()), [columns[name] for name in types]))
