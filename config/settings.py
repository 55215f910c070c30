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

    dsn: SecretStr = Field(
        SecretStr(""), description="libpq's connection string; empty starts the embedded server"
    )
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

    name: str = Field("main", description="its name in the archive and the metrics")
    host: str = Field("", description="name or address; empty: no broker")
    port: Port = Field(1883, description="8883 is usual with TLS")
    username: str = Field("", description="empty: none is sent")
    password: SecretStr = Field(SecretStr(""), description="of that user")
    client_id: str = Field(
        "fjarrvakt-ingest", description="fixed, so that the broker keeps the session"
    )
    protocol: Literal[4, 5] = Field(5, description="5, or 4 for brokers that speak MQTT 3.1.1 only")
    topics: tuple[str, ...] = Field(("gw/+/up/#",), description="what to subscribe to")
    session_expiry_s: int = Field(
        7 * 86400, ge=0, description="how long the broker keeps messages while ingest is away"
    )


class MbusBus(Section):
    """One wired M-Bus behind a TCP gateway."""

    name: str = Field(description="its name in the archive and the metrics")
    host: str = Field(description="the gateway's name or address")
    port: Port = Field(description="the gateway's TCP port")
    primary_addresses: tuple[int, ...] = Field((1,), description="the meters to read")
    interval_s: float = Field(3600.0, gt=0, description="between two polls")
    timeout_s: float = Field(2.0, gt=0, description="silence that ends a wait")


class ModbusUnit(Section):
    """One meter on Modbus TCP."""

    name: str = Field(description="its name in the archive and the metrics")
    host: str = Field(description="the meter's or gateway's name or address")
    port: Port = Field(502, description="its TCP port")
    unit: int = Field(1, ge=0, le=255, description="the unit's number behind that address")
    profile: str = Field(description="name of a register map in config/profiles")
    meter: str = Field(description="the meter's identity, like KAM-06855817-08-04")
    interval_s: float = Field(3600.0, gt=0, description="between two polls")
    timeout_s: float = Field(1.0, gt=0, description="silence that ends a wait")


class Ingest(Section):
    """The journal and what is accepted into it."""

    journal_bytes_max: int = Field(
        4 * 1024**3, gt=0, description="a full journal stops acknowledging, it never drops"
    )
    batch_rows: int = Field(20_000, ge=1, description="most envelopes in one transaction")
    batch_wait_s: float = Field(0.2, gt=0, description="how long an empty journal is waited for")
    copy_window_min: int = Field(30, ge=0, description="same content within this time is a copy")
    future_tolerance_s: int = Field(600, ge=0, description="a reading further ahead is quarantined")


class Season(Section):
    """From `valid_from` on, when winter and summer limits begin to hold. [MM-DD]"""

    valid_from: date = Field(date(1970, 1, 1), description="first metering day of these dates")
    winter_from: str = Field("10-01", pattern=r"^\d\d-\d\d$", description="first day of winter")
    summer_from: str = Field("05-01", pattern=r"^\d\d-\d\d$", description="first day of summer")


class Alarm(Section):
    """Delays and deadbands of one kind; empty keeps the default of engine/types.py."""

    on_steps: int | None = Field(
        None, ge=1, description="valid hours (days) in a row beyond the limit that raise"
    )
    off_steps: int | None = Field(
        None, ge=1, description="valid hours (days) in a row on the right side that clear"
    )
    deadband_c: float | None = Field(
        None, ge=0, description="how far inside a temperature limit is the right side [K]"
    )
    clear_ratio: float | None = Field(
        None, gt=0, le=1, description="the share of a power limit below which is the right side"
    )


class Engine(Section):
    """How registers become hours, days and alarms."""

    metering_tz: str = Field("Etc/GMT-1", description="normal time, UTC+1 all year")
    weight_step: Literal["hour", "day"] = Field(
        "hour", description="what the energy-weighted return temperature weighs"
    )
    interpolate_max_min: int = Field(
        90, ge=1, description="readings at most so far apart give interpolated hours, not gaps"
    )
    exact_s: int = Field(30, ge=0, description="a reading so near the whole hour counts as on it")
    old_reading_h: int = Field(
        48, ge=0, description="what is judged from older readings gives a notice only"
    )
    poll_s: float = Field(0.5, gt=0, description="how often an empty ledger is looked at")
    return_temperature: Alarm = Alarm()
    daily_power: Alarm = Alarm()
    hourly_power: Alarm = Alarm()
    energy_weighted_return: Alarm = Alarm()


class Notify(Section):
    """How people are told. An empty `smtp_host` keeps mail undelivered, visibly."""

    smtp_host: str = Field("", description="the relay; empty: mails wait, visibly")
    smtp_port: Port = Field(25, description="587 is usual with STARTTLS")
    smtp_username: str = Field("", description="empty: no login")
    smtp_password: SecretStr = Field(SecretStr(""), description="of that user")
    smtp_starttls: bool = Field(default=False, description="refuse to send in clear")
    sender: str = Field("fjarrvakt@localhost", description="From of every mail")
    public_url: str = Field(
        "http://localhost:8080", description="where people reach the portal; links begin with it"
    )
    poll_s: float = Field(0.5, gt=0, description="how often an empty outbox is looked at")
    tries_max: int = Field(8, ge=1, description="attempts at one mail before it has failed")


class Portal(Section):
    """The web server of Mina sidor."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(8080, description="port to listen on")
    secure_cookies: bool = Field(default=True, description="off only where there is no TLS")
    session_idle_min: int = Field(30, ge=1, description="a session unused for so long ends")
    session_absolute_h: int = Field(12, ge=1, description="every session ends after this")


class Metrics(Section):
    """Where each role serves /metrics, /livez and /readyz; the portal on its own port. 0: off."""

    host: str = Field("127.0.0.1", description="address to listen on")
    ingest_port: Port = Field(9101, description="of the ingest role")
    engine_port: Port = Field(9102, description="of the engine role")
    notify_port: Port = Field(9103, description="of the notify role")


class Clock(Section):
    """A clock that stood at `start` when it was `anchor`, and runs `speed` times as fast.

    Only the demo and rehearsals set it; without `start` it is the real clock.
    """

    start: datetime | None = Field(None, description="what the clock showed at its anchor")
    anchor: datetime | None = Field(None, description="the real time then; empty: at start-up")
    speed: float = Field(1.0, gt=0, description="times real time")


class Settings(Section):
    """The whole file."""

    data_dir: Path = Field(Path("var"), description="journal and embedded database live here")
    log_format: Literal["text", "json"] = Field("text", description="json for a log collector")
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
