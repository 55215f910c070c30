"""Master data in and out: customers, facilities, meters and where they sit, people."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

import psycopg
from psycopg import errors

from store.queries import load

ALWAYS: Final = datetime.min.replace(tzinfo=UTC)
FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)


class AdminError(ValueError):
    """What was asked contradicts what is stored; the message says what."""


class Facility(NamedTuple):
    """A building's district heating or cooling connection."""

    facility_id: int
    name: str
    metering_point: str | None
    address: str
    customer_number: str
    customer_name: str
    station: str | None
    meters: list[str]


class Meter(NamedTuple):
    """A registered meter; without a facility nobody has claimed it."""

    meter_id: int
    identity: str
    profile: str | None
    facility_id: int | None
    facility_name: str | None
    commodity: int | None
    energy_register: str | None
    last_reading_at: datetime | None


class Unclaimed(NamedTuple):
    """A meter that speaks and belongs to nobody."""

    identity: int
    telegrams: int
    first_at: datetime
    last_at: datetime
    heard_from: str


class Refused(NamedTuple):
    """A telegram in quarantine."""

    telegram_id: int
    received_at: datetime
    source: str
    address: str
    identity: int | None
    reason: str
    detail: str | None
    payload: bytes


def put_customer(conn: psycopg.Connection, *, number: str, name: str) -> int:
    """The id of the customer with this number, made or renamed."""
    return _one(conn, "put_customer", number=number, name=name)


def put_station(conn: psycopg.Connection, *, code: str, name: str) -> int:
    """The id of the weather station with this code, made or renamed."""
    return _one(conn, "put_station", code=code, name=name)


def add_facility(
    conn: psycopg.Connection,
    *,
    name: str,
    customer_id: int,
    shards: int,
    station_id: int | None = None,
    metering_point: str | None = None,
    address: str = "",
    building_type: str | None = None,
    built_year: int | None = None,
    heated_area_m2: int | None = None,
) -> int:
    """Make a facility; its id. `shards` is the setting database.shards.

    Raises AdminError when the metering point is another facility's already.
    """
    try:
        return _one(
            conn,
            "add_facility",
            name=name,
            customer_id=customer_id,
            shards=shards,
            station_id=station_id,
            metering_point=metering_point,
            address=address,
            building_type=building_type,
            built_year=built_year,
            heated_area_m2=heated_area_m2,
        )
    except errors.UniqueViolation:
        raise AdminError(f"metering point {metering_point} belongs to a facility already") from None


def find_facility(conn: psycopg.Connection, facility: str) -> int:
    """The id of a facility named by its id or metering point. Raises AdminError."""
    row = conn.execute(load("admin")["find_facility"], {"facility": facility}).fetchone()
    if row is None:
        raise AdminError(f"no facility has the id or metering point {facility!r}")
    return int(row[0])


def list_facilities(conn: psycopg.Connection) -> list[Facility]:
    """All facilities with their customer and the meters that sit there now."""
    return [Facility(*row) for row in conn.execute(load("admin")["facilities"])]


def register_meter(
    conn: psycopg.Connection,
    *,
    identity: int,
    identity_text: str,
    facility_id: int,
    commodity: Literal[1, 2],
    profile: str | None = None,
    energy_register: Literal["energy_j", "cooling_energy_j"] = "energy_j",
    sign: Literal[-1, 1] = 1,
    installed_at: datetime = ALWAYS,
    removed_at: datetime = FOR_EVER,
    energy_modulus_j: int | None = None,
    volume_modulus_ml: int | None = None,
    qs_l_h: int | None = None,
    gateways: Sequence[str] = (),
) -> int:
    """Make the meter known and claim it for a facility; its id. Harmless when repeated.

    `commodity` is 1 heat or 2 cooling; with `gateways`, only these may speak for the meter.
    Raises AdminError when the register counts for another place in that time.
    """
    queries = load("admin")
    with conn.transaction():
        meter_id = _one(
            conn,
            "put_meter",
            identity=identity,
            identity_text=identity_text,
            profile=profile,
            energy_modulus_j=energy_modulus_j,
            volume_modulus_ml=volume_modulus_ml,
            qs_l_h=qs_l_h,
        )
        place = {
            "meter_id": meter_id,
            "facility_id": facility_id,
            "commodity": commodity,
            "energy_register": energy_register,
            "sign": sign,
            "installed_at": _moment(installed_at),
            "removed_at": _moment(removed_at),
        }
        others = conn.execute(queries["overlapping_installations"], place).fetchall()
        if not others:
            conn.execute(queries["add_installation"], place)
        elif not all(row[3] for row in others):
            _, facility, name, _ = others[0]
            raise AdminError(
                f"{energy_register} of meter {identity_text} counts for facility {facility} "
                f"({name}) in that time already"
            )
        for gateway_id in gateways:
            conn.execute(queries["allow_gateway"], {"gateway_id": gateway_id, "meter_id": meter_id})
    return meter_id


def list_meters(conn: psycopg.Connection) -> list[Meter]:
    """All known meters with their present place and newest reading."""
    return [Meter(*row) for row in conn.execute(load("admin")["meters"])]


def list_unclaimed(conn: psycopg.Connection) -> list[Unclaimed]:
    """Meters whose telegrams wait because nobody has claimed them, latest heard first."""
    return [Unclaimed(*row) for row in conn.execute(load("admin")["unclaimed"])]


def list_quarantine(conn: psycopg.Connection, limit: int) -> list[Refused]:
    """The newest telegrams in quarantine, with reason and bytes."""
    return [Refused(*row) for row in conn.execute(load("admin")["quarantine"], {"limit": limit})]


def put_user(
    conn: psycopg.Connection,
    *,
    email: str,
    name: str,
    password_hash: str,
    customer_numbers: Sequence[str],
    level: Literal["admin", "full", "read"] = "full",
    phone: str | None = None,
    language: str = "sv",
) -> int:
    """Make or change a person and grant her these customers; her id.

    Raises AdminError when a customer number is unknown; nothing has changed then.
    """
    queries = load("admin")
    with conn.transaction():
        known: dict[str, int] = dict(
            conn.execute(queries["customer_ids"], {"numbers": list(customer_numbers)}).fetchall()
        )
        if missing := sorted(set(customer_numbers) - set(known)):
            raise AdminError(f"no customer has the number {', '.join(missing)}")
        user_id = _one(
            conn,
            "put_user",
            email=email,
            name=name,
            phone=phone,
            language=language,
            password_hash=password_hash,
        )
        for customer_id in known.values():
            grant = {"user_id": user_id, "customer_id": customer_id, "level": level}
            conn.execute(queries["grant_customer"], grant)
    return user_id


def _moment(at: datetime) -> datetime | str:
    """A time as PostgreSQL has it: its infinities stand for no bound."""
    if at == ALWAYS:
        return "-infinity"
    return "infinity" if at == FOR_EVER else at


def _one(conn: psycopg.Connection, query: str, **parameters: object) -> int:
    row = conn.execute(load("admin")[query], parameters).fetchone()
    assert row is not None  # noqa: S101 - each of these returns a row
    return int(row[0])
