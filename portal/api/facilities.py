"""Facilities, their meters, and what was measured there."""

from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query

from portal import limits, series
from portal.api import bodies, convert
from portal.api.answer import Json
from portal.context import Here, Person
from portal.problems import not_found
from portal.times import From, Interval, To, interval
from store import portal as store
from store import portal_alarms, portal_series
from store.readings import register_quality

router = APIRouter(prefix="/facilities", tags=["facilities"])

Commodity = Annotated[
    Literal["heat", "cooling"] | None,
    Query(description="Without it: heat if the facility has it, else cooling."),
]

FORTNIGHT: Final = timedelta(days=14)
YEAR: Final = timedelta(days=366)
LONGEST: Final = timedelta(days=36_600)


async def _commodity(here: Here, facility_id: int, asked: str | None) -> int:
    """The asked commodity's code, or the facility's first. Raises Problem 404 if it has it not."""
    async with here.pool.connection() as conn:
        meters = await portal_series.meters(conn, facility_id)
    codes = sorted({meter.commodity for meter in meters})
    if asked is None:
        return codes[0] if codes else convert.COMMODITY["heat"]
    return int(convert.COMMODITY[asked])


@router.get("", responses=bodies.described(bodies.FacilitiesBody))
async def list_facilities(
    here: Here,
    person: Person,
    search: Annotated[str, Query(max_length=100, description="in name, address, numbers")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Json:
    """The facilities you may see, those with alarms first, with their newest hours."""
    async with here.pool.connection() as conn:
        rows = await store.facilities(
            conn, person.scope.facility_ids, search=search, limit=limit + 1, offset=offset
        )
        shown = rows[:limit]
        hours = await portal_series.latest_hours(conn, [row.facility_id for row in shown])
    levels = person.scope.levels
    return Json(
        {
            "facilities": [convert.facility(row, levels[row.facility_id], hours) for row in shown],
            "next_offset": offset + limit if len(rows) > limit else None,
        }
    )


@router.get("/{facility_id}", responses=bodies.described(bodies.FacilityBody, 404))
async def one_facility(here: Here, person: Person, facility_id: int) -> Json:
    """One facility with its newest hours."""
    level = person.scope.level(facility_id)
    async with here.pool.connection() as conn:
        rows = await store.facilities(conn, [facility_id])
        hours = await portal_series.latest_hours(conn, [facility_id])
    if not rows:
        raise not_found()
    return Json(convert.facility(rows[0], level, hours))


@router.get("/{facility_id}/meters", responses=bodies.described(bodies.MetersBody, 404))
async def list_meters(here: Here, person: Person, facility_id: int) -> Json:
    """The facility's meters over time."""
    person.scope.level(facility_id)
    async with here.pool.connection() as conn:
        meters = await portal_series.meters(conn, facility_id)
    return Json({"facility_id": facility_id, "meters": [convert.meter(meter) for meter in meters]})


@router.get(
    "/{facility_id}/meters/{meter_id}/readings",
    responses=bodies.described(bodies.ReadingsBody, 404, 422),
)
async def list_readings(
    here: Here,
    person: Person,
    facility_id: int,
    meter_id: int,
    from_: From = None,
    to: To = None,
) -> Json:
    """A meter's raw registers while it sat here, in people's units and as the exact integers."""
    person.scope.level(facility_id)
    span = interval(from_, to, here.now(), default=FORTNIGHT, longest=2 * YEAR)
    async with here.pool.connection() as conn:
        meters = await portal_series.meters(conn, facility_id)
        if all(meter.meter_id != meter_id for meter in meters):
            raise not_found()
        rows = await portal_series.readings(conn, facility_id, meter_id, span.start, span.end)
    at, people, exact = series.readings(rows)
    packed = [register_quality(row[-3]) for row in rows]
    return Json(
        {
            "facility_id": facility_id,
            "meter_id": meter_id,
            "from": span.start,
            "to": span.end,
            "t": at,
            "received_at": [row[-1] for row in rows],
            "registers": people,
            "unit": {name: unit for name, _, unit in series.READING_SCALE.values()},
            "exact": exact,
            "quality": {name: [one[name] for one in packed] for name in exact},
            "status": [row[-2] for row in rows],
        }
    )


@router.get("/{facility_id}/hours", responses=bodies.described(bodies.HoursBody, 404, 422))
async def list_hours(
    here: Here,
    person: Person,
    facility_id: int,
    commodity: Commodity = None,
    from_: From = None,
    to: To = None,
) -> Json:
    """Hours: energy, power, volume, volume-weighted temperatures, cooling, outdoor temperature."""
    person.scope.level(facility_id)
    span = interval(from_, to, here.now(), default=FORTNIGHT, longest=3 * YEAR)
    code = await _commodity(here, facility_id, commodity)
    async with here.pool.connection() as conn:
        rows = await portal_series.hours(conn, facility_id, code, span.start, span.end)
    start, columns, letters = series.hours(rows, code)
    return Json(
        {
            **_about(facility_id, code, "hour", columns),
            "from": span.start,
            "to": span.end,
            "t": start,
            "quality": letters,
        }
    )


@router.get("/{facility_id}/days", responses=bodies.described(bodies.DaysBody, 404, 422))
async def list_days(
    here: Here,
    person: Person,
    facility_id: int,
    commodity: Commodity = None,
    from_: From = None,
    to: To = None,
) -> Json:
    """Metering days of the interval; a power mean is over the hours that have a value."""
    person.scope.level(facility_id)
    span = interval(from_, to, here.now(), default=YEAR, longest=LONGEST)
    code = await _commodity(here, facility_id, commodity)
    async with here.pool.connection() as conn:
        rows = await portal_series.days(conn, facility_id, code, span.first_day, span.end_day)
    dates, columns, letters = series.days(rows, code)
    return Json(
        {
            **_about(facility_id, code, "day", columns),
            "from": span.first_day,
            "to": span.end_day,
            "day": dates,
            "quality": letters,
            "complete": series.complete(columns),
        }
    )


@router.get("/{facility_id}/months", responses=bodies.described(bodies.MonthsBody, 404, 422))
async def list_months(
    here: Here,
    person: Person,
    facility_id: int,
    commodity: Commodity = None,
    from_: From = None,
    to: To = None,
) -> Json:
    """Months of the interval's days: sums first, then divided (never averages of averages)."""
    person.scope.level(facility_id)
    span = interval(from_, to, here.now(), default=2 * YEAR, longest=LONGEST)
    code = await _commodity(here, facility_id, commodity)
    async with here.pool.connection() as conn:
        rows = await portal_series.months(conn, facility_id, code, span.first_day, span.end_day)
    firsts, columns = series.months(rows, code)
    return Json(
        {
            **_about(facility_id, code, "month", columns),
            "from": span.first_day,
            "to": span.end_day,
            "month": firsts,
        }
    )


@router.get("/{facility_id}/limits", responses=bodies.described(bodies.LimitsBody, 404, 422))
async def list_limits(
    here: Here,
    person: Person,
    facility_id: int,
    commodity: Commodity = None,
    from_: From = None,
    to: To = None,
) -> Json:
    """Which limit held when, cut by season, so that a chart shows the limit of its day."""
    person.scope.level(facility_id)
    span = interval(from_, to, here.now(), default=YEAR, longest=LONGEST)
    code = await _commodity(here, facility_id, commodity)
    found = await limits_of(here, facility_id, code, span)
    return Json(
        {
            "facility_id": facility_id,
            "commodity": convert.COMMODITY_NAME[code],
            "limits": [convert.limit(one) for one in found],
        }
    )


async def limits_of(
    here: Here, facility_id: int, commodity: int, span: Interval
) -> list[limits.LimitInForce]:
    """Which limit held when in a span."""
    async with here.pool.connection() as conn:
        stored = await portal_alarms.limits_between(conn, facility_id, commodity, span.end)
    return limits.in_force(stored, span, limits.calendars(here.settings.seasons))


def _about(facility_id: int, commodity: int, step: str, columns: series.Columns) -> dict[str, Any]:
    return {
        "facility_id": facility_id,
        "commodity": convert.COMMODITY_NAME[commodity],
        "step": step,
        "series": columns,
        "unit": {name: series.UNITS[name] for name in columns},
    }
