"""Meters, readings, hours, days and months as the portal reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from store.portal import Conn, fetch_rows, fetch_tuples


@dataclass(frozen=True, kw_only=True)
class LatestHour:
    """The newest stored hour of one commodity."""

    facility_id: int
    commodity: int
    start_at: datetime
    energy_j: int | None
    volume_ml: int | None
    e8_mlc: int | None
    e9_mlc: int | None
    quality: int


@dataclass(frozen=True, kw_only=True)
class Meter:
    """A meter and when it sat in the facility; None: since or until further notice."""

    meter_id: int
    identity_text: str
    profile: str | None
    commodity: int
    energy_register: str
    sign: int
    installed_at: datetime | None
    removed_at: datetime | None
    energy_step_j: int
    volume_step_ml: int


@dataclass(frozen=True, kw_only=True)
class LatestReading:
    """The newest row of a meter."""

    meter_id: int
    identity_text: str
    commodity: int
    at: datetime
    received_at: datetime
    energy_j: int | None
    cooling_energy_j: int | None
    volume_ml: int | None
    power_w: int | None
    flow_l_h: int | None
    supply_temp_cc: int | None
    return_temp_cc: int | None
    quality: int


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """What changes when something new has come for a facility."""

    facility_id: int
    hour_at: datetime | None
    transition_id: int | None


async def latest_hours(conn: Conn, facility_ids: Sequence[int]) -> list[LatestHour]:
    """The newest stored hour of each commodity of each facility."""
    return await fetch_rows(conn, "latest_hours", LatestHour, {"facility_ids": list(facility_ids)})


async def meters(conn: Conn, facility_id: int) -> list[Meter]:
    """The facility's meters over time."""
    return await fetch_rows(conn, "meters", Meter, {"facility_id": facility_id})


async def readings(
    conn: Conn, facility_id: int, meter_id: int, from_at: datetime, to_at: datetime
) -> list[tuple[Any, ...]]:
    """Rows (at, the registers of REGISTER_TYPES, quality, status, received_at) in [from, to)."""
    parameters = {
        "facility_id": facility_id,
        "meter_id": meter_id,
        "from_at": from_at,
        "to_at": to_at,
    }
    return await fetch_tuples(conn, "readings", parameters)


async def latest_readings(conn: Conn, facility_id: int, now_at: datetime) -> list[LatestReading]:
    """The newest row of each meter that sits in the facility now."""
    parameters = {"facility_id": facility_id, "now_at": now_at}
    return await fetch_rows(conn, "latest_readings", LatestReading, parameters)


async def hours(
    conn: Conn, facility_id: int, commodity: int, from_at: datetime, to_at: datetime
) -> list[tuple[Any, ...]]:
    """Rows (start [s], energy_j, volume_ml, e8_mlc, e9_mlc, quality, outdoor_temp_cc)."""
    station = await fetch_tuples(conn, "facility_station", {"facility_id": facility_id})
    parameters = {
        "facility_id": facility_id,
        "commodity": commodity,
        "station_id": station[0][0] if station else None,
        "from_at": from_at,
        "to_at": to_at,
    }
    return await fetch_tuples(conn, "hours", parameters)


async def days(
    conn: Conn, facility_id: int, commodity: int, from_day: date, to_day: date
) -> list[tuple[Any, ...]]:
    """Rows (day, energy_j, volume_ml, e8_mlc, e9_mlc, weighted_energy_j, weighted_return_jc, hours,
    hours_measured, outdoor_temp_cc, quality) of metering days in [from, to).
    """  # noqa: D205 - a row's columns
    return await fetch_tuples(conn, "days", _span(facility_id, commodity, from_day, to_day))


async def months(
    conn: Conn, facility_id: int, commodity: int, from_day: date, to_day: date
) -> list[tuple[Any, ...]]:
    """Rows (first day, sums of energy_j, volume_ml, e8_mlc, e9_mlc, weighted_energy_j,
    weighted_return_jc, hours, hours_measured; highest daily mean [J/h]; mean outdoor [0.01 °C]).
    """  # noqa: D205 - a row's columns
    return await fetch_tuples(conn, "months", _span(facility_id, commodity, from_day, to_day))


def _span(facility_id: int, commodity: int, from_day: date, to_day: date) -> dict[str, Any]:
    return {
        "facility_id": facility_id,
        "commodity": commodity,
        "from_day": from_day,
        "to_day": to_day,
    }


async def pulse(conn: Conn, facility_ids: Sequence[int]) -> list[Pulse]:
    """Each facility's newest hour and newest alarm transition."""
    return await fetch_rows(conn, "pulse", Pulse, {"facility_ids": list(facility_ids)})
