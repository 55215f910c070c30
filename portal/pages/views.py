"""Stored rows as sentences and formatted values for the templates. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

from engine.lifecycle import State
from engine.types import AlarmKind, Commodity
from notify import wording
from notify.expand import News
from portal import series
from portal.api import convert
from portal.language import Translate
from portal.times import stamp, stamp_year
from store.portal_alarms import Occurrence
from store.portal_series import LatestReading
from store.readings import register_quality

DASH: Final = "\u2013"

STATE_CHIP: Final = {
    State.UNACKNOWLEDGED: ("alarm solid", "alarm"),
    State.ACKNOWLEDGED: ("alarm", "check"),
    State.RETURNED_UNACKNOWLEDGED: ("ok", "alarm"),
    State.NORMAL: ("ok", "check"),
    State.PENDING: ("warn", "clock"),
    State.SHELVED: ("shelved", "clock"),
    State.SUPPRESSED: ("quiet", "off"),
    State.OUT_OF_SERVICE: ("quiet", "off"),
    State.NO_DATA: ("quiet", "nodata"),
    State.WITHDRAWN: ("quiet", "x"),
}
"""Colour class and icon; the word beside them is `state_<state>` of the catalogue."""

QUALITY_CHIP: Final = {
    "ok": ("ok", "check"),
    "meter_error": ("alarm", "alarm"),
    "out_of_range": ("warn", "warn"),
    "invalid": ("warn", "warn"),
}

ACKNOWLEDGEABLE: Final = frozenset({State.UNACKNOWLEDGED, State.RETURNED_UNACKNOWLEDGED})

GAUGE_SCALE: Final = {Commodity.HEAT: (20.0, 80.0), Commodity.COOLING: (0.0, 25.0)}
"""Ends of a temperature gauge: temperatures have no zero to start from. [°C]"""


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """A value with its neighbour. Positions in per cent of the ruler; None: not drawn."""

    name: str
    value: str
    unit: str
    colour: str
    at: float | None
    limit_at: float | None
    is_dot: bool
    low: str
    high: str
    say: str
    bad: bool


def shown(value: float | None, decimals: int, language: str) -> str:
    """A number, or a dash for what is not known."""
    if value is None or not np.isfinite(value):
        return DASH
    return wording.number(value, decimals, language)


def with_unit(value: float | None, decimals: int, unit: str, language: str) -> str:
    """A number with its unit, or a dash."""
    text = shown(value, decimals, language)
    return text if text == DASH else f"{text}{wording.NBSP}{unit}"


def alarm(row: Occurrence, now: datetime, t: Translate, language: str) -> dict[str, Any]:
    """An occurrence as a row and as a banner."""
    state = State(row.state)
    value = row.extreme_value if row.until else row.raised_value
    title = wording.title(
        row, News.RAISED, facility=row.facility_name, value=value, language=language
    )
    sentence = title.partition(": ")[2]
    ended = row.until
    return {
        "id": row.occurrence_id,
        "facility_id": row.facility_id,
        "facility": row.facility_name,
        "kind": t(f"kind_{row.kind}"),
        "sentence": sentence[:1].upper() + sentence[1:],
        "value": wording.quantity(row.kind, row.raised_value, language),
        "extreme": wording.quantity(row.kind, row.extreme_value, language),
        "limit": wording.limit(row.kind, row.limit_value, language),
        "season": t(f"season_{row.season}"),
        "since": stamp_year(row.since, language),
        "since_long": wording.moment(row.since, language),
        "until": stamp_year(ended, language) if ended else None,
        "lasted": wording.duration(row.since, ended or now, language),
        "basis": wording.basis(row, language),
        "advice": wording.advice(row, language),
        "state": t(f"state_{state}"),
        "state_id": state,
        "chip": STATE_CHIP[state],
        "active": ended is None and state not in (State.WITHDRAWN, State.PENDING),
        "can_acknowledge": state in ACKNOWLEDGEABLE,
        "acknowledged_by": row.acknowledged_by,
    }


def readings(rows: Sequence[LatestReading], t: Translate, language: str) -> list[dict[str, Any]]:
    """The newest registers of each meter, as far as it sends them."""
    places = (
        ("energy_j", 3_600_000_000, 3, "MWh"),
        ("cooling_energy_j", 3_600_000_000, 3, "MWh"),
        ("volume_ml", 1_000_000, 1, "m³"),
        ("supply_temp_cc", 100, 1, "°C"),
        ("return_temp_cc", 100, 1, "°C"),
        ("flow_l_h", 1000, 2, "m³/h"),
        ("power_w", 1000, 1, "kW"),
    )
    out = []
    for row in rows:
        quality = register_quality(row.quality)
        for register, scale, decimals, unit in places:
            stored = getattr(row, register)
            if stored is None and quality[register] == "ok":
                continue  # this meter does not send it
            out.append(
                {
                    "meter": row.identity_text,
                    "register": t(f"register_{register}"),
                    "value": with_unit(
                        None if stored is None else stored / scale, decimals, unit, language
                    ),
                    "at": stamp(row.at, language),
                    "received": stamp(row.received_at, language),
                    "quality": t(f"quality_{quality[register]}"),
                    "chip": QUALITY_CHIP[quality[register]],
                }
            )
    return out


def gauges(
    latest: dict[str, Any] | None,
    yesterday_kw: float | None,
    month_return_c: float | None,
    rules: dict[str, dict[str, Any]],
    season: str,
    commodity: int,
    t: Translate,
    language: str,
) -> list[Gauge]:
    """The four watched quantities with their limits, in the order of the rules."""
    values = {
        AlarmKind.HOURLY_POWER: latest["power_kw"] if latest else None,
        AlarmKind.RETURN_TEMPERATURE: latest["return_temp_c"] if latest else None,
        AlarmKind.DAILY_POWER: yesterday_kw,
        AlarmKind.ENERGY_WEIGHTED_RETURN: month_return_c,
    }
    return [
        _gauge(kind, value, rules[kind], season, commodity, t, language)
        for kind, value in values.items()
    ]


def _gauge(
    kind: AlarmKind,
    value: float | None,
    rule: dict[str, Any],
    season: str,
    commodity: int,
    t: Translate,
    language: str,
) -> Gauge:
    known = value is not None and bool(np.isfinite(value))
    number = value if known and value is not None else 0.0
    limit = rule[f"{season}_limit"] if rule["enabled"] else None
    is_temperature = rule["unit"] == "°C"
    decimals = 1
    low, high = (
        GAUGE_SCALE[Commodity(commodity)]
        if is_temperature
        else (0.0, _round_up(max(number, limit or 0.0, 1.0) * 1.15))
    )
    over = known and limit is not None and (number < limit if rule["lower"] else number > limit)
    if limit is None:
        say = t("gauge_no_limit")
    elif not known:
        say = t("gauge_no_value", limit=_limit(limit, rule["unit"], language))
    else:
        # A difference of temperatures is no temperature: degrees, not °C.
        unit = t("degrees") if is_temperature else rule["unit"]
        say = t(
            "gauge_distance",
            distance=with_unit(abs(number - limit), decimals, unit, language),
            side=t("below" if number < limit else "above"),
            season=t(f"limit_{season}"),
            limit=_limit(limit, rule["unit"], language),
        )
    return Gauge(
        name=t(f"gauge_{kind}"),
        value=shown(value, decimals, language),
        unit=rule["unit"],
        colour="c-return" if is_temperature else "c-power",
        at=_place(number, low, high) if known else None,
        limit_at=_place(limit, low, high) if limit is not None else None,
        is_dot=is_temperature,
        low=shown(low, 0, language),
        high=with_unit(high, 0, rule["unit"], language),
        say=say,
        bad=over,
    )


def _limit(limit: float, unit: str, language: str) -> str:
    return with_unit(limit, 0 if limit == int(limit) else 1, unit, language)


def _place(value: float, low: float, high: float) -> float:
    return round(min(max((value - low) / (high - low), 0.0), 1.0) * 100, 2)


def _round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 4, 5, 6, 8, 10 times a power of ten: ends that read easily."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(
        next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)
    )


def describe(
    columns: series.Columns, power: str, supply: str, returned: str, t: Translate, language: str
) -> str:
    """The chart in one sentence for those who do not see it."""

    def span(name: str) -> tuple[str, str, str]:
        known = columns[name][np.isfinite(columns[name])]
        if not known.size:
            return DASH, DASH, DASH
        return (
            shown(float(known.min()), 1, language),
            shown(float(known.max()), 1, language),
            shown(float(known.mean()), 1, language),
        )

    p, s, r = span(power), span(supply), span(returned)
    return t(
        "chart_sentence",
        power_min=p[0],
        power_max=p[1],
        power_mean=p[2],
        supply_min=s[0],
        supply_max=s[1],
        return_min=r[0],
        return_max=r[1],
    )


def facility_row(
    body: dict[str, Any], now: datetime, t: Translate, language: str
) -> dict[str, Any]:
    """A facility of the list: status, newest values."""
    latest = body["latest"][0] if body["latest"] else None
    return {
        **body,
        "status": status(body, latest, now),
        "commodity_names": ", ".join(t(f"commodity_{name}") for name in body["commodities"]),
        "power": with_unit(latest and latest["power_kw"], 1, "kW", language),
        "supply": with_unit(latest and latest["supply_temp_c"], 1, "°C", language),
        "returned": with_unit(latest and latest["return_temp_c"], 1, "°C", language),
        "at": stamp(latest["start_at"], language) if latest else DASH,
    }


STALE_H: Final = 24.0
"""Domain 5: without values for a day something is to be said."""


def status(body: dict[str, Any], latest: dict[str, Any] | None, now: datetime) -> tuple[str, ...]:
    """(colour class, icon, key of the word) of a facility."""
    if body["alarms_active"]:
        if body["alarms_unacknowledged"]:
            return ("alarm", "alarm", "status_alarm")
        return ("alarm", "check", "status_acknowledged")
    if latest is None:
        return ("quiet", "nodata", "status_no_data")
    if (now - latest["start_at"]).total_seconds() > STALE_H * 3600:
        return ("warn", "nodata", "status_stale")
    if body["alarms_unacknowledged"]:
        return ("ok", "alarm", "status_returned")
    return ("ok", "check", "status_ok")


def table(
    labels: Sequence[str], columns: Sequence[tuple[str, series.F64, int]], language: str
) -> dict[str, Any]:
    """Newest first: a head and rows of formatted cells."""
    head = [name for name, _, _ in columns]
    rows = []
    for index, label in enumerate(labels):
        cells = [shown(float(values[index]), decimals, language) for _, values, decimals in columns]
        rows.append([label, *cells])
    return {"head": head, "rows": rows[::-1]}


def commodity_name(code: int) -> str:
    """`heat` or `cooling`."""
    return convert.COMMODITY_NAME[code]
