"""`decode`: what a telegram says, without any installation."""

from pathlib import Path
from typing import Annotated

import typer

from fjarrvakt.commands.cli import EXIT_FAILED, EXIT_USAGE, JsonOption, fail


def decode(
    telegram: Annotated[
        list[str] | None, typer.Argument(help="Telegrams in hex.", show_default=False)
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="A file with one telegram in hex per line.")
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Decode wired M-Bus telegrams; exit code 1 when one is refused."""
    lines = list(telegram or [])
    if file is not None:
        try:
            lines += [line for line in file.read_text("utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            fail(f"{file}: {error}")
    if not lines:
        fail("give a telegram in hex, or --file", EXIT_USAGE)
    refused = False
    for number, line in enumerate(lines, 1):
        try:
            frame = bytes.fromhex(line)
        except ValueError as error:
            fail(f"telegram {number} is not hex: {error}", EXIT_USAGE)
        refused |= not _show(frame, as_json=as_json)
    if refused:
        raise typer.Exit(EXIT_FAILED)


def _show(frame: bytes, *, as_json: bool) -> bool:
    """Print one telegram; whether it was understood."""
    from adapters.mbus.decode import decode_one
    from config.profiles import load_profiles
    from fjarrvakt.commands.cli import print_json, print_table, say

    found = decode_one(frame, load_profiles())
    if as_json:
        print_json(found)
    elif found["ok"]:
        head = ("manufacturer", "id", "version", "medium", "access", "status")
        typer.echo("  ".join(f"{key} {found[key]}" for key in head))
        keys = (
            *("index", "dib", "vib", "function", "storage", "tariff", "subunit"),
            *("quantity", "qualifiers", "value", "unit", "text", "quality"),
        )
        rows = [tuple(record.get(key) for key in keys) for record in found["records"]]
        print_table(keys, rows)
        print_table(("register", ""), list(found["registers"].items()))
    if not found["ok"]:
        say(f"refused: {found['error']}")
    return bool(found["ok"])
