"""Wires the rooms together: command line, roles, embedded PostgreSQL and broker.

Importing this package names the folder of compiled kernels, so it must come before numba.
"""

import hashlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

KERNEL_ROOMS: Final = ("adapters", "engine")
"""The rooms that may hold numba kernels."""


def kernel_cache(root: Path = Path(__file__).parents[1]) -> Path:
    """Where this state of the sources keeps its compiled kernels.

    numba looks only at the file a kernel stands in, not at the kernels and tables it takes from
    other files, so the folder's name covers every file of these rooms, the Python and the numba.
    """
    numba = find_spec("numba")
    files = [Path(numba.origin)] if numba and numba.origin else []
    for room in KERNEL_ROOMS:
        files += sorted(root.joinpath(room).rglob("*.py"))
    state = hashlib.sha256(sys.version.encode())
    for path in files:
        stat = path.stat()
        state.update(f"{path}:{stat.st_size}:{stat.st_mtime_ns};".encode())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "fjarrvakt" / "kernels" / state.hexdigest()[:16]


os.environ.setdefault("NUMBA_CACHE_DIR", str(kernel_cache()))
