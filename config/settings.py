"""Everything a utility may set: one TOML file, the environment and secret files."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Port = Annotated[int, Field(ge=0, le=65535)]


class Section(BaseModel):
    """A table of the TOML file; an unknown key is an error, not a silent nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Database(Section):
    """Where PostgreSQL (16 to 18) or TimescaleDB is. An empty `dsn` starts the embedded server."""

    dsn: SecretStr = SecretStr("")
    shards: int = Field(
        64, ge=1, le=4096, description="work is divided by hash(facility); never change it later"
    )
    embedded_user: str = Field(
        "nobody", description="existing user to run the embedded server as when started by root"
    )
    embedded_port: Port = Field(
        0, description="0: a free port, chosen once and kept in the data folder"
    )


class Mqtt(Section):
    """The broker the gateways speak to. An empty `host` switches MQTT off."""

    name: str = "main"
    host: str = ""
    port: Port = 1883
    username: str = ""
    password: SecretStr = SecretStr("")
    client_id: str = Field(
        "fjarrvakt-ingest", description="fixed, so that the broker keeps the session"
    )
    protocol: Literal[4, 5] = Field(5, description="5, or 4 for brokers that speak MQTT 3.1.1 only")
    topics: tuple[str, ...] = ("gw/+/up/#",)
    session_expiry_s: int = Field(7 * 86400, ge=0)


class MbusBus(Section):
    """One wired M-Bus behind a TCP gateway."""

    name: str
    host: str
    port: Port
    primary_addresses: tuple[int, ...] = (1,)
    interval_s: float = Field(3600.0, gt=0)
    timeout_s: float = Field(2.0, gt=0)


class ModbusUnit(Section):
    """One meter on Modbus TCP."""

    name: str
    host: str
    port: Port = 502
    unit: int = Field(1, ge=0, le=255)
    profile: str = Field(description="name of a register map in config/profiles")
    meter: str = Field(description="the meter's identity, like KAM-06855817-08-04")
    interval_s: float = Field(3600.0, gt=0)
    timeout_s: float = Field(1.0, gt=0)


class Ingest(Section):
    """The journal and what is accepted into it."""

    journal_bytes_max: int = Field(4 * 1024**3, gt=0)
    batch_rows: int = Field(20_000, ge=1)
    batch_wait_s: float = Field(0.2, gt=0)
    copy_window_min: int = Field(30, ge=0, description="same content within this time is a copy")
    future_tolerance_s: int = Field(600, ge=0, description="a reading further ahead is quarantined")


class Season(Section):
    """From `valid_from` on, when winter and summer limits begin to hold. [MM-DD]"""

    valid_from: date = date(1970, 1, 1)
    winter_from: str = Field("10-01", pattern=r"^\d\d-\d\d$")
    summer_from: str = Field("05-01", pattern=r"^\d\d-\d\d$")


class Alarm(Section):
    """Delays and deadbands of one kind; empty keeps the default of engine/types.py."""

    on_steps: int | None = Field(None, ge=1)
    off_steps: int | None = Field(None, ge=1)
    deadband_c: float | None = Field(None, ge=0)
    clear_ratio: float | None = Field(None, gt=0, le=1)


class Engine(Section):
    """How registers become hours, days and alarms."""

    metering_tz: str = Field("Etc/GMT-1", description="normal time, UTC+1 all year")
    weight_step: Literal["hour", "day"] = "hour"
    interpolate_max_min: int = Field(90, ge=1)
    exact_s: int = Field(30, ge=0)
    old_reading_h: int = Field(
        48, ge=0, description="what is judged from older readings gives a notice only"
    )
    poll_s: float = Field(0.5, gt=0)
    return_temperature: Alarm = Alarm()
    daily_power: Alarm = Alarm()
    hourly_power: Alarm = Alarm()
    energy_weighted_return: Alarm = Alarm()


class Notify(Section):
    """How people are told. An empty `smtp_host` keeps mail undelivered, visibly."""

    smtp_host: str = ""
    smtp_port: Port = 25
    smtp_username: str = ""
    smtp_password: SecretStr = SecretStr("")
    smtp_starttls: bool = False
    sender: str = "fjarrvakt@localhost"
    public_url: str = "http://localhost:8080"
    poll_s: float = Field(0.5, gt=0)
    tries_max: int = Field(8, ge=1)


class Portal(Section):
    """The web server of Mina sidor."""

    host: str = "127.0.0.1"
    port: Port = 8080
    secure_cookies: bool = True
    session_idle_min: int = Field(30, ge=1)
    session_absolute_h: int = Field(12, ge=1)


class Metrics(Section):
    """Where each role serves /metrics, /livez and /readyz; the portal on its own port. 0: off."""

    host: str = "127.0.0.1"
    ingest_port: Port = 9101
    engine_port: Port = 9102
    notify_port: Port = 9103


class Clock(Section):
    """A clock that stood at `start` when it was `anchor`, and runs `speed` times as fast.

    Only the demo and rehearsals set it; without `start` it is the real clock.
    """

    start: datetime | None = None
    anchor: datetime | None = None
    speed: float = Field(1.0, gt=0)


class Settings(Section):
    """The whole file."""

    data_dir: Path = Path("var")
    log_format: Literal["text", "json"] = "text"
    database: Database = Database()
    mqtt: Mqtt = Mqtt()
    mbus: tuple[MbusBus, ...] = ()
    modbus: tuple[ModbusUnit, ...] = ()
    ingest: Ingest = Ingest()
    seasons: tuple[Season, ...] = (Season(),)
    engine: Engine = Engine()
    notify: Notify = Notify()
    portal: Portal = Portal()
    metrics: Metrics = Metrics()
    clock: Clock = Clock()
