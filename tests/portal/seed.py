"""Rows for tests of notify and portal: customers, people, facilities, two years of hours, alarms.

Written straight into the tables on purpose: what these rooms do must not depend on the rooms above.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import argon2
import numpy as np
import psycopg

from store import partitions
from store.copy import copy_in

NOW = datetime(2026, 11, 12, 8, 20, tzinfo=UTC)
"""The present of these tests: a Thursday morning in winter."""

HOUR_US = 3_600_000_000
HASHER = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "vinterljus-och-varme"

HOUR_TYPES = {
    "facility_id": "int4",
    "commodity": "int2",
    "start_at": "timestamptz",
    "energy_j": "int8",
    "volume_ml": "int8",
    "e8_mlc": "int8",
    "e9_mlc": "int8",
    "quality": "int2",
    "method_version": "int2",
}


def us(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


def _id(conn: psycopg.Connection, query: str, parameters: Sequence[object]) -> int:
    row = conn.execute(query, parameters).fetchone()
    assert row is not None
    return int(row[0])


def add_customer(conn: psycopg.Connection, number: str, name: str) -> int:
    return _id(
        conn,
        "insert into customer (number, name) values (%s, %s) returning customer_id",
        (number, name),
    )


def add_user(
    conn: psycopg.Connection,
    email: str,
    grants: Mapping[int, str],
    *,
    name: str = "Maria Ek",
    language: str = "sv",
) -> int:
    user_id = _id(
        conn,
        "insert into app_user (email, name, language, password_hash) values (%s, %s, %s, %s)"
        " returning user_id",
        (email, name, language, HASHER.hash(PASSWORD)),
    )
    for customer_id, level in grants.items():
        conn.execute(
            "insert into grant_customer values (%s, %s, %s)", (user_id, customer_id, level)
        )
    return user_id


def add_facility(
    conn: psycopg.Connection, customer_id: int, name: str, commodities: Sequence[int] = (1,)
) -> int:
    station = _id(
        conn,
        "insert into station (code, name) values ('98230', 'Stockholm') on conflict (code)"
        " do update set name = excluded.name returning station_id",
        (),
    )
    facility_id = _id(
        conn,
        "insert into facility (shard, customer_id, station_id, metering_point, name, address,"
        " building_type, built_year, heated_area_m2) values (1, %s, %s, 'MP-' || %s, %s, %s,"
        " 'Flerbostadshus', 1968, 4050) returning facility_id",
        (customer_id, station, name, name, f"{name}, Ekhamn"),
    )
    for commodity in commodities:
        meter_id = _id(
            conn,
            "insert into meter (identity, identity_text, energy_step_j, volume_step_ml)"
            " values (%s, %s, 3600000, 1000) returning meter_id",
            (facility_id * 100 + commodity, f"KAM-{facility_id * 100 + commodity:08d}-34-04"),
        )
        conn.execute(
            "insert into installation (meter_id, facility_id, commodity) values (%s, %s, %s)",
            (meter_id, facility_id, commodity),
        )
    return facility_id


def meter_of(conn: psycopg.Connection, facility_id: int, commodity: int = 1) -> int:
    return _id(
        conn,
        "select meter_id from installation where facility_id = %s and commodity = %s",
        (facility_id, commodity),
    )


def add_rule(
    conn: psycopg.Connection,
    facility_id: int,
    kind: str = "return_temperature",
    *,
    commodity: int = 1,
    winter: int = 4500,
    summer: int = 5600,
    channels: Sequence[str] = ("portal", "mail"),
    recipients: Sequence[int] = (),
) -> int:
    rule_id = _id(
        conn,
        "insert into alarm_rule (facility_id, commodity, kind, channels, recipients)"
        " values (%s, %s, %s, %s, %s) returning rule_id",
        (facility_id, commodity, kind, list(channels), list(recipients)),
    )
    conn.execute(
        "insert into alarm_limit (rule_id, valid_from, winter_limit, summer_limit, set_by)"
        " values (%s, '2024-10-01Z', %s, %s, 'Maria Ek')",
        (rule_id, winter, summer),
    )
    return rule_id


def raise_alarm(
    conn: psycopg.Connection,
    rule_id: int,
    since: datetime,
    *,
    value: int = 5640,
    until: datetime | None = None,
    portal_only: bool = False,
) -> tuple[int, int]:
    """An occurrence with its raising (and clearing); (occurrence_id, transition_id)."""
    state = "unacknowledged" if until is None else "returned_unacknowledged"
    season = "winter" if since.month >= 10 or since.month <= 4 else "summer"
    occurrence_id = _id(
        conn,
        "insert into alarm_occurrence (rule_id, facility_id, commodity, kind, since, until, season,"
        " limit_value, raised_value, extreme_value, state, state_at) select rule_id, facility_id,"
        " commodity, kind, %s, %s, %s, case when %s = 'winter' then winter_limit else summer_limit"
        " end, %s, %s, %s, %s from alarm_rule join alarm_limit using (rule_id) where rule_id = %s"
        " returning occurrence_id",
        (since, until, season, season, value, value + 120, state, until or since, rule_id),
    )
    step = ("raise", "normal", "unacknowledged")
    raised = add_transition(conn, occurrence_id, step, since, value=value, portal_only=portal_only)
    if until is not None:
        step = ("clear", "unacknowledged", "returned_unacknowledged")
        add_transition(conn, occurrence_id, step, until, portal_only=portal_only)
    return occurrence_id, raised


def add_transition(
    conn: psycopg.Connection,
    occurrence_id: int,
    step: tuple[str, str, str],
    at: datetime,
    *,
    value: int | None = None,
    portal_only: bool = False,
) -> int:
    """`step`: event, from state, to state."""
    transition_id = _id(
        conn,
        "insert into alarm_transition (occurrence_id, event, from_state, to_state, source_at,"
        " decided_at, actor, reason, value) values (%s, %s, %s, %s, %s, %s, 'engine', '', %s)"
        " returning transition_id",
        (occurrence_id, *step, at, at + timedelta(seconds=40), value),
    )
    conn.execute(
        "insert into outbox (transition_id, portal_only) values (%s, %s)",
        (transition_id, portal_only),
    )
    return transition_id


def fill_history(
    conn: psycopg.Connection,
    facility_id: int,
    *,
    commodity: int = 1,
    days: int = 731,
    until: datetime = NOW,
    fault_days: int = 6,
) -> None:
    """Hours, days, outdoor temperatures up to the last whole hour; `fault_days` run warm."""
    end_us = us(until) // HOUR_US * HOUR_US
    start_us = end_us - days * 24 * HOUR_US
    hours = np.arange(start_us, end_us, HOUR_US)
    count = hours.size
    rng = np.random.default_rng(facility_id * 10 + commodity)
    year = 2 * np.pi * ((hours / HOUR_US / 24 + 1) % 365.25) / 365.25
    outdoor_c = 7.5 - 11 * np.cos(year - 0.35) + 3 * np.sin(hours / HOUR_US / 24 * 2 * np.pi)
    outdoor_c += np.convolve(rng.normal(0, 1.2, count + 71), np.ones(72) / 8, "valid")
    hour_of_day = hours // HOUR_US % 24
    morning = 1 + 0.18 * np.exp(-(((hour_of_day - 6) / 2.0) ** 2)) + rng.normal(0, 0.05, count)
    if commodity == 1:
        power_kw = (6 + np.clip(17 - outdoor_c, 0, None) * 3.4) * morning
        supply_c = np.clip(82 - outdoor_c * 0.9, 66, 100) + rng.normal(0, 0.8, count)
        return_c = 35 + np.clip(outdoor_c - 5, 0, 20) * 0.75 + rng.normal(0, 1.0, count)
        return_c[count - 24 * fault_days :] += 18
        cooling_k = supply_c - return_c
    else:
        power_kw = (2 + np.clip(outdoor_c - 12, 0, None) * 4.0) * morning
        supply_c = 6.5 + rng.normal(0, 0.2, count)
        return_c = 15.5 + rng.normal(0, 0.6, count)
        cooling_k = return_c - supply_c
    energy_j = np.round(power_kw).astype(np.int64) * 3_600_000
    volume_ml = np.round(energy_j / (4.1 * cooling_k)).astype(np.int64)
    missing = np.int64(-(1 << 63))
    columns = {
        "facility_id": np.full(count, facility_id, np.int64),
        "commodity": np.full(count, commodity, np.int64),
        "start_at": hours.astype(np.int64),
        "energy_j": energy_j,
        "volume_ml": volume_ml,
        "e8_mlc": np.round(volume_ml * supply_c).astype(np.int64),
        "e9_mlc": np.round(volume_ml * return_c).astype(np.int64),
        "quality": np.ones(count, np.int64),
        "method_version": np.ones(count, np.int64),
    }
    gap = slice(count - 24 * 10 - 7, count - 24 * 10 - 3)
    for name in ("energy_j", "volume_ml", "e8_mlc", "e9_mlc"):
        columns[name][gap] = missing
    columns["quality"][gap] = 5
    columns["quality"][count - 24 * 12 : count - 24 * 12 + 5] = 2
    partitions.ensure(conn, "hour", start_us, end_us)
    copy_in(conn, "hour", HOUR_TYPES, columns)
    _fill_days(conn, facility_id, commodity, start_us, end_us)
    _fill_outdoor(conn, hours, outdoor_c)


def _fill_days(
    conn: psycopg.Connection, facility_id: int, commodity: int, start_us: int, end_us: int
) -> None:
    conn.execute(
        """
        insert into day (facility_id, commodity, day, energy_j, volume_ml, e8_mlc, e9_mlc,
            weighted_energy_j, weighted_return_jc, hours, hours_measured, quality, method_version)
        select facility_id, commodity, (start_at at time zone 'Etc/GMT-1')::date, sum(energy_j),
            sum(volume_ml), sum(e8_mlc), sum(e9_mlc), sum(energy_j),
            sum(energy_j::numeric * e9_mlc / nullif(volume_ml, 0))::bigint, count(energy_j),
            count(energy_j), max(quality), 1
        from hour
        where facility_id = %s and commodity = %s and start_at >= to_timestamp(%s / 1e6)
        group by 1, 2, 3
        having (min(start_at) at time zone 'Etc/GMT-1')::time = '00:00'
            and max(start_at) < date_trunc('day', to_timestamp(%s / 1e6) at time zone 'Etc/GMT-1')
                at time zone 'Etc/GMT-1'
        """,
        (facility_id, commodity, start_us, end_us),
    )


def _fill_outdoor(conn: psycopg.Connection, hours: np.ndarray, outdoor_c: np.ndarray) -> None:
    row = conn.execute("select 1 from outdoor limit 1").fetchone()
    if row is None:
        types = {
            "station_id": "int4",
            "start_at": "timestamptz",
            "temp_cc": "int2",
            "telegram_id": "int8",
        }
        station = _id(conn, "select station_id from station where code = '98230'", ())
        columns = {
            "station_id": np.full(hours.size, station, np.int64),
            "start_at": hours.astype(np.int64),
            "temp_cc": np.round(outdoor_c * 100).astype(np.int64),
            "telegram_id": np.zeros(hours.size, np.int64),
        }
        copy_in(conn, "outdoor", types, columns)
    conn.execute(
        "update day set outdoor_temp_cc = (select avg(temp_cc)::int from outdoor"
        " where start_at >= day::timestamp at time zone 'Etc/GMT-1'"
        " and start_at < (day + 1)::timestamp at time zone 'Etc/GMT-1')"
        " where outdoor_temp_cc is null"
    )


def add_notice(
    conn: psycopg.Connection, transition_id: int, user_id: int, facility_id: int, title: str
) -> int:
    return _id(
        conn,
        "insert into notice (transition_id, user_id, facility_id, created_at, title, body)"
        " values (%s, %s, %s, %s, %s, 'Kontrollera att styrventilen stänger helt.')"
        " returning notice_id",
        (transition_id, user_id, facility_id, NOW - timedelta(days=5), title),
    )


def add_readings(
    conn: psycopg.Connection, facility_id: int, *, until: datetime = NOW, count: int = 8
) -> None:
    """Raw registers of each meter by the hour; the newest one's return sensor is faulty."""
    rows = conn.execute(
        "select meter_id, commodity from installation where facility_id = %s", (facility_id,)
    ).fetchall()
    newest = us(until) // HOUR_US * HOUR_US
    partitions.ensure(conn, "reading", newest - count * HOUR_US, newest)
    for meter_id, commodity in rows:
        supply = 8030 if commodity == 1 else 650
        for back in range(count):
            faulty = back == 0 and commodity == 2
            conn.execute(
                "insert into reading (at, meter_id, energy_j, volume_ml, power_w, flow_l_h,"
                " supply_temp_cc, return_temp_cc, quality, content_hash, received_at, stored_at,"
                " telegram_id, decoder_version) values (to_timestamp(%s / 1e6), %s, %s, %s, 54600,"
                " 1970, %s, %s, %s, 1, to_timestamp(%s / 1e6) + interval '41 s', now(), 1, 1)",
                (
                    newest - back * HOUR_US,
                    meter_id,
                    21_137_112_000_000 - back * 196_560_000_000,
                    118_204_600_000 - back * 1_970_000,
                    supply,
                    None if faulty else supply - 2390 if commodity == 1 else 1540,
                    1 << 16 if faulty else 0,  # return_temp_cc is the ninth register
                    newest - back * HOUR_US,
                ),
            )


def add_held_telegrams(conn: psycopg.Connection) -> None:
    """One broken telegram in quarantine, two of a stranger's meter waiting."""
    identity = (11 << 10 | 1 << 5 | 13) << 48 | 0x06855817 << 16 | 0x08 << 8 | 0x04  # KAM
    partitions.ensure(conn, "telegram", us(NOW), us(NOW))
    rows = [
        (1, None, 3, "checksum", b"\x68\x03"),
        (2, identity, 4, "unclaimed", b"\x68"),
        (3, identity, 4, "unclaimed", b"\x68"),
    ]
    for number, meter, outcome, reason, payload in rows:
        conn.execute(
            "insert into telegram (received_at, telegram_id, source, address, identity, outcome,"
            " reason, detail, payload) values (%s, %s, 'mqtt:main', 'gw/a/up/telegram', %s, %s,"
            " %s, 'expected 16, got 17', %s)",
            (NOW - timedelta(minutes=number), number, meter, outcome, reason, payload),
        )
