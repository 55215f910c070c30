"""Numpy columns to and from PostgreSQL's binary COPY, without a Python step per row.

A row of fixed-width fields is one record of a big-endian structured array. NULLs shorten a row, so
rows are grouped by which of their fields are NULL and each group is written with its own record
layout; COPY does not mind the order. Times are UTC microseconds since 1970.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from psycopg.pq import ExecStatus

MISSING: Final = -(1 << 63)
"""NULL in an int64 column."""

MISSING_SQL: Final = "'-9223372036854775808'::int8"
"""The same in a query, where a bare literal would be numeric."""

EPOCH_US: Final = 946_684_800_000_000  # PostgreSQL counts from 2000-01-01
HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER: Final = b"\xff\xff"
WIRE: Final = {"int2": ">i2", "int4": ">i4", "int8": ">i8", "float8": ">f8", "timestamptz": ">i8"}

I64 = NDArray[np.int64]


def _row_dtype(types: Sequence[str], null: Sequence[bool]) -> np.dtype[Any]:
    fields: list[tuple[str, str]] = [("count", ">i2")]
    for index, (kind, absent) in enumerate(zip(types, null, strict=True)):
        fields.append((f"l{index}", ">i4"))
        if not absent:
            fields.append((f"c{index}", WIRE[kind]))
    return np.dtype(fields)


def _fill(types: Sequence[str], columns: Sequence[I64], null: Sequence[bool]) -> NDArray[Any]:
    rows = np.empty(columns[0].size, _row_dtype(types, null))
    rows["count"] = len(types)
    for index, (kind, column) in enumerate(zip(types, columns, strict=True)):
        if null[index]:
            rows[f"l{index}"] = -1
        else:
            rows[f"l{index}"] = np.dtype(WIRE[kind]).itemsize
            rows[f"c{index}"] = column - EPOCH_US if kind == "timestamptz" else column
    return rows


def encode(types: Sequence[str], columns: Sequence[I64]) -> list[bytes]:
    """The body of a binary COPY for these columns; MISSING becomes NULL. At most 63 columns."""
    mask = np.zeros(columns[0].size, np.int64)
    for index, column in enumerate(columns):
        if column.dtype == np.int64:
            mask |= (column == MISSING).astype(np.int64) << index
    parts = [HEADER]
    for key in np.unique(mask):
        pick = slice(None) if (mask == key).all() else np.flatnonzero(mask == key)
        null = [bool(int(key) >> index & 1) for index in range(len(types))]
        parts.append(_fill(types, [column[pick] for column in columns], null).tobytes())
    parts.append(TRAILER)
    return parts


def copy_in(
    conn: psycopg.Connection, table: str, types: Mapping[str, str], columns: Mapping[str, I64]
) -> None:
    """COPY these columns into `table`. `types` maps each to int2, int4, int8 or timestamptz.

    Raises psycopg.errors.UniqueViolation and its kin like any statement.
    """
    if not columns[next(iter(types))].size:
        return
    statement = sql.SQL("copy {} ({}) from stdin (format binary)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, types))
    )
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for part in encode(list(types.values()), [columns[name] for name in types]):
            copy.write(part)


def _copy_data(conn: psycopg.Connection, statement: bytes) -> bytearray:
    """All that the server sends of a COPY. psycopg's own loop costs four times this one."""
    body = bytearray()
    with conn.lock:
        result = conn.pgconn.exec_(statement)
        if result.status == ExecStatus.COPY_OUT:
            while (size_and_data := conn.pgconn.get_copy_data(0))[0] > 0:
                body += size_and_data[1]
            ended = conn.pgconn.get_result()
            while conn.pgconn.get_result() is not None:
                pass
            result = ended or result
    if result.status != ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(result)
    return body


def copy_out(
    conn: psycopg.Connection, query: str, types: Sequence[str], parameters: Mapping[str, Any]
) -> list[I64]:
    """The rows of `query` as one int64 array per column.

    NULLs would change a row's width: the query must `coalesce(x, {MISSING_SQL})`, which makes
    narrower columns int8. `%(name)s` in the query is filled in by the client.
    Raises ValueError when a NULL slipped through.
    """
    statement = psycopg.ClientCursor(conn).mogrify(
        f"copy ({query}) to stdout (format binary)", parameters
    )
    body = _copy_data(conn, statement.encode())
    dtype = _row_dtype(types, [False] * len(types))
    count, rest = divmod(len(body) - len(HEADER) - len(TRAILER), dtype.itemsize)
    rows = np.frombuffer(body, dtype, count, len(HEADER))
    widths = [np.dtype(WIRE[kind]).itemsize for kind in types]
    if rest or not all((rows[f"l{i}"] == width).all() for i, width in enumerate(widths)):
        raise ValueError(f"a NULL or another type than {types} in the result of: {query[:200]}")
    out = [rows[f"c{index}"].astype(np.int64) for index in range(len(types))]
    for index, kind in enumerate(types):
        if kind == "timestamptz":
            out[index] += EPOCH_US
    return out
