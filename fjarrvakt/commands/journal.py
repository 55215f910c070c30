"""`journal`: what has arrived and is not in the database yet, and what was refused."""

from typing import Annotated

import typer

from fjarrvakt.commands.cli import (
    ConfigOption,
    JsonOption,
    connection,
    fail,
    print_json,
    print_table,
    settings_from,
)

app = typer.Typer(
    help="What has arrived, and what was refused.", no_args_is_help=True, rich_markup_mode=None
)


@app.command()
def status(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Show depth, oldest entry and size of the journal."""
    from ingest.journal import Journal
    from ingest.role import JOURNAL_FILE

    settings = settings_from(config)
    path = settings.data_dir / JOURNAL_FILE
    if not path.exists():
        fail(f"no journal at {path}: ingest has not run with these settings")
    with Journal(path, settings.ingest.journal_bytes_max) as journal:
        found = journal.status()._asdict() | {"uuid": journal.uuid, "path": str(path)}
    if as_json:
        print_json(found)
    else:
        print_table(("", ""), [(key, value) for key, value in found.items()])


@app.command()
def quarantine(
    config: ConfigOption = None,
    limit: Annotated[int, typer.Option(help="At most so many, newest first.")] = 50,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show telegrams that were refused, with the reason and their bytes."""
    from adapters import identity as identities
    from store import admin

    with connection(config) as (conn, _):
        found = admin.list_quarantine(conn, limit)
    rows = [
        one._asdict()
        | {"identity": None if one.identity is None else identities.text(one.identity)}
        for one in found
    ]
    if as_json:
        print_json(rows)
    else:
        heads = ("received", "source", "address", "meter", "reason", "detail")
        keys = ("received_at", "source", "address", "identity", "reason", "detail")
        print_table(heads, [tuple(row[key] for key in keys) for row in rows])
