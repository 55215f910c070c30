"""The rooms: who may import whom, no circles, no rooms for odds and ends, modules of a size."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MAY_IMPORT = {  # design.md, "Rooms"
    "adapters": set(),
    "engine": set(),
    "store": set(),
    "config": {"adapters", "engine"},
    "ingest": {"adapters", "config", "store"},
    "notify": {"config", "engine", "store"},
    "portal": {"config", "engine", "store", "notify"},
    "simulators": {"adapters", "config"},
}
ALONE_MAY = {"engine/worker.py": {"store"}}
ROOMS = {*MAY_IMPORT, "fjarrvakt", "benchmarks"}
MODULES = sorted(
    path.relative_to(ROOT) for room in ROOMS for path in ROOT.joinpath(room).rglob("*.py")
)
LINES_MAX = 400


def imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written out from the room's name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_stay_within_the_rooms(module):
    room = module.parts[0]
    if room not in MAY_IMPORT:
        return
    allowed = MAY_IMPORT[room] | ALONE_MAY.get(module.as_posix(), set()) | {room}
    found = {name.split(".")[0] for name in imports((ROOT / module).read_text("utf-8"))}
    assert found & ROOMS <= allowed


def test_config_and_notify_take_only_types_from_the_engine():
    names = {
        name
        for module in MODULES
        if module.parts[0] in ("config", "notify")
        for name in imports((ROOT / module).read_text("utf-8"))
        if name.startswith("engine.")
    }
    assert all(name.split(".")[-1][0].isupper() for name in names), names


def test_no_room_imports_in_a_circle():
    def reach(room: str, seen: frozenset[str]) -> None:
        assert room not in seen, f"circle through {room}"
        for other in MAY_IMPORT.get(room, ()):
            reach(other, seen | {room})

    for room in MAY_IMPORT:
        reach(room, frozenset())


def test_no_place_for_odds_and_ends():
    names = {part for module in MODULES for part in (*module.parts[:-1], module.stem)}
    assert not names & {"utils", "util", "common", "core", "helpers", "misc"}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_has_one_subject(module):
    assert len((ROOT / module).read_text("utf-8").splitlines()) <= LINES_MAX
