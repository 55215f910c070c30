"""Where a demo plays: its folder, ports and settings, and what must survive between runs."""

import socket
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Self

import orjson

from adapters import identity
from config.render import as_toml
from config.settings import (
    Clock,
    MbusBus,
    Metrics,
    ModbusUnit,
    Mqtt,
    Notify,
    Portal,
    Settings,
)
from simulators.fleet import Fleet
from simulators.meters import MODBUS_MAP

_PORTAL_PORT: Final = 8080
_HOUR_US: Final = 3_600_000_000
_HOUR_S: Final = 3600.0


@dataclass(frozen=True, kw_only=True)
class State:
    """What lets a second run continue the first: whose fleet it is, and how far it lived."""

    seed: int
    live_us: int
    lived_until_us: int

    @classmethod
    def of(cls, folder: Path, seed: int) -> Self:
        """The state of an earlier run, or a new one whose history ends at the last whole hour.

        Raises ValueError when the folder holds a demo of another seed.
        """
        path = folder / "demo.json"
        if not path.exists():
            live_us = time.time_ns() // 1000 // _HOUR_US * _HOUR_US
            return cls(seed=seed, live_us=live_us, lived_until_us=0)
        found = cls(**orjson.loads(path.read_bytes()))
        if found.seed != seed:
            raise ValueError(
                f"{folder} holds a demo of seed {found.seed}, not {seed}; name another --data-dir, "
                "or delete that folder to begin anew"
            )
        return found

    def lived(self, folder: Path, until_us: int) -> Self:
        """The state after living until then, remembered for the next run."""
        state = replace(self, lived_until_us=max(until_us, self.lived_until_us))
        (folder / "demo.json").write_bytes(orjson.dumps(asdict(state)))
        return state


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Loopback ports of this run."""

    portal: int
    broker: int
    smtp: int
    mbus: int
    modbus: int
    ingest: int
    engine: int
    notify: int

    @classmethod
    def free(cls) -> Self:
        """Ports nobody listens on; the portal's usual one when it is free."""
        names = ("broker", "smtp", "mbus", "modbus", "ingest", "engine", "notify")
        sockets = [socket.socket() for _ in names]
        try:
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            others = {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}
            return cls(portal=_free(_PORTAL_PORT), **others)
        finally:
            for one in sockets:
                one.close()


def _free(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings_for(folder: Path, ports: Ports, fleet: Fleet, mqtt_version: int) -> Settings:
    """Everything on loopback, every role on a port of its own, the polled meters named."""
    polled = {course.meter.live: course.meter for course in fleet.courses}
    return Settings(
        data_dir=folder,
        mqtt=Mqtt(host="127.0.0.1", port=ports.broker, protocol=5 if mqtt_version == 5 else 4),
        mbus=(MbusBus(name="cellar", host="127.0.0.1", port=ports.mbus, interval_s=_HOUR_S / 4),),
        modbus=(
            ModbusUnit(
                name="substation",
                host="127.0.0.1",
                port=ports.modbus,
                profile=MODBUS_MAP,
                meter=identity.text(polled["modbus"].identity),
                interval_s=_HOUR_S / 4,
            ),
        ),
        notify=Notify(
            smtp_host="127.0.0.1",
            smtp_port=ports.smtp,
            public_url=f"http://127.0.0.1:{ports.portal}",
        ),
        portal=Portal(port=ports.portal, secure_cookies=False),
        metrics=Metrics(
            ingest_port=ports.ingest, engine_port=ports.engine, notify_port=ports.notify
        ),
    )


def write_config(folder: Path, settings: Settings, clock: Clock) -> Path:
    """The settings with this clock as the file that the roles of this run read."""
    path = folder / "fjarrvakt.toml"
    path.touch(mode=0o600)
    path.write_text(as_toml(settings.model_copy(update={"clock": clock})))
    return path
