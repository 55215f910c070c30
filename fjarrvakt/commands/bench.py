"""`bench`: measures what the documentation promises."""

from pathlib import Path
from typing import Annotated

import typer

from fjarrvakt.commands.cli import EXIT_FAILED, EXIT_USAGE, JsonOption, fail, print_json, say


def bench(
    name: Annotated[str | None, typer.Argument(help="Which one.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Of the inputs.")] = 1,
    *,
    all_of_them: Annotated[bool, typer.Option("--all", help="Every benchmark.")] = False,
    full: Annotated[bool, typer.Option("--full", help="At full size.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 when a figure falls short or is missing.")
    ] = False,
    write: Annotated[
        Path | None, typer.Option(help="Write the figures as a Markdown page to this file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure; without a name and --all, list what can be measured."""
    from benchmarks import figures as shown
    from benchmarks import registry

    names = list(registry.BENCHMARKS)
    if all_of_them:
        chosen = names
    elif name is None:
        for known in names:
            typer.echo(known)
        return
    elif name in registry.BENCHMARKS:
        chosen = [name]
    else:
        fail(f"no benchmark {name!r}; there are {', '.join(names)}", EXIT_USAGE)
    figures, short = registry.measure(chosen, seed=seed, full=full, say=say)
    if as_json:
        print_json({"figures": [figure.as_dict() for figure in figures]})
    else:
        typer.echo(shown.table(figures))
    if write is not None:
        write.write_text(shown.page(figures, seed, "full" if full else "usual"), "utf-8")
    for reason in short:
        say(f"falls short: {reason}")
    if check and short:
        raise typer.Exit(EXIT_FAILED)
