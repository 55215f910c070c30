import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.blob import Blob, copy_rows_in
from store.copy import MISSING, MISSING_SQL, copy_in, copy_out

pytestmark = pytest.mark.db

TYPES = {"at": "timestamptz", "big": "int8", "mid": "int4", "small": "int2"}


@pytest.fixture(autouse=True)
def _tables(conn: psycopg.Connection) -> None:
    conn.execute("create table sample(at timestamptz, big int8, mid int4, small int2)")
    conn.execute("create table sample_text(id int8, word text, bytes bytea)")


def test_columns_and_nulls_come_back(conn):
    columns = {
        "at": np.array([0, 1_700_000_000_123_456, -5], np.int64),
        "big": np.array([1 << 62, MISSING, -1], np.int64),
        "mid": np.array([MISSING, 2**31 - 1, -(2**31)], np.int64),
        "small": np.array([MISSING, MISSING, -(2**15)], np.int64),
    }
    copy_in(conn, "sample", TYPES, columns)
    query = (
        f"select at, coalesce(big, {MISSING_SQL}), coalesce(mid, {MISSING_SQL}),"
        f" coalesce(small, {MISSING_SQL}) from sample order by at desc"
    )
    out = copy_out(conn, query, ("timestamptz", "int8", "int8", "int8"), {})
    order = [1, 0, 2]
    for name, column in zip(TYPES, out, strict=True):
        assert column.tolist() == columns[name][order].tolist(), name
    seen = conn.execute("select at, big from sample where mid = 2147483647").fetchone()
    assert seen is not None
    assert seen[0].isoformat() == "2023-11-14T22:13:20.123456+00:00"
    assert seen[1] is None


def test_a_null_that_slips_through_is_an_error(conn):
    conn.execute("insert into sample values (now(), null, 1, 1), (now(), 1, 1, 1)")
    with pytest.raises(ValueError, match="a NULL or another type"):
        copy_out(conn, "select big from sample", ("int8",), {})


def test_a_failing_query_raises_and_leaves_the_connection_usable(conn):
    with pytest.raises(psycopg.errors.DivisionByZero):
        copy_out(conn, "select big / 0 from generate_series(1, 3) big", ("int8",), {})
    with pytest.raises(psycopg.errors.SyntaxError):
        copy_out(conn, "select select", ("int8",), {})
    assert copy_out(conn, "select 7::int8", ("int8",), {})[0].tolist() == [7]


def test_parameters_reach_the_query(conn):
    conn.execute("insert into sample select now(), n, n, n from generate_series(1, 10) n")
    out = copy_out(
        conn, "select big from sample where mid = any(%(mids)s)", ("int8",), {"mids": [2, 3]}
    )
    assert sorted(out[0].tolist()) == [2, 3]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25
)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.none()
            | st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")),
            st.none() | st.binary(max_size=40),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_rows_of_varying_width_come_back(conn, rows):
    conn.execute("delete from sample_text")
    ids, words, blobs = zip(*rows, strict=True)
    copy_rows_in(
        conn,
        "sample_text",
        {"id": "int8", "word": "text", "bytes": "bytea"},
        {"id": np.array(ids, np.int64), "word": Blob.of_texts(words), "bytes": Blob.of(blobs)},
    )
    expected = [(None if row[0] == MISSING else row[0], *row[1:]) for row in rows]
    found = conn.execute("select id, word, bytes from sample_text").fetchall()
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
