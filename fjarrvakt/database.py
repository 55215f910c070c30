"""The database a command works on: the one the settings name, or the embedded one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from config.settings import Settings


@contextmanager
def database(settings: Settings, say: Callable[[str], None]) -> Iterator["Database"]:
    """The connection string for the length of a `with`.

    An empty `database.dsn` starts the embedded server, or joins it when it runs already.
    Raises fjarrvakt.server_files.PostgresError when that cannot be had.
    """
    dsn = settings.database.dsn.get_secret_value()
    if dsn:
        yield Database(dsn, lambda: None)
        return
    from fjarrvakt.postgres import running

    with running(
        settings.data_dir / "postgres",
        user=settings.database.embedded_user,
        port=settings.database.embedded_port,
        say=say,
    ) as server:

        def revive() -> None:
            if not server.alive():
                say("PostgreSQL has died; starting it again")
                server.start()

        yield Database(server.create_database(), revive)


class Database:
    """A connection string, and `revive` which brings an embedded server back that died."""

    def __init__(self, dsn: str, revive: Callable[[], None]) -> None:
        self.dsn = dsn
        self.revive = revive
