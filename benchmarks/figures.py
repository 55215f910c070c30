"""What a benchmark brings: figures with their bar, and the page that shows them."""

import os
import platform
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What was worked on; made outside the timed part."""

    rows: int = 0
    bytes: int = 0
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured number and the bar it is held against.

    `value` None: it could not be measured; `why` says what hindered it. `against` names the peer
    or the limit, with its version; `ratio` is ours to theirs, None when the peer did not run.
    `bar` is what `value` (or, with a peer, `ratio`) has to reach. `spread` is (largest - smallest)
    / median over the repeats.
    """

    name: str
    value: float | None
    unit: str
    against: str
    ratio: float | None
    bar: float
    holds: bool
    inputs: Inputs = field(default_factory=Inputs)
    repeats: int = 1
    spread: float = 0.0
    why: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The figure as `fjarrvakt bench --json` prints it."""
        shown = asdict(self)
        if self.why is None:
            del shown["why"]
        return shown


def within(name: str, seconds: list[float], bar_s: float, *, limit: str, inputs: Inputs) -> Figure:
    """A time that must not be longer than a limit; the median of the repeats. [s]"""
    value = median(seconds)
    return Figure(
        name=name,
        value=round(value, 4),
        unit="s",
        against=limit,
        ratio=round(value / bar_s, 4),
        bar=bar_s,
        holds=value <= bar_s,
        inputs=inputs,
        repeats=len(seconds),
        spread=round((max(seconds) - min(seconds)) / value, 4),
    )


def unmeasured(name: str, unit: str, bar: float, why: str) -> Figure:
    """A figure that could not be had; it never holds."""
    return Figure(
        name=name, value=None, unit=unit, against="", ratio=None, bar=bar, holds=False, why=why
    )


def table(figures: list[Figure]) -> str:
    """The figures for people, as a Markdown table."""
    lines = [
        "| figure | value | against | ratio | bar | holds | input | repeats | spread |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in figures:
        value = one.why or "-" if one.value is None else f"{_short(one.value)} {one.unit}"
        ratio = "-" if one.ratio is None else f"{one.ratio:.2f}"
        sizes = [
            f"{count:,} {what}".replace(",", " ")
            for count, what in ((one.inputs.rows, "rows"), (one.inputs.bytes, "bytes"))
            if count
        ]
        cells = (
            *(one.name, value, one.against, ratio, _short(one.bar)),
            *("yes" if one.holds else "**no**", ", ".join(sizes) or "-"),
            *(str(one.repeats), f"{one.spread:.0%}"),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def page(figures: list[Figure], seed: int, size: Literal["usual", "full"]) -> str:
    """The whole of docs/benchmarks.md."""
    return (
        "# Benchmarks\n\n"
        "Written by `make bench`; do not edit. Each figure is asked for by an issue under this "
        "name; `fjarrvakt bench NAME --check` measures it again and fails when it falls short. "
        "A ratio to a peer is measured in the same run on the same input; a ratio to a limit is "
        "value / bar.\n\n"
        f"Measured with Python {platform.python_version()} on {os.cpu_count()} cores, "
        f"{platform.machine()}, seed {seed}, {size} size.\n\n"
        f"{table(figures)}\n"
    )


def _short(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 1000 else f"{value:.3g}"
