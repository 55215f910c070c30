"""The demo's master data: the simulated fleet's facilities, meters and rules, and one user."""

import secrets
from pathlib import Path
from typing import Final, Literal, NamedTuple

import psycopg

from adapters import identity
from simulators.building import Use
from simulators.fleet import STATION, Course, Fleet
from store import admin, rules
from store.readings import utc

EMAIL: Final = "demo@fjarrvakt.example"

COMMODITY: Final[dict[Use, Literal[1, 2]]] = {Use.HEAT: 1, Use.COOLING: 2}


class Account(NamedTuple):
    """The demo's one login."""

    email: str
    password: str


def password_of(folder: Path) -> str:
    """This demo's own password: drawn once, kept beside its data, readable by its owner alone."""
    path = folder / "password"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(9))
    return path.read_text().strip()


def put(conn: psycopg.Connection, fleet: Fleet, *, password: str, shards: int) -> None:
    """Register the whole fleet; harmless when it is there already."""
    from argon2 import PasswordHasher  # half as slow to import as everything else here together

    with conn.transaction():
        station_id = admin.put_station(conn, code=STATION, name="Granvik")
        customers = {
            facility.customer.number: admin.put_customer(
                conn, number=facility.customer.number, name=facility.customer.name
            )
            for facility in fleet.facilities
        }
        user_id = admin.put_user(
            conn,
            email=EMAIL,
            name="Demo",
            password_hash=PasswordHasher().hash(password),
            customer_numbers=list(customers),
            level="admin",
        )
        if admin.list_facilities(conn):
            return
        ids = [
            admin.add_facility(
                conn,
                name=facility.name,
                customer_id=customers[facility.customer.number],
                shards=shards,
                station_id=station_id,
                metering_point=facility.metering_point,
                address=facility.address,
                building_type=facility.building_type,
                built_year=facility.built_year,
                heated_area_m2=facility.heated_area_m2,
            )
            for facility in fleet.facilities
        ]
        for course in fleet.courses:
            _put_course(conn, fleet, course, ids[course.facility], user_id)


def _put_course(
    conn: psycopg.Connection, fleet: Fleet, course: Course, facility_id: int, user_id: int
) -> None:
    meter = course.meter
    commodity = COMMODITY[meter.use]
    admin.register_meter(
        conn,
        identity=meter.identity,
        identity_text=identity.text(meter.identity),
        facility_id=facility_id,
        commodity=commodity,
        energy_register=meter.energy_register,
        qs_l_h=meter.qs_l_h,
        gateways=() if meter.live != "mqtt" else meter.gateways,
    )
    for kind, limit in course.limits.items():
        rules.put_rule(
            conn,
            facility_id=facility_id,
            commodity=commodity,
            kind=kind,
            limits=rules.Limits(utc(fleet.start_us), limit.winter, limit.summer),
            set_by="Demo",
            channels=("portal", "mail"),
            recipients=(user_id,),
        )
