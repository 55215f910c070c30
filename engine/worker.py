"""The engine role: takes work from the ledger, computes, stores; the engine's only I/O. Design 8.

One turn is one transaction: lock shards, read their entries, read readings, write hours, days,
findings, conditions and transitions, remove exactly the entries read. A reading committed while a
turn runs has its own entry and waits for the next.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import psycopg
import structlog
from numpy.typing import NDArray
from prometheus_client import Counter, Gauge, Histogram

from engine import (
    alarms,
    blocks,
    conditions,
    days,
    hours,
    lifecycle,
    quantities,
    series,
    validation,
)
from engine.metering_day import day_of, month_first
from engine.types import DAY_US, HOUR_US, METHOD_VERSION, MISSING, EngineRules
from store import engine as store
from store import occurrences, partitions
from store.connection import connect

I64 = NDArray[np.int64]

SHARDS_A_TURN: Final = 16
ENTRIES_A_TURN: Final = 256
RECONNECT_S: Final = 2.0
EVER_US: Final = 253_402_214_400_000_000  # 9999-12-31: all there is from a time on

LOOK_US: Final = (4 * HOUR_US, 3 * DAY_US, 186 * DAY_US)
"""How far around a change readings are sought; further only where nothing was found. Three times
the longest gap hours are made of is always enough (docs/method.md 5)."""

ENTRIES: Final = Counter("fjarrvakt_engine_entries", "Ledger entries done.")
HOURS: Final = Counter("fjarrvakt_engine_hours", "Hours written.")
SECONDS: Final = Histogram("fjarrvakt_engine_seconds", "Time of one turn with work.")
FINDINGS: Final = Counter("fjarrvakt_engine_findings", "New findings.", ("kind",))
TRANSITIONS: Final = Counter(
    "fjarrvakt_alarm_transitions", "Transitions of alarms by the engine.", ("kind", "to")
)
LAG: Final = Gauge(
    "fjarrvakt_engine_lag_seconds", "Age of the newest reading in the last turn with work."
)

log = structlog.get_logger()


class Work(NamedTuple):
    """What one turn did; entries 0: there was nothing to do."""

    entries: int = 0
    hours: int = 0
    days: int = 0
    findings: int = 0
    transitions: int = 0


class Touched(NamedTuple):
    """Hours [first, until) of a facility and commodity that changed. [µs]"""

    facility_id: int
    commodity: int
    first_us: int
    until_us: int


def run(dsn: str, rules: EngineRules, now_us: Callable[[], int], stop: threading.Event) -> None:
    """Do the ledger's work until `stop` is set. A database that goes away is waited for."""
    warm()
    while not stop.is_set():
        try:
            with connect(dsn, name="fjarrvakt-engine") as conn:
                while not stop.is_set():
                    if not run_once(conn, rules, now_us).entries:
                        stop.wait(rules.poll_s)
        except psycopg.OperationalError as error:
            log.warning("engine.database_away", error=type(error).__name__, retry_s=RECONNECT_S)
            stop.wait(RECONNECT_S)


def run_once(conn: psycopg.Connection, rules: EngineRules, now_us: Callable[[], int]) -> Work:
    """One turn: the work of some shards that nobody else holds, stored in one transaction."""
    begun = time.perf_counter()
    span = store.waiting_span(conn)
    if span is None:
        return Work()
    from_us, until_us, _ = span
    partitions.ensure(conn, "hour", from_us - rules.gap_max_us, until_us + rules.gap_max_us)
    with conn.transaction():
        shards = store.take_shards(conn, SHARDS_A_TURN)
        entries = store.entries(conn, shards, ENTRIES_A_TURN) if shards else []
        # An entry committed since may need a partition that is not there: it waits.
        late = {e.entry_id for e in entries if e.from_us < from_us or e.until_us > until_us}
        entries = [e for e in entries if e.entry_id not in late]
        if not entries:
            return Work()
        work = _turn(conn, entries, rules, now_us())
        done = sorted({e.entry_id for e in entries})
        store.remove_entries(conn, done)
    work = work._replace(entries=len(done))
    seconds = time.perf_counter() - begun
    ENTRIES.inc(work.entries)
    HOURS.inc(work.hours)
    SECONDS.observe(seconds)
    LAG.set((now_us() - max(e.until_us for e in entries)) / 1e6)
    log.info("engine.turn", seconds=round(seconds, 3), shards=len(shards), **work._asdict())
    return work


def _turn(
    conn: psycopg.Connection, entries: Sequence[store.Entry], rules: EngineRules, now_us: int
) -> Work:
    spans: dict[int, tuple[int, int]] = {}
    for e in entries:
        low, high = spans.get(e.facility_id, (e.from_us, e.until_us))
        spans[e.facility_id] = min(low, e.from_us), max(high, e.until_us)
    facility_ids = sorted(spans)
    touched, written, found = _make_hours(conn, spans, rules)
    days_written, whole = _make_days(conn, touched, rules) if touched else (0, set())
    # Over the days made anew too: a reading that ends a long gap touches hours far before it.
    ends = [*spans.values(), *((one.first_us, one.until_us) for one in touched)]
    low, high = min(end[0] for end in ends) - DAY_US, max(end[1] for end in ends) + DAY_US
    store.put_outdoor(conn, facility_ids, low, high, rules.metering_offset_us)
    transitions = _judge_alarms(conn, facility_ids, touched, whole, rules, now_us)
    store.announce(conn, facility_ids)
    return Work(0, written, days_written, found, transitions)


def _make_hours(
    conn: psycopg.Connection, spans: Mapping[int, tuple[int, int]], rules: EngineRules
) -> tuple[list[Touched], int, int]:
    """Hours that readings within the facilities' spans may have changed; those that did change.

    Returns them with the numbers of hours written and of new findings.
    """
    own: dict[int, list[series.Installation]] = {}
    for row in store.installations(conn, sorted(spans)):
        one = series.Installation._make(MISSING if value is None else value for value in row)
        own.setdefault(one.facility_id, []).append(one)
    edges = store.reading_edges(conn)
    waiting = {facility: span for facility, span in spans.items() if facility in own}
    touched: list[Touched] = []
    written = found = 0
    for look_us in LOOK_US:
        far: dict[int, tuple[int, int]] = {}
        for members in blocks.cluster(waiting):
            part = {facility: waiting[facility] for facility in members}
            low = min(span[0] for span in part.values()) - look_us
            high = max(span[1] for span in part.values()) + look_us
            mine = [one for facility in members for one in own[facility]]
            columns = store.readings(conn, sorted({one.meter_id for one in mine}), low, high)
            last = look_us == LOOK_US[-1]
            edge = (last or low <= edges[0], last or high >= edges[1])
            lacking, batch = series.prepare(mine, columns, part, edge, rules)
            far |= {facility: part[facility] for facility in lacking}
            changed, count, doubts = _store_hours(conn, batch, rules)
            touched += changed
            written += count
            found += doubts
        waiting = far
    return touched, written, found


def _store_hours(
    conn: psycopg.Connection, batch: series.Batch, rules: EngineRules
) -> tuple[list[Touched], int, int]:
    first_us, until_us = batch.span.first_us, batch.span.until_us
    if not first_us.size:
        return [], 0, 0
    made, verdict = series.make_hours(batch.series, first_us, until_us, rules)
    stored = store.hours(conn, made.facility_ids, made.commodities, first_us, until_us)
    changed = blocks.compare(made, stored)
    store.replace_hours(conn, changed.gone, changed.rows)
    spans, doubted = series.doubts(batch.series, verdict, first_us, batch.span.settled_us + 1)
    telegrams = store.reading_telegrams(
        conn, [one.meter_id for one in doubted], [one.at_us for one in doubted]
    )
    new = store.replace_findings(
        conn,
        spans,
        [
            store.Doubt(
                one.facility_id, one.meter_id, one.kind, one.at_us,
                telegrams[one.meter_id, one.at_us], one.detail,
            )
            for one in doubted
        ],
    )  # fmt: skip
    for one in new:
        FINDINGS.labels(one.kind).inc()
        log.warning("engine.finding", kind=one.kind, meter_id=one.meter_id, detail=one.detail)
    groups = [Touched(*group) for group in changed.groups]
    return groups, int(changed.rows["start_at"].size), len(new)


def _make_days(
    conn: psycopg.Connection, touched: Sequence[Touched], rules: EngineRules
) -> tuple[int, set[tuple[int, int]]]:
    """Days of the touched hours anew: how many, and which (facility, commodity) have whole ones."""
    offset_us = rules.metering_offset_us
    first = np.array([day_of(one.first_us, offset_us) for one in touched], np.int64)
    last = np.array([day_of(one.until_us - HOUR_US, offset_us) for one in touched], np.int64)
    facility = np.array([one.facility_id for one in touched], np.int64)
    commodity = np.array([one.commodity for one in touched], np.int64)
    first_us, until_us = first * DAY_US - offset_us, (last + 1) * DAY_US - offset_us
    columns = store.hours(conn, facility, commodity, first_us, until_us)
    counts = last - first + 1
    cells = np.concatenate(([0], np.cumsum(counts)))
    values, quality, _ = blocks.fill_hours(columns, first_us, cells * 24)
    out = np.empty((9, cells[-1]), np.int64)
    starts = np.arange(cells[-1]) * 24
    days.fold_days(values, quality, starts, rules.weight_by_day, out)
    facilities, commodities = np.repeat(facility, counts), np.repeat(commodity, counts)
    number = series.spread_starts(first, cells, 1)
    kept = out[days.QUALITY] > 0
    rows = dict(zip(days.COLUMNS, out[:, kept], strict=True)) | {
        "facility_id": facilities[kept],
        "commodity": commodities[kept],
        "day": number[kept],
        "method_version": np.full(int(kept.sum()), METHOD_VERSION, np.int64),
    }
    store.replace_days(conn, (facilities, commodities, number), rows)
    whole = out[days.HOURS] == 24
    keys = zip(facilities[whole].tolist(), commodities[whole].tolist(), strict=True)
    return int(kept.sum()), set(keys)


def _judge_alarms(
    conn: psycopg.Connection,
    facility_ids: Sequence[int],
    touched: Sequence[Touched],
    whole: set[tuple[int, int]],
    rules: EngineRules,
    now_us: int,
) -> int:
    """Judge the facilities' alarms from the touched hours on; the number of transitions."""
    own = [alarms.rule_of(row) for row in occurrences.rules(conn, facility_ids)]
    since: dict[tuple[int, int], int] = {}
    for one in touched:
        key = (one.facility_id, one.commodity)
        since[key] = min(one.first_us, since.get(key, one.first_us))
    stored = occurrences.checkpoints(conn, [rule.rule_id for rule in own])
    plans = []
    for rule in own:
        key = (rule.facility_id, rule.commodity)
        kept = [
            alarms.Checkpoint(at, np.array(state, np.int64))
            for at, state in stored.get(rule.rule_id, [])
        ]
        plan = alarms.plan(rule, kept, since.get(key), rules)
        # The running day is judged when it is whole; until then there is nothing after the newest.
        idle = rule.daily and key not in whole and kept and plan and plan.first_us == kept[0].at_us
        if plan is not None and not idle:
            plans.append(plan)
    hourly = _with_hours(conn, [p for p in plans if not p.rule.daily])
    daily = _with_days(conn, [p for p in plans if p.rule.daily], rules)
    judged = alarms.judge(*hourly, rules) + alarms.judge(*daily, rules)
    return _store_alarms(conn, judged, rules, now_us) if judged else 0


def _with_hours(
    conn: psycopg.Connection, plans: Sequence[alarms.Plan]
) -> tuple[list[alarms.Plan], list[alarms.Block]]:
    """The plans that have hours, and these."""
    begin = alarms.begins(plans)
    if not begin:
        return [], []
    keys = list(begin)
    from_us = [max(begin[key] - alarms.LEAD_H * HOUR_US, 0) for key in keys]
    columns = store.hours(
        conn, [k[0] for k in keys], [k[1] for k in keys], from_us, [EVER_US] * len(keys)
    )
    return alarms.match(plans, dict(zip(keys, blocks.hour_blocks(columns, len(keys)), strict=True)))


def _with_days(
    conn: psycopg.Connection, plans: Sequence[alarms.Plan], rules: EngineRules
) -> tuple[list[alarms.Plan], list[alarms.Block]]:
    """The plans that have days, and these, with the same months a year before."""
    begin = alarms.begins(plans)
    if not begin:
        return [], []
    keys = list(begin)
    first = [day_of(max(begin[key], 0), rules.metering_offset_us) for key in keys]
    newest = day_of(store.reading_edges(conn)[1], rules.metering_offset_us)
    columns = store.days(
        conn,
        [k[0] for k in keys],
        [k[1] for k in keys],
        [month_first(day) for day in first],
        [(month_first(day, years=-1), month_first(newest, years=-1) + 31) for day in first],
    )
    return alarms.match(plans, dict(zip(keys, blocks.day_blocks(columns, len(keys)), strict=True)))


def _store_alarms(
    conn: psycopg.Connection, judged: Sequence[alarms.Judged], rules: EngineRules, now_us: int
) -> int:
    """Reconcile with what is stored, and keep the states judging goes on from."""
    after = [(one.plan.rule.rule_id, one.plan.first_us) for one in judged]
    old: dict[int, list[lifecycle.Occurrence]] = {}
    for row in occurrences.occurrences(conn, after):
        old.setdefault(row[0], []).append(lifecycle.occurrence_of(row[1:]))
    decided = [
        (one.plan.rule, decision)
        for one in judged
        for decision in lifecycle.reconcile(old.get(one.plan.rule.rule_id, []), one.conditions)
    ]
    transitions = _store_decisions(conn, decided, rules, now_us)
    occurrences.replace_checkpoints(
        conn,
        [(one.plan.rule.rule_id, alarms.void_after(one, rules)) for one in judged],
        [
            (one.plan.rule.rule_id, kept.at_us, kept.state.tolist())
            for one in judged
            for kept in one.checkpoints
        ],
    )
    return transitions


def _store_decisions(
    conn: psycopg.Connection,
    decided: Sequence[tuple[alarms.Rule, lifecycle.Decision]],
    rules: EngineRules,
    now_us: int,
) -> int:
    fresh = [(rule, one) for rule, one in decided if one.occurrence is None]
    ids = iter(occurrences.new_ids(conn, len(fresh)) if fresh else [])
    added, updated, changes = [], [], []
    for rule, one in decided:
        facts = {} if one.condition is None else lifecycle.facts(one.condition)
        if one.occurrence is None:
            state, occurrence_id = lifecycle.State.NORMAL, next(ids)
            head = {"occurrence_id": occurrence_id, "state": str(state)}
            added.append(alarms.head(rule) | head | facts)
        else:
            state, occurrence_id = one.occurrence.state, one.occurrence.occurrence_id
            if one.condition is not None and one.condition != one.occurrence.condition:
                updated.append({"occurrence_id": occurrence_id} | facts)
        for event in one.events:
            after = lifecycle.step(state, event)
            source_us, value = lifecycle.source(one, event)
            late = now_us - source_us > rules.old_reading_us
            reason = one.reason + ("; judged from old readings" if late else "")
            changes.append(
                occurrences.Change(
                    occurrence_id, str(event), str(state), str(after), source_us, "engine",
                    reason, value, event in lifecycle.TOLD, late,
                )
            )  # fmt: skip
            TRANSITIONS.labels(str(rule.kind), str(after)).inc()
            state = after
    occurrences.add_occurrences(conn, added, now_us)
    occurrences.update_occurrences(conn, updated)
    occurrences.move_occurrences(conn, changes, now_us)
    return len(changes)


def warm() -> None:
    """Compile every kernel of the engine, or load it from the cache."""
    for module in (validation, hours, days, quantities, conditions):
        module.warm()
