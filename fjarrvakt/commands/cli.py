"""What every command has in common: where settings come from, where output goes, how it fails."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

if TYPE_CHECKING:  # imported when used: --help must not wait for them
    import psycopg

    from config.settings import Settings

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_SETTINGS: Final = 78

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="FJARRVAKT_CONFIG",
        help="Settings file (TOML). Without one the environment and the defaults count.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print data as JSON.")]


def say(text: str) -> None:
    """Something for the person watching, not for the next program in the pipe."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def fail(text: str, code: int = EXIT_FAILED) -> NoReturn:
    """End the command with this reason."""
    say(f"fjarrvakt: {text}")
    raise typer.Exit(code)


def settings_from(config: Path | None) -> "Settings":
    """The settings; ends with code 78 and every fault when they are wrong."""
    from config.load import SettingsError, load

    try:
        return load(config, os.environ)
    except SettingsError as error:
        for fault in error.faults:
            say(str(fault))
        fail("wrong settings, nothing was started", EXIT_SETTINGS)


def print_json(data: Any) -> None:
    """One JSON value on stdout; times as ISO 8601, bytes as hex."""
    import orjson

    def default(value: Any) -> Any:
        if isinstance(value, bytes):
            return value.hex()
        if isinstance(value, Path):
            return str(value)
        if hasattr(value, "_asdict"):
            return value._asdict()
        raise TypeError(f"no JSON for {type(value).__name__}")

    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    typer.echo(orjson.dumps(data, default=default, option=options).decode())


def print_table(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Aligned columns on stdout; a missing value is a dash."""
    text = [heads, *(tuple(_shown(value) for value in row) for row in rows)]
    widths = [max(len(row[column]) for row in text) for column in range(len(heads))]
    for row in text:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip())


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return str(value)


@contextmanager
def connection(config: Path | None) -> Iterator[tuple["psycopg.Connection", "Settings"]]:
    """A connection to the database of these settings, its schema brought up to date.

    Ends the command with a plain reason when there is no database or the request was refused.
    """
    import psycopg

    from fjarrvakt.database import database
    from fjarrvakt.server_files import PostgresError
    from store.admin import AdminError
    from store.connection import connect
    from store.migrate import migrate, pending

    settings = settings_from(config)
    try:
        with database(settings, say) as found, connect(found.dsn, name="fjarrvakt-cli") as conn:
            if not settings.database.dsn.get_secret_value():
                migrate(conn)  # nobody else looks after an embedded database
            elif waiting := pending(conn):
                fail(f"the database lacks {len(waiting)} migrations: run `fjarrvakt db migrate`")
            yield conn, settings
    except (PostgresError, AdminError) as error:
        fail(str(error))
    except psycopg.OperationalError as error:
        fail(f"no database: {str(error).strip()}")
