"""The demo's course: set the stage, load history through the journal, live on, sum up."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from config.clock import make_clock
from config.settings import Clock, Settings
from fjarrvakt import broker, installation
from fjarrvakt.commands.cli import say
from fjarrvakt.database import Database, database
from fjarrvakt.demo import master_data
from fjarrvakt.demo.live import field
from fjarrvakt.demo.stage import Ports, State, settings_for, write_config
from fjarrvakt.demo.summary import faults, summarise
from fjarrvakt.supervisor import ROLES, Supervisor, is_ready, ready_urls
from ingest.journal import Envelope, Journal
from ingest.role import JOURNAL_FILE
from simulators.fleet import Fleet, build_fleet
from simulators.history import history
from simulators.inbox import inbox
from store import summary
from store.connection import connect
from store.migrate import migrate
from store.readings import us

LOG: Final = "roles.log"
_DAY_US: Final = 24 * 3_600_000_000
_ONCE_SPEED: Final = 1_920.0  # a simulated day in 45 s
_LOAD_S_MAX: Final = 900.0
_IDLE_S_MAX: Final = 180.0
_READY_S_MAX: Final = 60.0
_BEAT_S: Final = 0.2
_QUIET_LOOKS: Final = 5
_SOURCE: Final = "mqtt:main"


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What a run plays on, all of it running."""

    folder: Path
    fleet: Fleet
    ports: Ports
    settings: Settings
    database: Database
    conn: psycopg.Connection
    journal: Journal
    stop: threading.Event


def play(*, folder: Path, seed: int, speed: float, stop: threading.Event) -> None:
    """Load what is missing, then live at this speed until `stop`.

    Raises DemoError, broker.BrokerError, server_files.PostgresError, ValueError.
    """
    state = State.of(folder, seed)
    with ExitStack() as stack:
        stage = _set_stage(folder, state, stack, stop)
        supervisor = stack.enter_context(_roles(stage, Clock()))
        account = _register(stage)
        until_us = max(_real_us(), state.live_us + 1)
        _load(stage, supervisor, state.lived_until_us or stage.fleet.start_us, until_us)
        state = state.lived(folder, until_us)
        if speed != 1.0:
            supervisor.stop()
            start = datetime.fromtimestamp(max(_real_us(), state.lived_until_us) / 1e6, UTC)
            clock = Clock(start=start, anchor=datetime.now(UTC), speed=speed)
            supervisor = stack.enter_context(_roles(stage, clock))
        else:
            clock = Clock()
        now_us = make_clock(clock)
        _await_ready(stage, supervisor)
        with field(stage.fleet, stage.ports, now_us, until_us):
            say(
                f"\nFjärrvakt is ready: {stage.settings.notify.public_url}\n"
                f"  log in with {account.email} and {account.password}\n"
                f"  mails arrive in {folder / 'mail'}\n"
                "  Ctrl-C ends it; the next start continues here"
            )
            while not stop.is_set():
                supervisor.watch(stop, 1)
                stage.database.revive()
                state = state.lived(folder, now_us())


def play_once(
    *, folder: Path, seed: int, stop: threading.Event
) -> tuple[dict[str, Any], list[str]]:
    """Load two years, live through one more day, wait until every role is idle, sum up.

    Returns the summary and what is wrong with it. Raises what `play` raises.
    """
    begin = time.monotonic()
    state = State.of(folder, seed)
    with ExitStack() as stack:
        stage = _set_stage(folder, state, stack, stop)
        supervisor = stack.enter_context(_roles(stage, Clock()))
        _register(stage)
        live_us = state.live_us + 1  # history holds the reading at its very end
        _load(stage, supervisor, stage.fleet.start_us, live_us)
        supervisor.stop()
        anchor = datetime.now(UTC)
        start = datetime.fromtimestamp(state.live_us / 1e6, UTC)
        clock = Clock(start=start, anchor=anchor, speed=_ONCE_SPEED)
        now_us = make_clock(clock)
        supervisor = stack.enter_context(_roles(stage, clock))
        say("One more day is lived")
        with field(stage.fleet, stage.ports, now_us, live_us):
            deadline = time.monotonic() + _IDLE_S_MAX
            while now_us() < state.live_us + _DAY_US:
                _breathe(stage, supervisor, deadline, "the simulated day")
        _await_idle(stage, supervisor)
        found = summarise(stage.conn, stage.journal, stage.fleet, time.monotonic() - begin)
        return found, faults(found, stage.fleet)


def _set_stage(folder: Path, state: State, stack: ExitStack, stop: threading.Event) -> Stage:
    say(f"The demo's data are in {folder.resolve()}, what its roles say in {LOG} there")
    fleet = build_fleet(state.seed, state.live_us)
    ports = Ports.free()
    served = stack.enter_context(broker.running(folder / "broker", ports.broker, say))
    stack.enter_context(inbox(folder / "mail", ports.smtp))
    settings = settings_for(folder, ports, fleet, served.version)
    found = stack.enter_context(database(settings, say))
    conn = stack.enter_context(connect(found.dsn, name="fjarrvakt-demo"))
    journal = stack.enter_context(Journal(folder / JOURNAL_FILE, settings.ingest.journal_bytes_max))
    migrate(conn)
    return Stage(
        folder=folder,
        fleet=fleet,
        ports=ports,
        settings=settings,
        database=found,
        conn=conn,
        journal=journal,
        stop=stop,
    )


@contextmanager
def _roles(stage: Stage, clock: Clock) -> Iterator[Supervisor]:
    """Every role as a process of its own, by this clock."""
    environ = installation.role_environ(os.environ, stage.database.dsn)
    config = write_config(stage.folder, stage.settings, clock)
    supervisor = Supervisor(config, environ, log=stage.folder / LOG)
    supervisor.start(ROLES)
    try:
        yield supervisor
    finally:
        supervisor.stop()


def _register(stage: Stage) -> master_data.Account:
    account = master_data.Account(master_data.EMAIL, master_data.password_of(stage.folder))
    shards = stage.settings.database.shards
    master_data.put(stage.conn, stage.fleet, password=account.password, shards=shards)
    return account


def _load(stage: Stage, supervisor: Supervisor, since_us: int, until_us: int) -> None:
    """Bring the past into the journal; the roles take it from there as they take anything."""
    deadline = time.monotonic() + _LOAD_S_MAX
    done = threading.Event()
    failed: list[Exception] = []

    def append() -> None:
        try:
            _append_history(stage, since_us, until_us)
        except Exception as error:  # noqa: BLE001  # raised again below, in the thread that waits
            failed.append(error)
        finally:
            done.set()

    threading.Thread(target=append, name="history", daemon=True).start()
    with _progress() as progress:
        task = progress.add_task("Loading history", total=max(until_us - since_us, 1))
        while not (done.is_set() and _is_idle(stage)):
            _breathe(stage, supervisor, deadline, "loading history")
            judged = summary.judged_until(stage.conn)
            if judged is not None:
                progress.update(task, completed=max(us(judged) - since_us, 0))
        if failed:
            raise failed[0]
        progress.update(task, completed=until_us - since_us)


def _append_history(stage: Stage, since_us: int, until_us: int) -> None:
    path, size = stage.folder / JOURNAL_FILE, stage.settings.ingest.journal_bytes_max
    with Journal(path, size) as journal:
        for chunk in history(stage.fleet, since_us, until_us):
            if stage.stop.is_set():
                return
            now_us = _real_us()
            journal.append([Envelope(_SOURCE, one.topic, now_us, one.payload) for one in chunk])


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


def _is_idle(stage: Stage) -> bool:
    """Whether no role has work before it."""
    return stage.journal.status().depth == 0 and not any(summary.pending(stage.conn))


def _await_idle(stage: Stage, supervisor: Supervisor) -> None:
    deadline = time.monotonic() + _IDLE_S_MAX
    quiet = 0
    while quiet < _QUIET_LOOKS:
        _breathe(stage, supervisor, deadline, "waiting for every role to be idle")
        quiet = quiet + 1 if _is_idle(stage) else 0


def _await_ready(stage: Stage, supervisor: Supervisor) -> None:
    deadline = time.monotonic() + _READY_S_MAX
    for url in ready_urls(stage.settings).values():
        while not is_ready(url):
            _breathe(stage, supervisor, deadline, f"waiting for {url}")


def _breathe(stage: Stage, supervisor: Supervisor, deadline: float, what: str) -> None:
    """A moment's rest while waiting. Raises DemoError when stopped or out of patience."""
    supervisor.watch(stage.stop, _BEAT_S)
    stage.database.revive()
    if stage.stop.is_set():
        raise DemoError(f"stopped during {what}")
    if time.monotonic() > deadline:
        status, waits = stage.journal.status(), summary.pending(stage.conn)
        raise DemoError(
            f"{what} takes too long: {status.depth} envelopes in the journal, {waits.ledger} "
            f"ledger entries, {waits.events} events and {waits.deliveries} deliveries still "
            f"wait; {stage.folder / LOG} tells why"
        )


def _real_us() -> int:
    return time.time_ns() // 1000
