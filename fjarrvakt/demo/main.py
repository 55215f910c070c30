"""What the command `demo` calls: a folder, signals, and the exit code."""

import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import typer

from fjarrvakt import logs
from fjarrvakt.broker import BrokerError
from fjarrvakt.commands.cli import print_json, say
from fjarrvakt.demo.play import LOG, DemoError, play, play_once
from fjarrvakt.postgres import EmbeddedPostgres
from fjarrvakt.server_files import PostgresError
from fjarrvakt.supervisor import RoleError

_FAILED: Final = 1
_LAST_WORDS: Final = 40


def main(*, data_dir: Path | None, seed: int, speed: float, once: bool, as_json: bool) -> int:
    """Play the demo; the exit code. `once` without a folder uses one that is deleted afterwards."""
    logs.configure("text", role="demo")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        if not once:
            folder = data_dir or Path("var/demo")
            folder.mkdir(parents=True, exist_ok=True)
            play(folder=folder, seed=seed, speed=speed, stop=stop)
            return 0
        with _folder(data_dir) as folder:
            found, wrong = play_once(folder=folder, seed=seed, stop=stop)
    except (DemoError, BrokerError, PostgresError, RoleError, ValueError) as error:
        say(f"fjarrvakt demo: {error}")
        return _FAILED
    if as_json:
        print_json(found)
    else:
        for key, value in found.items():
            typer.echo(f"{key}: {value}")
    for reason in wrong:
        say(f"fjarrvakt demo: {reason}")
    return _FAILED if wrong else 0


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """The folder that was given, or one that goes away with all that lies in it."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="fjarrvakt-demo-") as name:
        folder = Path(name)
        try:
            yield folder
        except Exception:
            if (log := folder / LOG).exists():
                say("\n".join(log.read_text(errors="replace").splitlines()[-_LAST_WORDS:]))
            raise
        finally:
            EmbeddedPostgres(folder / "postgres").destroy()
