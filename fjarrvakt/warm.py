"""Compiles every numba kernel once, under a file lock; roles then only read the cache.

numba's cache is not safe against several processes filling it at once (numba #4807), so whoever
comes first compiles while the others wait, and a stamp says that it is done.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Final

import fjarrvakt

WARMERS: Final = (
    "adapters.mbus.decode",
    "adapters.wmbus.decode",
    "adapters.mqtt.decode",
    "adapters.modbus.decode",
    "engine.worker",
)
"""Modules whose `warm()` calls every kernel of theirs with the types of real work."""

_KEPT_S: Final = 30 * 86_400  # caches of other source states, untouched for longer, are deleted

Say = Callable[[str], None]


def ensure_warm(say: Say = lambda _: None) -> float | None:
    """Have every kernel compiled; the seconds it took here, None when it had been done before."""
    folder = cache_folder()
    stamp = folder / f"warm-{fjarrvakt.kernel_cache().name}"
    if _touch(stamp):
        return None
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "warm.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process compiles the kernels; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if _touch(stamp):
            return None
        begin = time.monotonic()
        say(f"compiling the kernels into {folder}")
        for name in WARMERS:
            import_module(name).warm()
        stamp.touch()
        _forget_old(folder)
        return time.monotonic() - begin


def cache_folder() -> Path:
    """The folder numba keeps our kernels in."""
    return Path(os.environ["NUMBA_CACHE_DIR"])


def _touch(stamp: Path) -> bool:
    """Whether the stamp is there; marks its cache as used."""
    if not stamp.exists():
        return False
    with suppress(OSError):  # an image's cache may be read-only
        os.utime(stamp)
    return True


def _forget_old(folder: Path) -> None:
    """Delete our own caches of source states nobody has used for long."""
    if folder != fjarrvakt.kernel_cache():
        return  # somebody else's folder, named by NUMBA_CACHE_DIR
    for stamp in folder.parent.glob("*/warm-*"):
        if time.time() - stamp.stat().st_mtime > _KEPT_S:
            shutil.rmtree(stamp.parent, ignore_errors=True)
