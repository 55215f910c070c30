"""`meter`, `facility`, `user`: setting up an installation without SQL."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from fjarrvakt.commands.cli import (
    EXIT_USAGE,
    ConfigOption,
    JsonOption,
    connection,
    fail,
    print_json,
    print_table,
)

meter = typer.Typer(help="Meters and where they sit.", no_args_is_help=True, rich_markup_mode=None)
facility = typer.Typer(
    help="Facilities and their customers.", no_args_is_help=True, rich_markup_mode=None
)
user = typer.Typer(help="People who may log in.", no_args_is_help=True, rich_markup_mode=None)


class Commodity(StrEnum):
    """What a meter counts for."""

    HEAT = "heat"
    COOLING = "cooling"


class Level(StrEnum):
    """What a person may do for a customer."""

    ADMIN = "admin"
    FULL = "full"
    READ = "read"


_COMMODITY = {1: "heat", 2: "cooling"}


@facility.command("add")
def facility_add(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    customer: Annotated[str, typer.Option(help="The customer's number; made when new.")],
    customer_name: Annotated[str, typer.Option(help="The customer's name.")] = "",
    metering_point: Annotated[str | None, typer.Option(help="Its id at the utility.")] = None,
    address: Annotated[str, typer.Option(help="Street and town.")] = "",
    station: Annotated[str | None, typer.Option(help="Code of its weather station.")] = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Add a facility; prints its id."""
    from store import admin

    with connection(config) as (conn, settings), conn.transaction():
        facility_id = admin.add_facility(
            conn,
            name=name,
            customer_id=admin.put_customer(conn, number=customer, name=customer_name or customer),
            shards=settings.database.shards,
            station_id=admin.put_station(conn, code=station, name=station) if station else None,
            metering_point=metering_point,
            address=address,
        )
    if as_json:
        print_json({"facility_id": facility_id})
    else:
        typer.echo(facility_id)


@facility.command("list")
def facility_list(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """List all facilities."""
    from store import admin

    with connection(config) as (conn, _):
        found = admin.list_facilities(conn)
    if as_json:
        print_json([one._asdict() for one in found])
    else:
        heads = ("id", "name", "metering point", "address", "customer", "", "station", "meters")
        print_table(heads, [tuple(one) for one in found])


@meter.command("add")
def meter_add(
    identity: Annotated[str, typer.Argument(help="Like KAM-06855817-08-04.")],
    facility: Annotated[str, typer.Option(help="The facility's id or metering point.")],
    commodity: Annotated[Commodity, typer.Option(help="What it counts for.")] = Commodity.HEAT,
    profile: Annotated[str | None, typer.Option(help="Its profile in config/profiles.")] = None,
    cooling_register: Annotated[
        bool, typer.Option("--cooling-register", help="Use its register of cooling energy.")
    ] = False,
    installed: Annotated[
        datetime | None, typer.Option(help="When it was put there, UTC. Always, without.")
    ] = None,
    gateway: Annotated[
        list[str] | None, typer.Option(help="Only this gateway may speak for it; repeatable.")
    ] = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Register a meter and claim it for a facility; telegrams that waited for this are taken in."""
    from adapters import identity as identities
    from store import admin

    try:
        number = identities.parse(identity)
    except ValueError as error:
        fail(str(error), EXIT_USAGE)
    with connection(config) as (conn, _):
        meter_id = admin.register_meter(
            conn,
            identity=number,
            identity_text=identities.text(number),
            facility_id=admin.find_facility(conn, facility),
            commodity=1 if commodity is Commodity.HEAT else 2,
            profile=profile,
            energy_register="cooling_energy_j" if cooling_register else "energy_j",
            installed_at=installed.replace(tzinfo=UTC) if installed else admin.ALWAYS,
            gateways=gateway or [],
        )
    if as_json:
        print_json({"meter_id": meter_id, "identity": identities.text(number)})
    else:
        typer.echo(meter_id)


@meter.command("list")
def meter_list(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """List all registered meters."""
    from store import admin

    with connection(config) as (conn, _):
        found = admin.list_meters(conn)
    named = [one._replace(commodity=_COMMODITY.get(one.commodity or 0)) for one in found]  # type: ignore[arg-type]
    if as_json:
        print_json([one._asdict() for one in named])
    else:
        heads = ("id", "identity", "profile", "facility", "", "counts", "register", "last reading")
        print_table(heads, [tuple(one) for one in named])


@meter.command("unclaimed")
def meter_unclaimed(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """List meters that speak and belong to nobody; `meter add` claims them."""
    from adapters import identity as identities
    from store import admin

    with connection(config) as (conn, _):
        found = admin.list_unclaimed(conn)
    rows: list[dict[str, Any]] = [
        one._asdict() | {"identity": identities.text(one.identity)} for one in found
    ]
    if as_json:
        print_json(rows)
    else:
        heads = ("identity", "telegrams", "first", "last", "heard from")
        print_table(heads, [tuple(row.values()) for row in rows])


@user.command("add")
def user_add(
    email: Annotated[str, typer.Argument(help="Mail address, which is also the login.")],
    customer: Annotated[list[str], typer.Option(help="A customer number she sees; repeatable.")],
    name: Annotated[str, typer.Option(help="Her name.")] = "",
    level: Annotated[Level, typer.Option(help="What she may do.")] = Level.FULL,
    language: Annotated[str, typer.Option(help="sv or en.")] = "sv",
    password: Annotated[
        str,
        typer.Option(
            envvar="FJARRVAKT_NEW_PASSWORD", prompt=True, hide_input=True, confirmation_prompt=True
        ),
    ] = "",
    config: ConfigOption = None,
) -> None:
    """Add a person, or change her; asks for the password unless FJARRVAKT_NEW_PASSWORD has it."""
    from portal.passwords import hash_password
    from store import admin

    if "@" not in email:
        fail(f"{email!r} is no mail address", EXIT_USAGE)
    if len(password) < 8:
        fail("the password needs at least 8 characters", EXIT_USAGE)
    with connection(config) as (conn, _):
        user_id = admin.put_user(
            conn,
            email=email.strip().lower(),
            name=name or email,
            password_hash=hash_password(password),
            customer_numbers=customer,
            level=level.value,
            language=language,
        )
    typer.echo(user_id)
