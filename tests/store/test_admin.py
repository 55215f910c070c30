"""Master data: harmless to repeat, contradictions refused whole."""

from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.identity import parse, text
from store import admin, partitions

METER = parse("KAM-06855817-08-04")
MAY = datetime(2026, 5, 1, tzinfo=UTC)


def facility(conn, name="house", **more: Any):
    customer = admin.put_customer(conn, number="1001", name="Brf Björken")
    return admin.add_facility(conn, name=name, customer_id=customer, shards=64, **more)


def meter(conn, facility_id, **more: Any):
    return admin.register_meter(
        conn,
        identity=METER,
        identity_text=text(METER),
        facility_id=facility_id,
        commodity=1,
        **more,
    )


def test_customer_and_station_are_known_by_number_and_code(conn):
    first = admin.put_customer(conn, number="1", name="old")
    assert admin.put_customer(conn, number="1", name="new") == first
    assert conn.execute("select name from customer").fetchall() == [("new",)]
    assert admin.put_station(conn, code="98230", name="a") == admin.put_station(
        conn, code="98230", name="b"
    )


def test_facilities_spread_evenly_over_the_shards(conn):
    customer = admin.put_customer(conn, number="1", name="x")
    for number in range(32):
        admin.add_facility(conn, name=str(number), customer_id=customer, shards=8)
    counts = conn.execute("select count(*) from facility group by shard").fetchall()
    assert counts == [(4,)] * 8


def test_facility_is_found_by_id_and_metering_point(conn):
    made = facility(conn, metering_point="735999")
    assert admin.find_facility(conn, str(made)) == made
    assert admin.find_facility(conn, "735999") == made
    with pytest.raises(admin.AdminError, match="no facility"):
        admin.find_facility(conn, "735")
    with pytest.raises(admin.AdminError, match="735999"):
        facility(conn, metering_point="735999")


def test_meter_registered_twice_is_one(conn):
    made = facility(conn)
    assert meter(conn, made, qs_l_h=1500) == meter(conn, made, profile="multical")
    assert conn.execute("select profile, qs_l_h from meter").fetchall() == [("multical", 1500)]
    assert conn.execute("select count(*) from installation").fetchone() == (1,)


def test_meter_moves_when_its_time_there_is_over(conn):
    old, new = facility(conn, "old"), facility(conn, "new")
    meter(conn, old, removed_at=MAY)
    meter(conn, new, installed_at=MAY)
    assert [one.facility_name for one in admin.list_meters(conn)] == ["new"]
    assert [one.meters for one in admin.list_facilities(conn)] == [[], [text(METER)]]


def test_meter_counts_for_one_place_at_a_time(conn):
    meter(conn, facility(conn, "first"))
    second = facility(conn, "second")
    with pytest.raises(admin.AdminError, match="first"):
        meter(conn, second, installed_at=MAY, profile="changed")
    assert conn.execute("select profile from meter").fetchone() == (None,)
    meter(conn, second, energy_register="cooling_energy_j")


def test_gateways_named_for_a_meter(conn):
    made = facility(conn)
    meter(conn, made, gateways=["gw-1", "gw-2"])
    meter(conn, made, gateways=["gw-1"])
    assert conn.execute("select count(*) from gateway_meter").fetchone() == (2,)


def test_user_sees_the_customers_granted(conn):
    facility(conn)
    person = {"email": "anna@example.se", "name": "Anna", "customer_numbers": ["1001"]}
    first = admin.put_user(conn, password_hash="a", **person)
    assert admin.put_user(conn, password_hash="b", level="read", **person) == first
    grants = conn.execute(
        "select password_hash, level from app_user join grant_customer using (user_id)"
    )
    assert grants.fetchall() == [("b", "read")]
    with pytest.raises(admin.AdminError, match="1002, 1003"):
        admin.put_user(
            conn,
            email="x@y.se",
            name="X",
            password_hash="c",
            customer_numbers=["1003", "1001", "1002"],
        )
    assert conn.execute("select count(*) from app_user").fetchone() == (1,)


def test_unclaimed_and_refused_telegrams_are_listed(conn):
    partitions.ensure(conn, "telegram", 1_767_225_600_000_000, 1_767_225_600_000_000)
    for number, (outcome, reason) in enumerate([(4, "owner"), (4, "owner"), (3, "checksum")]):
        conn.execute(
            "insert into telegram(received_at, telegram_id, source, address, identity, outcome,"
            " reason, payload) values (%s, %s, 'mqtt:main', 'gw/1/up/telegram', %s, %s, %s, %s)",
            (datetime(2026, 1, 1, number, tzinfo=UTC), number, METER, outcome, reason, b"\x68"),
        )
    (one,) = admin.list_unclaimed(conn)
    assert (one.identity, one.telegrams, one.first_at.hour, one.last_at.hour) == (METER, 2, 0, 1)
    assert one.heard_from == "mqtt:main gw/1/up/telegram"
    (refused,) = admin.list_quarantine(conn, 10)
    assert (refused.reason, refused.payload) == ("checksum", b"\x68")
