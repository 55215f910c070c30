"""How long a newcomer waits: --help, compiling every kernel, a role, the demo."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.figures import Figure, Inputs, unmeasured, within
from config.load import load
from fjarrvakt.postgres import EmbeddedPostgres, running
from fjarrvakt.server_files import free_port
from fjarrvakt.supervisor import ROLES, is_ready, ready_urls
from store import migrate
from store.connection import connect

COMMAND: Final = [sys.executable, "-m", "fjarrvakt"]
READY: Final = "Fjärrvakt is ready"
_PATIENCE: Final = 4.0  # times the bar, then it counts as not measured


def run(*, seed: int, full: bool, say: Callable[[str], None]) -> list[Figure]:
    """setup.help, setup.compile, setup.start and setup.demo."""
    repeats = 5 if full else 3
    with tempfile.TemporaryDirectory(prefix="fjarrvakt-bench-") as folder:
        place = Path(folder)
        return [
            _help(7),
            _compile(place, repeats if full else 1, say),
            _start(place, repeats, say),
            _demo(place, seed, say),
        ]


def _help(repeats: int) -> Figure:
    script = Path(sys.executable).with_name("fjarrvakt")
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        subprocess.run([script, "--help"], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - begin)
    return within("setup.help", seconds, 0.3, limit="limit", inputs=Inputs())


def _compile(place: Path, repeats: int, say: Callable[[str], None]) -> Figure:
    """Every kernel into an empty cache, from process start to its end."""
    seconds = []
    for number in range(repeats):
        say(f"compiling into an empty cache ({number + 1} of {repeats})")
        environ = os.environ | {"NUMBA_CACHE_DIR": str(place / f"kernels{number}")}
        begin = time.perf_counter()
        subprocess.run([*COMMAND, "warm"], check=True, env=environ, stderr=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - begin)
    return within("setup.compile", seconds, 90, limit="limit", inputs=Inputs())


def _start(place: Path, repeats: int, say: Callable[[str], None]) -> Figure:
    """Each role on a warm cache, from process start to its first ready answer; the slowest role."""
    subprocess.run([*COMMAND, "warm"], check=True, stderr=subprocess.DEVNULL)
    with running(place / "data" / "postgres", settings={"shared_buffers": "64MB"}) as server:
        dsn = server.create_database()
        with connect(dsn) as conn:
            migrate.migrate(conn)
        ports = {f"FJARRVAKT_METRICS__{role.upper()}_PORT": str(free_port()) for role in ROLES[:3]}
        settings = {
            "FJARRVAKT_DATABASE__DSN": dsn,
            "FJARRVAKT_DATA_DIR": str(place / "data"),
            "FJARRVAKT_PORTAL__PORT": str(free_port()),
            **ports,
        }
        urls = ready_urls(load(None, settings))
        times: dict[str, list[float]] = {}
        for role in ROLES:
            say(f"starting {role} {repeats} times")
            times[role] = [
                _until_ready(role, urls[role], os.environ | settings) for _ in range(repeats)
            ]
        server.destroy()
    slowest = max(times, key=lambda role: median(times[role]))
    return within(
        "setup.start", times[slowest], 3, limit=f"limit; slowest: {slowest}", inputs=Inputs()
    )


def _until_ready(role: str, url: str, environ: dict[str, str]) -> float:
    begin = time.perf_counter()
    process = subprocess.Popen(
        [*COMMAND, "run", "--role", role], env=environ, stderr=subprocess.DEVNULL
    )
    try:
        while not is_ready(url):
            if process.poll() is not None or time.perf_counter() - begin > 3 * _PATIENCE:
                raise RuntimeError(f"{role} does not become ready: code {process.returncode}")
            time.sleep(0.01)
        return time.perf_counter() - begin
    finally:
        process.terminate()
        process.wait()


def _demo(place: Path, seed: int, say: Callable[[str], None]) -> Figure:
    """A first `fjarrvakt demo` in an empty folder, from process start to its ready line."""
    say("starting a demo in an empty folder")
    bar_s = 120.0
    folder = place / "demo"
    begin = time.perf_counter()
    process = subprocess.Popen(
        [*COMMAND, "demo", "--data-dir", str(folder), "--seed", str(seed)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    timer = threading.Timer(bar_s * _PATIENCE, process.kill)
    timer.start()
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if READY in line:
                seconds = time.perf_counter() - begin
                return within(
                    "setup.demo", [seconds], bar_s, limit="limit", inputs=Inputs(seed=seed)
                )
        return unmeasured("setup.demo", "s", bar_s, "the demo ended before its ready line")
    finally:
        timer.cancel()
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        EmbeddedPostgres(folder / "postgres").destroy()
