"""`run`, `warm`, `check`, `version`: the program itself."""

from typing import Annotated, Any

import typer

from fjarrvakt.commands.cli import (
    ConfigOption,
    JsonOption,
    fail,
    print_json,
    say,
    settings_from,
)

RoleOption = Annotated[
    str | None,
    typer.Option(help="Only this role: ingest, engine, notify or portal.", show_default=False),
]
TiedOption = Annotated[bool, typer.Option("--tied", hidden=True)]


def run(config: ConfigOption = None, role: RoleOption = None, *, tied: TiedOption = False) -> None:
    """Run all roles, each a process that is restarted when it dies; or one role in this process.

    Without database.dsn the embedded PostgreSQL is started. All roles together bring the schema
    up to date first; a role alone waits for it.
    """
    from fjarrvakt.server_files import PostgresError

    settings = settings_from(config)
    try:
        if role is None:
            from fjarrvakt.installation import run_all

            run_all(settings, config)
        else:
            _run_one(role, settings, tied=tied)
    except PostgresError as error:
        fail(str(error))
    except OSError as error:
        fail(f"cannot start: {error}")


def _run_one(role: str, settings: Any, *, tied: bool) -> None:
    from fjarrvakt.database import database
    from fjarrvakt.roles import run_role
    from fjarrvakt.supervisor import ROLES

    if role not in ROLES:
        fail(f"no role {role!r}; there are {', '.join(ROLES)}", 2)
    with database(settings, say) as found:
        run_role(role, settings, found.dsn, tied=tied)


def warm() -> None:
    """Compile the kernels once, so that roles start quickly; `make install` does it."""
    from fjarrvakt.warm import ensure_warm

    seconds = ensure_warm(say)
    say("kernels were compiled before" if seconds is None else f"compiled in {seconds:.1f} s")


def check(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Print every fault of the settings, or the settings in effect with secrets masked."""
    from config.render import as_toml

    settings = settings_from(config)
    if as_json:
        print_json(settings.model_dump(mode="json"))
    else:
        typer.echo(as_toml(settings), nl=False)


def version(*, as_json: JsonOption = False) -> None:
    """Print the version, with --json of what matters under it too."""
    from fjarrvakt.version import VERSION, describe

    if as_json:
        print_json(describe())
    else:
        typer.echo(VERSION)
