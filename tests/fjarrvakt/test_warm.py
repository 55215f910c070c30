"""Kernels are compiled once, whoever comes first, and all of them."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from numba.core.registry import CPUDispatcher

import fjarrvakt
from fjarrvakt import warm

ROOT = Path(__file__).parents[2]


def kernels() -> dict[str, CPUDispatcher]:
    """Every kernel of the rooms that may hold some, by its full name."""
    found = {}
    for room in fjarrvakt.KERNEL_ROOMS:
        for path in ROOT.joinpath(room).rglob("*.py"):
            if b"njit" in path.read_bytes():
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                for one in vars(import_module(name)).values():
                    if isinstance(one, CPUDispatcher) and one.py_func.__module__ == name:
                        found[f"{name}.{one.py_func.__name__}"] = one
    return found


@pytest.mark.timeout(600)
def test_eight_processes_on_an_empty_cache(tmp_path):
    """All end well, one compiles, and every kernel of ours is then on disk."""
    environ = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "fjarrvakt", "warm"]
    processes = [
        subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) for _ in range(8)
    ]
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, said
    assert sum("compiled in" in one for one in said) == 1
    assert sum("were compiled before" in one for one in said) == 7
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb*")}
    names = {path.name for path in kept}
    cold = [
        name for name, one in kernels().items() if one._cache._cache_file._index_name not in names
    ]
    assert cold == []
    # A role's process adds nothing: it finds all it needs.
    program = (
        "from importlib import import_module\nfrom fjarrvakt import warm\n"
        "for name in warm.WARMERS: import_module(name).warm()"
    )
    subprocess.run([sys.executable, "-c", program], env=environ, check=True)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb*")} == kept


def test_another_source_state_has_another_cache(tmp_path):
    room = tmp_path / "engine"
    room.mkdir()
    kernel = room / "hours.py"
    kernel.write_text("@njit\ndef f(): pass\n")
    before = fjarrvakt.kernel_cache(tmp_path)
    (room / "types.py").write_text("X = 1\n")  # no kernel, but one may take its constants
    with_constants = fjarrvakt.kernel_cache(tmp_path)
    assert with_constants != before
    kernel.write_text("@njit\ndef f(): return 1\n")
    assert fjarrvakt.kernel_cache(tmp_path) != with_constants


def test_caches_nobody_uses_any_more_are_deleted(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    mine = fjarrvakt.kernel_cache()
    old, young = mine.with_name("old"), mine.with_name("young")
    for folder in (mine, old, young):
        folder.mkdir(parents=True)
        (folder / "warm-x").touch()
    os.utime(old / "warm-x", (0, 0))
    warm._forget_old(mine)
    assert not old.exists()
    assert young.exists()
