"""Every benchmark by name, and which figures each must bring."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Final, NamedTuple, Protocol, cast

from benchmarks.figures import Figure


class Benchmark(NamedTuple):
    """A module with `run`, and the ids the issues gave to its figures."""

    module: str
    figures: tuple[str, ...]


class Runner(Protocol):
    """What a benchmark module offers as `run`."""

    def __call__(self, *, seed: int, full: bool, say: Callable[[str], None]) -> list[Figure]:
        """Make the inputs, measure, return the figures."""


BENCHMARKS: Final[Mapping[str, Benchmark]] = {
    "decode": Benchmark(
        "benchmarks.decode",
        (
            *("decode.batch", "decode.registers", "decode.single"),
            *("decode.fleet", "decode.cold"),
        ),
    ),
    "setup": Benchmark(
        "benchmarks.setup", ("setup.help", "setup.compile", "setup.start", "setup.demo")
    ),
}


def measure(
    names: Sequence[str], *, seed: int, full: bool, say: Callable[[str], None]
) -> tuple[list[Figure], list[str]]:
    """Run these benchmarks; the figures, and a reason for each that falls short or is missing."""
    figures: list[Figure] = []
    short: list[str] = []
    for name in names:
        benchmark = BENCHMARKS[name]
        say(f"measuring {name}")
        run = cast("Runner", import_module(benchmark.module).run)
        found = run(seed=seed, full=full, say=say)
        figures += found
        measured = {one.name for one in found}
        short += [f"{one} is missing" for one in benchmark.figures if one not in measured]
        short += [reason for one in found if (reason := _falls_short(one)) is not None]
    return figures, short


def _falls_short(figure: Figure) -> str | None:
    if figure.value is None:
        return f"{figure.name} was not measured: {figure.why}"
    if figure.ratio is None:
        return f"{figure.name}: the peer {figure.against} did not run"
    if not figure.holds:
        value = f"{figure.value} {figure.unit}, ratio {figure.ratio}"
        return f"{figure.name} is {value}; the bar is {figure.bar}"
    return None
