"""`demo`: the whole product on simulated buildings."""

from pathlib import Path
from typing import Annotated

import typer

from fjarrvakt.commands.cli import JsonOption


def demo(
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where the demo keeps its data between runs: var/demo, with --once nowhere.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed, other buildings and faults.")] = 1,
    speed: Annotated[float, typer.Option(min=0.1, help="Times real time.")] = 1.0,
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Load, live through one day, sum up and end.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Simulate 40 facilities with two years of history, then live; prints address and login."""
    from fjarrvakt.demo import main

    raise typer.Exit(main(data_dir=data_dir, seed=seed, speed=speed, once=once, as_json=as_json))
