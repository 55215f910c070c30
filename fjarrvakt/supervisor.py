"""Keeps the roles running as processes: starts them, restarts one that died, stops them together.

A role's standard input is a pipe from here. When this process is killed the pipe closes, and the
role ends by itself instead of staying behind.
"""

import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import structlog

from config.settings import Settings

ROLES: Final = ("ingest", "engine", "notify", "portal")

EXIT_SETTINGS: Final = 78
"""EX_CONFIG of sysexits.h: restarting would not help."""

_BACK_OFF_S: Final = 0.5
_BACK_OFF_MAX_S: Final = 30.0
_STEADY_S: Final = 60.0  # a role that lived this long starts over with the short back-off
_GRACE_S: Final = 25.0

log = structlog.get_logger()


class RoleError(RuntimeError):
    """A role cannot be had; restarting it would not help."""


class _Process:
    """One role's process and its history."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.popen: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.restart_at = 0.0
        self.back_off = _BACK_OFF_S


class Supervisor:
    """The role processes of one installation; for one thread.

    `config` and `environ` are what the roles read their settings from; `log` is a file for what
    they say, without one it goes where this process's own words go.
    """

    def __init__(
        self, config: Path | None, environ: Mapping[str, str], *, log: Path | None = None
    ) -> None:
        self._config = config
        self._environ = dict(environ)
        self._log = log
        self._processes: dict[str, _Process] = {}

    def start(self, roles: Sequence[str]) -> None:
        """Start these roles."""
        for role in roles:
            process = self._processes[role] = _Process(role)
            self._launch(process)

    def watch(self, stop: threading.Event, seconds: float | None = None) -> None:
        """Restart what dies, until `stop` is set or `seconds` have passed.

        Raises RoleError when a role refuses its settings.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while not stop.is_set() and (deadline is None or time.monotonic() < deadline):
            self.step()
            stop.wait(0.2)

    def step(self) -> None:
        """Look once at every role. Raises RoleError when one refuses its settings."""
        for process in self._processes.values():
            if process.popen is None:
                if time.monotonic() >= process.restart_at:
                    self._launch(process)
            elif (code := process.popen.poll()) is not None:
                self._bury(process, code)

    def pids(self) -> dict[str, int]:
        """The processes that are there now, by role."""
        return {one.role: one.popen.pid for one in self._processes.values() if one.popen}

    def stop(self) -> None:
        """End every role, politely first."""
        living = [one.popen for one in self._processes.values() if one.popen]
        for popen in living:
            popen.terminate()
        deadline = time.monotonic() + _GRACE_S
        for popen in living:
            try:
                popen.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("role_killed", pid=popen.pid, grace_s=_GRACE_S)
                popen.kill()
                popen.wait()
            if popen.stdin:
                popen.stdin.close()
        self._processes.clear()

    def _launch(self, process: _Process) -> None:
        command = [sys.executable, "-m", "fjarrvakt", "run", "--role", process.role, "--tied"]
        if self._config is not None:
            command += ["--config", str(self._config)]
        process.started = time.monotonic()
        with ExitStack() as stack:
            out = stack.enter_context(self._log.open("ab")) if self._log else None
            process.popen = subprocess.Popen(  # noqa: S603 - ourselves
                command,
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C reaches us, and we stop them in order
            )

    def _bury(self, process: _Process, code: int) -> None:
        assert process.popen is not None  # noqa: S101 - the caller has looked
        if process.popen.stdin:
            process.popen.stdin.close()
        process.popen = None
        if code == EXIT_SETTINGS:
            raise RoleError(f"{process.role} refuses its settings")
        lived = time.monotonic() - process.started
        process.back_off = (
            _BACK_OFF_S if lived > _STEADY_S else min(process.back_off * 2, _BACK_OFF_MAX_S)
        )
        process.restart_at = time.monotonic() + process.back_off
        log.error(
            "role_died",
            dead=process.role,
            code=code,
            lived_s=round(lived, 1),
            restart_s=process.back_off,
        )


def ready_urls(settings: Settings) -> dict[str, str]:
    """Where each role says that it is ready; a role whose port is 0 says it nowhere."""
    places = {
        role: (settings.metrics.host, getattr(settings.metrics, f"{role}_port"))
        for role in ROLES
        if role != "portal"
    }
    places["portal"] = (settings.portal.host, settings.portal.port)
    everywhere = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
    return {
        role: f"http://{'127.0.0.1' if host in everywhere else host}:{port}/readyz"
        for role, (host, port) in places.items()
        if port
    }


def is_ready(url: str) -> bool:
    """Whether the role behind this /readyz answers that it is."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
