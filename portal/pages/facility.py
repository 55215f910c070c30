"""The page of one facility: state, chart, readings, alarms, rules, notices."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from engine.types import Commodity
from notify import wording
from notify.wording import NORMAL
from portal import limits, series
from portal.api import convert
from portal.api.alarms import rules_of
from portal.context import Here, Person, Portal, Visitor
from portal.language import Translate, language_for, translator
from portal.pages import views
from portal.pages.shared import show
from portal.problems import not_found
from portal.times import Interval, day_long, day_short, stamp
from store import portal as store
from store import portal_alarms, portal_series

router = APIRouter(include_in_schema=False)

Range = Literal["14d", "3m", "1y", "2y"]
Step = Literal["hour", "day"]

RANGE_DAYS: Final[dict[str, int]] = {"14d": 14, "3m": 92, "1y": 365, "2y": 731}
HOURS_MAX_DAYS: Final = 365
"""Longer ranges are drawn by day: two years of hours are more points than pixels."""

ALARMS_SHOWN: Final = 20
NOTICES_SHOWN: Final = 5
EVER: Final = timedelta(days=36_600)


@dataclass(frozen=True, kw_only=True)
class View:
    """What the page is asked to show."""

    range: Range
    step: Step
    span: Interval
    commodity: int


@router.get("/facilities/{facility_id}")
async def show_facility(
    request: Request,
    here: Here,
    person: Person,
    facility_id: int,
    commodity: Literal["heat", "cooling"] | None = None,
    range_: Annotated[Range, Query(alias="range")] = "14d",
    step: Step | None = None,
    saved: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """Everything about one facility."""
    person.scope.level(facility_id)
    view = {"commodity": commodity, "range": range_, "step": step, "saved": saved}
    return await render(request, here, person, facility_id, view)


async def render(
    request: Request,
    here: Portal,
    person: Visitor,
    facility_id: int,
    asked: dict[str, Any],
    *,
    status: int = 200,
    fault: dict[str, Any] | None = None,
) -> Response:
    """The page, also with a form that did not do: `fault` = kind, message and what was typed."""
    language = language_for(request)
    t = translator(language)
    now = here.now()
    async with here.pool.connection() as conn:
        rows = await store.facilities(conn, [facility_id])
        hours = await portal_series.latest_hours(conn, [facility_id])
    if not rows:
        raise not_found()
    body = convert.facility(rows[0], person.scope.level(facility_id), hours)
    view = _view(asked, rows[0].commodities, now)
    name = views.commodity_name(view.commodity)
    rules = await rules_of(here, facility_id)
    mine = {rule["kind"]: rule for rule in rules["rules"] if rule["commodity"] == name}
    latest = next((one for one in body["latest"] if one["commodity"] == name), None)
    measured = await _measured(here, facility_id, view, t, language)
    calendar = limits.season_dates(
        now.astimezone(NORMAL).date(), limits.calendars(here.settings.seasons)
    )
    return await show(
        request,
        here,
        person,
        "facility.html",
        status=status,
        place="facilities",
        facility=body,
        may_change=person.scope.may_change(facility_id),
        commodity=name,
        view=view,
        ranges=list(RANGE_DAYS),
        hours_allowed=RANGE_DAYS[view.range] <= HOURS_MAX_DAYS,
        latest_at=stamp(latest["start_at"], language) if latest else None,
        gauges=views.gauges(
            latest,
            measured["yesterday_kw"],
            measured["month_return_c"],
            mine,
            rules["season"],
            view.commodity,
            t,
            language,
        ),
        season=rules["season"],
        season_text=_season_text(calendar, t, language),
        rules=[_rule_form(rule, fault, language) for rule in mine.values()],
        fault=fault,
        saved=mine.get(asked.get("saved") or ""),
        saved_text=_saved_text(mine.get(asked.get("saved") or ""), rules["season"], t, language),
        measured=measured,
        **await _told(here, person, facility_id, view.commodity, t, language),
    )


def _view(asked: dict[str, Any], commodities: list[int], now: datetime) -> View:
    wanted = convert.COMMODITY.get(asked.get("commodity") or "")
    if wanted is not None and wanted not in commodities:
        raise not_found()
    span: Range = asked.get("range") or "14d"
    step: Step = asked.get("step") or ("hour" if RANGE_DAYS[span] <= 92 else "day")
    if RANGE_DAYS[span] > HOURS_MAX_DAYS:
        step = "day"
    # Whole hours, so that reloading asks for the same addresses.
    end = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return View(
        range=span,
        step=step,
        span=Interval(end - timedelta(days=RANGE_DAYS[span]), end),
        commodity=wanted or (commodities[0] if commodities else Commodity.HEAT),
    )


async def _measured(
    here: Portal, facility_id: int, view: View, t: Translate, language: str
) -> dict[str, Any]:
    """The table beside the chart with its sentence, and the two values of whole days."""
    today = here.now().astimezone(NORMAL).date()
    async with here.pool.connection() as conn:
        stored_days = await portal_series.days(
            conn, facility_id, view.commodity, view.span.first_day, view.span.end_day
        )
        stored_hours = []
        if view.range == "14d":
            stored_hours = await portal_series.hours(
                conn, facility_id, view.commodity, view.span.start, view.span.end
            )
        month = await portal_series.months(
            conn, facility_id, view.commodity, today.replace(day=1), today + timedelta(days=1)
        )
    dates, days, _ = series.days(stored_days, view.commodity)
    yesterday = dates.index(today - timedelta(days=1)) if today - timedelta(days=1) in dates else -1
    full = yesterday >= 0 and days["hours"][yesterday] == 24
    _, month_columns = series.months(month, view.commodity)
    out: dict[str, Any] = {
        "yesterday_kw": float(days["power_kw_mean"][yesterday]) if full else None,
        "month_return_c": float(month_columns["return_temp_c_ew"][0]) if month else None,
    }
    if view.step == "hour" and stored_hours:
        start, hours, letters = series.hours(stored_hours, view.commodity)
        moments = [datetime.fromtimestamp(int(at), NORMAL) for at in start]
        labels = [stamp(moment, language) for moment in moments]
        names = ("power_kw", "supply_temp_c", "return_temp_c")
        return out | _table(labels, hours, names, letters.count(None), t, language)
    labels = [f"{day_short(day, language)} {day.year}" for day in dates]
    names = ("power_kw_mean", "supply_temp_c_vw", "return_temp_c_vw")
    missing = sum(1 for hours_of_day in days["hours"] if not hours_of_day == 24)  # noqa: SIM201 - NaN
    return out | _table(labels, days, names, missing, t, language)


def _table(
    labels: list[str],
    columns: series.Columns,
    names: tuple[str, str, str],
    missing: int,
    t: Translate,
    language: str,
) -> dict[str, Any]:
    power, supply, returned = names
    wanted = (
        (t("col_power"), columns[power], 1),
        (t("col_supply"), columns[supply], 1),
        (t("col_return"), columns[returned], 1),
        (t("col_outdoor"), columns["outdoor_temp_c"], 1),
        (t("col_energy"), columns["energy_kwh"], 1),
    )
    by_hour = power == "power_kw"
    gaps = int((~(columns[power] == columns[power])).sum())  # NaN differs from itself
    return {
        "table": views.table(labels, wanted, language),
        "sentence": views.describe(columns, power, supply, returned, t, language),
        "by_hour": by_hour,
        "gaps": gaps if by_hour else missing,
    }


async def _told(
    here: Portal, person: Visitor, facility_id: int, commodity: int, t: Translate, language: str
) -> dict[str, Any]:
    """Alarms, readings and notices of the facility."""
    now = here.now()
    async with here.pool.connection() as conn:
        rows = await portal_alarms.alarms(
            conn, [facility_id], from_at=now - EVER, to_at=now + EVER, limit=ALARMS_SHOWN * 2
        )
        opened = await portal_alarms.open_alarms(conn, [facility_id])
        newest = await portal_series.latest_readings(conn, facility_id, now)
        notices = await store.notices(
            conn,
            person.user_id,
            person.scope.facility_ids,
            facility_id=facility_id,
            limit=NOTICES_SHOWN,
        )
    still_open = {row.occurrence_id for row in opened}
    history = [row for row in rows if row.occurrence_id not in still_open]
    alarms = [
        views.alarm(row, now, t, language)
        for row in (*opened, *history)
        if row.commodity == commodity
    ][:ALARMS_SHOWN]
    mine = [row for row in newest if row.commodity == commodity]
    return {
        "alarms": alarms,
        "active": [one for one in alarms if one["active"]],
        "readings": views.readings(mine, t, language),
        "meters": sorted({row.identity_text for row in mine}),
        "notices": [
            convert.notice(row) | {"created": wording.moment(row.created_at, language)}
            for row in notices
        ],
    }


def _rule_form(rule: dict[str, Any], fault: dict[str, Any] | None, language: str) -> dict[str, Any]:
    """A rule as its form shows it: what was typed if that did not do, else what is stored."""

    def text(value: float | None) -> str:
        if value is None:
            return ""
        shown = f"{value:.2f}".rstrip("0").rstrip(".")
        return shown.replace(".", ",") if language == "sv" else shown

    form = {
        **rule,
        "winter_text": text(rule["winter_limit"]),
        "summer_text": text(rule["summer_limit"]),
        "fault": None,
    }
    if fault is not None and fault["kind"] == rule["kind"]:
        form |= fault["typed"] | {"fault": fault}
    return form


def _saved_text(
    rule: dict[str, Any] | None, season: str, t: Translate, language: str
) -> str | None:
    if rule is None:
        return None
    if not rule["enabled"]:
        return t("saved_off", kind=t(f"kind_{rule['kind']}"))
    stored = round(rule[f"{season}_limit"] * convert.per_unit(rule["kind"]))
    limit = wording.limit(rule["kind"], stored, language)
    return t("saved", season=t(f"limit_{season}"), limit=limit, kind=t(f"kind_{rule['kind']}"))


def _season_text(calendar: Any, t: Translate, language: str) -> str:
    def day(month_day: tuple[int, int]) -> str:
        at = datetime(2000, *month_day, tzinfo=NORMAL).date()
        return day_long(at, language).rpartition(" ")[0]

    return t(
        "seasons", winter_from=day(calendar.winter_from), summer_from=day(calendar.summer_from)
    )
