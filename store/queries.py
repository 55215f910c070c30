"""Named SQL: blocks `-- name --` in store/sql/*.sql, each with a line that says why it exists."""

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString, cast

_BLOCK = re.compile(r"^-- (\w+) --$", re.MULTILINE)


@cache
def load(room: str) -> dict[str, LiteralString]:
    """The queries of store/sql/<room>.sql by name.

    Raises ValueError when a name stands twice.
    """
    parts = _BLOCK.split(files("store").joinpath("sql", f"{room}.sql").read_text("utf-8"))
    names, bodies = parts[1::2], parts[2::2]
    if len(set(names)) != len(names):
        raise ValueError(f"store/sql/{room}.sql: a query name stands twice in {sorted(names)}")
    # Our own packaged files are literals in all but the type checker's eyes.
    return {
        name: cast("LiteralString", body.strip()) for name, body in zip(names, bodies, strict=True)
    }
