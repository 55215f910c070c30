"""Wires the rooms together: command line, roles, embedded PostgreSQL and broker.

Importing this package names the folder of compiled kernels, so it must come before numba.
"""

import hashlib
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

KERNEL_ROOMS: Final = ("adapters", "engine", "ingest")
"""The rooms that may hold numba kernels."""


def kernel_cache(root: Path = Path(__file__).parents[1]) -> Path:
    """Where this state of the sources keeps its compiled kernels.

    numba looks only at the file a kernel stands in, not at the kernels it calls from other files,
    so the folder's name covers every file with a kernel, the Python and the numba.
    """
    state = hashlib.sha256(str(root).encode())
    for room in KERNEL_ROOMS:
        for path in sorted(root.joinpath(room).rglob("*.py")):
            if b"njit" in path.read_bytes():
                stat = path.stat()
                state.update(
                    f"{path.relative_to(root)}:{stat.st_size}:{stat.st_mtime_ns};".encode()
                )
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = f"py{python}-numba{metadata.version('numba')}-{state.hexdigest()[:16]}"
    return cache / "fjarrvakt" / "kernels" / name


os.environ.setdefault("NUMBA_CACHE_DIR", str(kernel_cache()))
