"""Which Fjärrvakt this is."""

import platform
from importlib import metadata
from typing import Final

VERSION: Final = metadata.version("fjarrvakt")


def describe() -> dict[str, str]:
    """Our version and those of what matters most under us."""
    return {
        "fjarrvakt": VERSION,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("numba", "numpy", "psycopg", "fastapi")},
    }
