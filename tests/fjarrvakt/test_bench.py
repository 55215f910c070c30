"""`fjarrvakt bench`: the shape of its figures, and when --check says no."""

import json
import sys
from types import ModuleType

import pytest
from typer.testing import CliRunner

from benchmarks import figures, registry
from fjarrvakt.__main__ import app

SECONDS = figures.within(
    "thing.time", [2.0, 1.0, 4.0], 3.0, limit="limit", inputs=figures.Inputs(rows=7, seed=1)
)


def bench(monkeypatch: pytest.MonkeyPatch, found: list[figures.Figure], *args: str):
    module = ModuleType("benchmarks.thing")
    module.run = lambda **_: found
    monkeypatch.setitem(sys.modules, "benchmarks.thing", module)
    known = {"thing": registry.Benchmark("benchmarks.thing", ("thing.time",))}
    monkeypatch.setattr(registry, "BENCHMARKS", known)
    return CliRunner().invoke(app, ["bench", "thing", *args])


def test_json_has_the_documented_shape(monkeypatch):
    result = bench(monkeypatch, [SECONDS], "--json", "--check")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "figures": [
            {
                "name": "thing.time",
                "value": 2.0,
                "unit": "s",
                "against": "limit",
                "ratio": 0.6667,
                "bar": 3.0,
                "holds": True,
                "inputs": {"rows": 7, "bytes": 0, "seed": 1},
                "repeats": 3,
                "spread": 1.5,
            }
        ]
    }


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param([], "thing.time is missing", id="missing"),
        pytest.param(
            [figures.within("thing.time", [4.0], 3.0, limit="limit", inputs=figures.Inputs())],
            "the bar is 3",
            id="falls short",
        ),
        pytest.param(
            [figures.unmeasured("thing.time", "s", 3.0, "no disk")], "no disk", id="unmeasured"
        ),
        pytest.param(
            [
                figures.Figure(
                    name="thing.time",
                    value=1.0,
                    unit="s",
                    against="peer 1.0",
                    ratio=None,
                    bar=2.0,
                    holds=True,
                )
            ],
            "peer 1.0 did not run",
            id="no peer",
        ),
    ],
)
def test_check_says_no(monkeypatch, found, said):
    result = bench(monkeypatch, found, "--check")
    assert result.exit_code == 1
    assert said in result.stderr
    assert bench(monkeypatch, found).exit_code == 0


def test_page_shows_every_figure(monkeypatch, tmp_path):
    page = tmp_path / "benchmarks.md"
    bench(monkeypatch, [SECONDS], "--write", str(page))
    assert "| thing.time | 2 s | limit | 0.67 | 3 | yes | 7 rows | 3 | 150% |" in page.read_text()


def test_every_benchmark_can_be_imported():
    for benchmark in registry.BENCHMARKS.values():
        assert callable(__import__(benchmark.module, fromlist=["run"]).run)
