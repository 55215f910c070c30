"""What the demo prints at its end: counted in the database, held against the simulator's log."""

from datetime import datetime
from typing import Any, Final

import psycopg

from engine.types import AlarmKind
from fjarrvakt.demo.master_data import COMMODITY
from ingest.journal import Journal
from simulators.building import Use
from simulators.fleet import NAMED, Fleet
from store import summary
from store.readings import utc

_ENERGY_TOLERANCE_KWH: Final = 1e-6  # the log's own print


def summarise(
    conn: psycopg.Connection, journal: Journal, fleet: Fleet, seconds: float
) -> dict[str, Any]:
    """The summary as one JSON object."""
    telegrams = summary.outcomes(conn)
    found = summary.alarms(conn)
    made = summary.made(conn)
    return {
        "telegrams": {"received": sum(count for _, _, count, _ in journal.tallies()), **telegrams},
        "hours": made.hours,
        "days": made.days,
        "conservation_error_j": summary.conservation_error_j(conn),
        "alarms": {
            kind.value: {
                season: dict(
                    zip(("raised", "cleared"), found.get((kind.value, season), (0, 0)), strict=True)
                )
                for season in ("winter", "summer")
            }
            for kind in AlarmKind
        },
        "notices": made.notices,
        "mails": made.mails,
        "seconds": round(seconds, 1),
        "yearly_kwh": _yearly(conn, fleet),
    }


def faults(found: dict[str, Any], fleet: Fleet) -> list[str]:
    """What is wrong with a summary; nothing when the demo did all it promises."""
    telegrams = found["telegrams"]
    wrong = []
    ends = sum(count for name, count in telegrams.items() if name != "received")
    if telegrams["received"] != ends:
        wrong.append(f"{telegrams['received']} telegrams received, {ends} have an outcome")
    at_least = len(fleet.facilities) * 17_520
    if telegrams["received"] < at_least:
        wrong.append(f"{telegrams['received']} telegrams received, expected {at_least} or more")
    wrong += [
        f"no telegram is {name}" for name in ("quarantined", "waiting") if not telegrams[name]
    ]
    if found["conservation_error_j"]:
        wrong.append(f"hours and registers differ by {found['conservation_error_j']} J")
    wrong += [
        f"{kind} in {season}: {what} {count} times"
        for kind, seasons in found["alarms"].items()
        for season, counts in seasons.items()
        for what, count in counts.items()
        if count < 1
    ]
    if found["mails"] < 1:
        wrong.append("no mail was sent")
    for name, years in found["yearly_kwh"].items():
        wrong += [
            f"{name} {year}: {one['stored']} kWh stored, {one['simulated']} kWh simulated"
            for year, one in years.items()
            if abs(one["stored"] - one["simulated"]) > _ENERGY_TOLERANCE_KWH
        ]
    return wrong


def _yearly(conn: psycopg.Connection, fleet: Fleet) -> dict[str, dict[str, dict[str, float]]]:
    """Three facilities' energy by year of normal time, ours beside the simulator's. [kWh]"""
    log = fleet.yearly_kwh()
    return {
        f"{name}, {use}": {
            str(year): {
                "stored": _stored_kwh(conn, fleet, name, Use(use), year),
                "simulated": round(kwh, 6),
            }
            for year, kwh in years.items()
        }
        for name in NAMED
        for use, years in log[name].items()
    }


def _stored_kwh(conn: psycopg.Connection, fleet: Fleet, name: str, use: Use, year: int) -> float:
    from simulators.stories import NORMAL_TIME

    begin = max(datetime(year, 1, 1, tzinfo=NORMAL_TIME), utc(fleet.start_us))
    end = min(datetime(year + 1, 1, 1, tzinfo=NORMAL_TIME), utc(fleet.live_us))
    return round(summary.energy_j(conn, name, COMMODITY[use], begin, end) / 3_600_000, 6)
