"""`db`: the database's schema."""

from typing import Annotated

import typer

from fjarrvakt.commands.cli import ConfigOption, fail, say, settings_from

app = typer.Typer(help="The database's schema.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """The database's schema."""


@app.command()
def migrate(
    config: ConfigOption = None,
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Only list what would be done.")] = False,
) -> None:
    """Bring the schema to this release, all in one transaction."""
    import psycopg

    from fjarrvakt.database import database
    from fjarrvakt.server_files import PostgresError
    from store import migrate as migrations
    from store.connection import connect

    settings = settings_from(config)
    try:
        with database(settings, say) as found, connect(found.dsn, name="fjarrvakt-cli") as conn:
            done = migrations.pending(conn) if plan else migrations.migrate(conn)
    except (PostgresError, psycopg.OperationalError) as error:
        fail(f"no database: {str(error).strip()}")
    except psycopg.Error as error:
        fail(f"migration failed, nothing was changed: {error}")
    for migration in done:
        typer.echo(f"{migration.version:04d} {migration.name}")
    if not done:
        say("the schema is up to date")
