"""Stored rows to what the API says of them."""

from typing import Any, Final

from engine.types import AlarmKind, Commodity
from notify.wording import TEMPERATURES, is_lower_limit
from portal import series
from portal.limits import LimitInForce
from portal.scope import Level
from store.portal import DoubtedReading, Facility, HeldTelegram, Notice, UnclaimedMeter
from store.portal_alarms import Occurrence, Rule, Transition
from store.portal_series import LatestHour, Meter

COMMODITY: Final = {"heat": Commodity.HEAT, "cooling": Commodity.COOLING}
COMMODITY_NAME: Final = {int(code): name for name, code in COMMODITY.items()}
OUTCOME: Final = {1: "stored", 2: "duplicate", 3: "quarantined", 4: "waiting"}


def unit(kind: str) -> str:
    """What a kind's limits are in."""
    return "°C" if kind in TEMPERATURES else "kW"


def per_unit(kind: str) -> int:
    """What one unit is in stored integers: 0.01 °C, or W."""
    return 100 if kind in TEMPERATURES else 1000


def value(kind: str, stored: int | None) -> float | None:
    """A stored value in its unit."""
    return None if stored is None else stored / per_unit(kind)


def latest(hour: LatestHour) -> dict[str, Any]:
    """The newest hour of a commodity."""
    row = (0, hour.energy_j, hour.volume_ml, hour.e8_mlc, hour.e9_mlc, hour.quality, None)
    _, columns, letters = series.hours([row], hour.commodity)
    names = ("power_kw", "supply_temp_c", "return_temp_c", "cooling_k")
    return {
        "commodity": COMMODITY_NAME[hour.commodity],
        "start_at": hour.start_at,
        **{name: float(columns[name][0]) for name in names},
        "quality": letters[0],
    }


def facility(row: Facility, level: Level, hours: list[LatestHour]) -> dict[str, Any]:
    """A facility with its newest hours."""
    return {
        "facility_id": row.facility_id,
        "name": row.name,
        "address": row.address,
        "metering_point": row.metering_point,
        "building_type": row.building_type,
        "built_year": row.built_year,
        "heated_area_m2": row.heated_area_m2,
        "customer": row.customer,
        "customer_number": row.customer_number,
        "commodities": [COMMODITY_NAME[code] for code in row.commodities],
        "level": level,
        "alarms_unacknowledged": row.unacknowledged,
        "alarms_active": row.active,
        "latest": [latest(hour) for hour in hours if hour.facility_id == row.facility_id],
    }


def meter(row: Meter) -> dict[str, Any]:
    """A meter and when it sat there."""
    return {
        "meter_id": row.meter_id,
        "meter": row.identity_text,
        "commodity": COMMODITY_NAME[row.commodity],
        "profile": row.profile,
        "energy_register": row.energy_register,
        "sign": row.sign,
        "installed_at": row.installed_at,
        "removed_at": row.removed_at,
        "energy_step_kwh": row.energy_step_j / series.J_PER_KWH,
        "volume_step_m3": row.volume_step_ml / series.ML_PER_M3,
    }


def alarm(row: Occurrence) -> dict[str, Any]:
    """An occurrence in people's units."""
    return {
        "occurrence_id": row.occurrence_id,
        "facility_id": row.facility_id,
        "facility": row.facility_name,
        "commodity": COMMODITY_NAME[row.commodity],
        "kind": row.kind,
        "since": row.since,
        "until": row.until,
        "season": row.season,
        "limit": value(row.kind, row.limit_value),
        "raised_value": value(row.kind, row.raised_value),
        "extreme_value": value(row.kind, row.extreme_value),
        "unit": unit(row.kind),
        "window_h": row.window_h,
        "state": row.state,
        "state_at": row.state_at,
        "acknowledged_by": row.acknowledged_by,
    }


def transition(row: Transition, kind: str) -> dict[str, Any]:
    """One step of an occurrence's life."""
    return {
        "transition_id": row.transition_id,
        "event": row.event,
        "from_state": row.from_state,
        "to_state": row.to_state,
        "source_at": row.source_at,
        "decided_at": row.decided_at,
        "actor": row.actor,
        "reason": row.reason,
        "value": value(kind, row.value),
    }


def rules(stored: list[Rule], commodities: list[int]) -> list[dict[str, Any]]:
    """Every rule the facility can have, the set ones with their limits."""
    by_key = {(rule.commodity, rule.kind): rule for rule in stored}
    out = []
    for commodity in commodities:
        for kind in AlarmKind:
            rule = by_key.get((commodity, kind))
            out.append(
                {
                    "commodity": COMMODITY_NAME[commodity],
                    "kind": kind,
                    "unit": unit(kind),
                    "lower": is_lower_limit(kind, commodity),
                    "enabled": bool(rule and rule.enabled),
                    "winter_limit": value(kind, rule.winter_limit) if rule else None,
                    "summer_limit": value(kind, rule.summer_limit) if rule else None,
                    "channels": rule.channels if rule else ["portal"],
                    "valid_from": rule.valid_from if rule else None,
                    "set_by": rule.set_by if rule else None,
                }
            )
    return out


def limit(one: LimitInForce) -> dict[str, Any]:
    """A limit in its unit."""
    return {
        "kind": one.kind,
        "from": one.start,
        "to": one.end,
        "season": one.season,
        "limit": value(one.kind, one.limit),
        "unit": unit(one.kind),
    }


def notice(row: Notice) -> dict[str, Any]:
    """A notice."""
    return {
        "notice_id": row.notice_id,
        "facility_id": row.facility_id,
        "facility": row.facility_name,
        "created_at": row.created_at,
        "read_at": row.read_at,
        "title": row.title,
        "body": row.body,
    }


def finding(row: DoubtedReading) -> dict[str, Any]:
    """A finding."""
    return {
        "finding_id": row.finding_id,
        "facility_id": row.facility_id,
        "facility": row.facility_name,
        "meter": row.meter,
        "kind": row.kind,
        "at": row.at,
        "detail": row.detail,
        "found_at": row.found_at,
    }


def identity_text(identity: int) -> str:
    """`KAM-06855817-08-04` of a packed identity (store's meter.identity).

    Manufacturer (5 bits a letter), eight digits, version, medium, most significant first.
    """
    code = identity >> 48 & 0x7FFF
    letters = "".join(chr((code >> shift & 0x1F) + 64) for shift in (10, 5, 0))
    rest = f"{identity >> 16 & 0xFFFFFFFF:08X}-{identity >> 8 & 0xFF:02X}-{identity & 0xFF:02X}"
    return f"{letters}-{rest}"


def telegram(row: HeldTelegram) -> dict[str, Any]:
    """A telegram that is not among the readings."""
    return {
        "telegram_id": row.telegram_id,
        "received_at": row.received_at,
        "source": row.source,
        "address": row.address,
        "meter": identity_text(row.identity) if row.identity is not None else None,
        "at": row.at,
        "outcome": OUTCOME[row.outcome],
        "reason": row.reason,
        "detail": row.detail,
        "payload_hex": row.payload_hex,
        "payload_bytes": row.payload_bytes,
    }


def unclaimed(row: UnclaimedMeter) -> dict[str, Any]:
    """An unclaimed meter."""
    return {
        "meter": identity_text(row.identity),
        "identity": row.identity,
        "telegrams": row.telegrams,
        "first_at": row.first_at,
        "last_at": row.last_at,
        "reason": row.reason,
        "sources": row.sources,
    }
