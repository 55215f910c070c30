"""One batch from the journal to committed rows: decode, settle, and write in one transaction."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
import psycopg
import structlog
from numpy.typing import NDArray

from adapters.registers import MISSING, REGISTERS
from ingest import arrival, metrics
from ingest.decode import DECODER_VERSION, Arrivals, Dictionary, decode
from ingest.journal import Entry
from ingest.registry import Registry
from ingest.settle import STORED, Fate, Rules, Settlement, gateway_of, settle
from store import ingest as store
from store import partitions
from store.blob import Blob
from store.readings import Outcome

I64 = NDArray[np.int64]
_log = structlog.get_logger()

_HOUR_US: Final = 3_600_000_000
_JOIN_US: Final = 2 * _HOUR_US  # touched instants nearer than this are one span of work
_TRIES: Final = 3
_LOGGED_MAX: Final = 5  # refusals of a batch; all of them are in quarantine


def from_journal(entries: Sequence[Entry], journal_id: int) -> Arrivals:
    """Journal entries as a batch; one whose checksum fails gets a source that no decoder takes."""
    return Arrivals(
        telegram_id=np.array([journal_id << 48 | entry.position for entry in entries], np.int64),
        received_us=np.array([entry.envelope.received_at_us for entry in entries], np.int64),
        source=[
            entry.envelope.source if entry.intact else f"damaged:{entry.envelope.source}"
            for entry in entries
        ],
        address=[entry.envelope.address for entry in entries],
        payload=[entry.envelope.payload for entry in entries],
        archived=np.zeros(len(entries), np.bool_),
    )


def store_batch(
    conn: psycopg.Connection,
    arrivals: Arrivals,
    dictionary: Dictionary,
    registry: Registry,
    rules: Rules,
    stored_us: int,
    advance: tuple[int, int, int] | None,
) -> Settlement:
    """Decode, settle and write a batch together with the journal's position, all or nothing.

    `advance` is (journal id, position expected, new position), None for telegrams of the archive.
    Raises store.PositionError when another process drains the same journal.
    """
    decoded = decode(arrivals, dictionary, rules.future_tolerance_us)
    for table, times_us in (("reading", decoded.rows.at_us), ("telegram", arrivals.received_us)):
        for from_us, until_us in zip(*arrival.spans(times_us, 24 * _HOUR_US), strict=True):
            partitions.ensure(conn, table, int(from_us), int(until_us))
    for attempt in range(1, _TRIES + 1):
        try:
            with conn.transaction():
                if advance is not None:
                    store.advance_journal(conn, *advance)
                settlement = settle(conn, arrivals, decoded, registry, dictionary, rules)
                _write(conn, settlement, registry, stored_us)
        except psycopg.errors.UniqueViolation:
            # Another ingest took a (time, meter) between our look and our write: look again.
            if attempt == _TRIES:
                raise
        else:
            break
    _count(settlement)
    return settlement


def _write(
    conn: psycopg.Connection, settlement: Settlement, registry: Registry, stored_us: int
) -> None:
    wanted = np.flatnonzero(settlement.wanted())
    if settlement.superseded:
        store.supersede(conn, settlement.superseded)
    _write_telegrams(conn, settlement)
    _write_readings(conn, settlement, wanted, stored_us)
    store.change_outcomes(conn, [*settlement.changes, *_judged_again(settlement)])
    _write_outdoor(conn, settlement, registry)
    _write_ledger(conn, settlement, registry, wanted)
    _learn_steps(conn, settlement, registry, wanted)
    arrivals = settlement.arrivals
    last = dict(
        zip(
            zip(arrivals.source, arrivals.address, strict=True),
            arrivals.received_us.tolist(),
            strict=True,
        )
    )
    store.hear_gateways(conn, {gateway_of(*place): us for place, us in last.items()})


def _write_telegrams(conn: psycopg.Connection, settlement: Settlement) -> None:
    arrivals, rows = settlement.arrivals, settlement.rows
    new = np.flatnonzero(~arrivals.archived)
    first = settlement.first_rows()[new]
    missing = {"identity": MISSING, "access": -1, "content_hash": MISSING, "at_us": MISSING}
    of_first = {name: np.append(getattr(rows, name), none)[first] for name, none in missing.items()}
    fates = [settlement.fates.get(index, STORED) for index in new.tolist()]
    store.write_telegrams(
        conn,
        {
            "received_at": arrivals.received_us[new],
            "telegram_id": arrivals.telegram_id[new],
            "source": Blob.of_texts([arrivals.source[index] for index in new.tolist()]),
            "address": Blob.of_texts([arrivals.address[index] for index in new.tolist()]),
            "identity": of_first["identity"],
            "access": of_first["access"],
            "content_hash": of_first["content_hash"],
            "at": of_first["at_us"],
            "outcome": np.array([fate.outcome for fate in fates], np.int64),
            "reason": Blob.of_texts([fate.reason for fate in fates]),
            "detail": Blob.of_texts([fate.detail for fate in fates]),
            "payload": Blob.of([arrivals.payload[index] for index in new.tolist()]),
        },
    )


def _write_readings(
    conn: psycopg.Connection, settlement: Settlement, wanted: I64, stored_us: int
) -> None:
    rows, envelope = settlement.rows, settlement.rows.envelope[wanted]
    registers = {name: rows.registers[wanted, column] for column, name in enumerate(REGISTERS)}
    store.write_readings(
        conn,
        {
            "at": rows.at_us[wanted],
            "meter_id": settlement.meter_id[wanted],
            **registers,
            "quality": rows.quality[wanted],
            "status": rows.status[wanted],
            "access": rows.access[wanted],
            "content_hash": rows.content_hash[wanted],
            "meter_clock_at": rows.meter_clock_us[wanted],
            "received_at": settlement.arrivals.received_us[envelope],
            "stored_at": np.full(wanted.size, stored_us),
            "telegram_id": settlement.arrivals.telegram_id[envelope],
            "decoder_version": np.full(wanted.size, DECODER_VERSION),
        },
    )


def _judged_again(settlement: Settlement) -> list[store.OutcomeChange]:
    """What became of the telegrams that had their archive row already."""
    arrivals, rows, first = settlement.arrivals, settlement.rows, settlement.first_rows()
    changes = []
    for index in np.flatnonzero(arrivals.archived).tolist():
        row = int(first[index])
        changes.append(
            store.OutcomeChange(
                int(arrivals.received_us[index]),
                int(arrivals.telegram_id[index]),
                *settlement.fates.get(index, STORED),
                identity=int(rows.identity[row]) if row >= 0 else None,
                at_us=int(rows.at_us[row]) if row >= 0 else None,
            )
        )
    return changes


def _known_outdoor(settlement: Settlement, registry: Registry) -> list[tuple[int, int, int, int]]:
    """Temperatures of registered stations: (station, hour start [µs], 0.01 °C, telegram)."""
    return [
        (
            registry.station_ids[one.station],
            one.at_us // _HOUR_US * _HOUR_US,
            one.temp_cc,
            int(settlement.arrivals.telegram_id[one.envelope]),
        )
        for one in settlement.outdoor
        if one.envelope not in settlement.fates
    ]


def _write_outdoor(conn: psycopg.Connection, settlement: Settlement, registry: Registry) -> None:
    found = _known_outdoor(settlement, registry)
    if found:
        store.put_outdoor(conn, found)


def _write_ledger(
    conn: psycopg.Connection, settlement: Settlement, registry: Registry, wanted: I64
) -> None:
    """Name to the engine exactly the facilities and spans that this batch touched."""
    touched = list(
        zip(
            settlement.meter_id[wanted].tolist(),
            settlement.rows.at_us[wanted].tolist(),
            strict=True,
        )
    )
    touched += [(meter_id, at_us) for _, at_us, meter_id in settlement.superseded]
    pairs = [
        (facility_id, at_us)
        for meter_id, at_us in touched
        for facility_id in registry.facilities[meter_id]
    ]
    pairs += [
        (facility_id, start_us)
        for station_id, start_us, _, _ in _known_outdoor(settlement, registry)
        for facility_id in registry.facilities_of_station.get(station_id, ())
    ]
    if not pairs:
        return
    columns = np.array(pairs, np.int64)
    merged = arrival.touched(columns[:, 0], columns[:, 1], _JOIN_US)
    shards = [registry.shard_of[facility_id] for facility_id in merged.facility_id.tolist()]
    store.add_ledger(conn, np.array(shards, np.int64), *merged)


def _learn_steps(
    conn: psycopg.Connection, settlement: Settlement, registry: Registry, wanted: I64
) -> None:
    """Telegrams tell what one count of a register means; the meter remembers the newest."""
    rows = settlement.rows
    energy, volume = rows.energy_step_j[wanted], rows.volume_step_ml[wanted]
    told = (energy > 0) | (volume > 0)
    steps = dict(
        zip(
            settlement.meter_id[wanted][told].tolist(),
            zip(energy[told].tolist(), volume[told].tolist(), strict=True),
            strict=True,
        )
    )
    news = {meter_id: step for meter_id, step in steps.items() if registry.steps[meter_id] != step}
    if news:
        store.learn_steps(conn, news)
        registry.steps.update(news)


def _count(settlement: Settlement) -> None:
    """Tell the metrics and the log what became of a committed batch."""
    arrivals = settlement.arrivals
    stored = Counter(arrivals.source)
    others: Counter[tuple[str, Fate]] = Counter()
    refused = []
    for index, fate in settlement.fates.items():
        source = arrivals.source[index]
        stored[source] -= 1
        others[source, fate._replace(detail=None)] += 1
        if fate.outcome is Outcome.QUARANTINED:
            refused.append((index, fate))
    for (source, fate), number in [*others.items(), *(((s, STORED), n) for s, n in stored.items())]:
        protocol = source.partition(":")[0]
        metrics.TELEGRAMS.labels(protocol, fate.outcome.name.lower(), fate.reason or "").inc(number)
    for index, fate in refused[:_LOGGED_MAX]:
        _log.warning(
            "telegram quarantined",
            source=arrivals.source[index],
            address=arrivals.address[index],
            reason=fate.reason,
            detail=fate.detail,
            of=len(refused),
        )
