"""One batch from the journal to committed rows: decode, find the owner, settle rivals, write."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Final, NamedTuple

import numpy as np
import psycopg
import structlog
from numpy.typing import NDArray

from adapters import identity as identities
from adapters.registers import MISSING, REGISTERS, Decoded, Rows
from ingest import arrival, metrics
from ingest.decode import DECODER_VERSION, Arrivals, Dictionary, decode
from ingest.journal import Entry
from ingest.registry import UNKNOWN, Registry
from store import ingest as store
from store import partitions
from store.blob import Blob
from store.readings import Outcome

I64 = NDArray[np.int64]
_log = structlog.get_logger()

_HOUR_US: Final = 3_600_000_000
_JOIN_US: Final = 2 * _HOUR_US
_LOGGED_MAX: Final = 5  # of a batch; all are in quarantine
_CHAIN_US: Final = 24 * _HOUR_US  # how far a newcomer can shift the windows of equal content


class Fate(NamedTuple):
    """An envelope's outcome and why."""

    outcome: Outcome
    reason: str | None = None
    detail: str | None = None


class Settings(NamedTuple):
    """What of the ingest settings a batch needs. [µs]"""

    copy_window_us: int
    future_tolerance_us: int


_STORED: Final = Fate(Outcome.STORED)


def from_journal(entries: Sequence[Entry], journal_id: int) -> Arrivals:
    """Journal entries as a batch; an entry whose checksum fails gets a source no decoder takes."""
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


def from_archive(telegrams: Sequence[store.Archived]) -> Arrivals:
    """Archived telegrams as a batch to be judged again."""
    return Arrivals(
        telegram_id=np.array([one.telegram_id for one in telegrams], np.int64),
        received_us=np.array([one.received_us for one in telegrams], np.int64),
        source=[one.source for one in telegrams],
        address=[one.address for one in telegrams],
        payload=[one.payload for one in telegrams],
        archived=np.ones(len(telegrams), np.bool_),
    )


class Batch:
    """The work on one batch: `settle` reads and decides, `write` stores; nothing is kept between."""

    def __init__(
        self, arrivals: Arrivals, dictionary: Dictionary, registry: Registry, settings: Settings
    ) -> None:
        self.arrivals = arrivals
        self._dictionary = dictionary
        self._registry = registry
        self._settings = settings
        self.decoded = decode(arrivals, dictionary, settings.future_tolerance_us)
        self.meter_id = registry.find(self.decoded.rows.identity)
        self.fates: dict[int, Fate] = {}
        self._superseded: dict[str, list[tuple[int, int]]] = {}
        self._changes: list[store.OutcomeChange] = []
        self._vacated: list[tuple[int, int]] = []

    def settle(self, conn: psycopg.Connection) -> None:
        """Give every envelope its fate; reads the rows that new ones might be copies of."""
        self.fates = {
            index: Fate(Outcome.QUARANTINED, refusal.reason, refusal.detail)
            for index, refusal in self.decoded.refused.items()
        }
        self._superseded, self._changes, self._vacated = {}, [], []
        self._refuse_strangers()
        for one in self.decoded.outdoor:
            if one.station not in self._registry.station_ids:
                detail = f"weather station {one.station!r} is registered nowhere"
                self.fates[one.envelope] = Fate(Outcome.WAITING, "unknown_station", detail)
        rows = self.decoded.rows
        mine = np.flatnonzero(self._wanted())
        if not mine.size:
            return
        window_us = self._settings.copy_window_us
        old = store.read_rivals(
            conn, np.unique(self.meter_id[mine]), *arrival.spans(rows.at_us[mine], window_us)
        )
        clashing = arrival.clashing_meters(
            np.concatenate((old.meter_id, self.meter_id[mine])),
            np.concatenate((old.at_us, rows.at_us[mine])),
            np.concatenate((old.access, rows.access[mine])),
            np.concatenate((old.content_hash, rows.content_hash[mine])),
            window_us,
        )
        for meter_id in clashing:
            self._settle_meter(conn, int(meter_id))

    def _wanted(self) -> NDArray[np.bool_]:
        """Rows that have an owner and whose envelope nothing speaks against."""
        doomed = np.array(list(self.fates), np.int64)
        return (self.meter_id != UNKNOWN) & ~np.isin(self.decoded.rows.envelope, doomed)

    def _refuse_strangers(self) -> None:
        rows = self.decoded.rows
        for row in np.flatnonzero(self.meter_id == UNKNOWN):
            name = identities.text(int(rows.identity[row]))
            self.fates.setdefault(
                int(rows.envelope[row]),
                Fate(Outcome.WAITING, "unclaimed", f"meter {name} is registered nowhere; claim it"),
            )
        if not self._registry.gateways:
            return
        guarded = np.isin(self.meter_id, np.array(list(self._registry.gateways), np.int64))
        for row in np.flatnonzero(guarded):
            envelope = int(rows.envelope[row])
            gateway = gateway_of(self.arrivals.source[envelope], self.arrivals.address[envelope])
            allowed = self._registry.gateways[int(self.meter_id[row])]
            if gateway not in allowed:
                name = identities.text(int(rows.identity[row]))
                self.fates.setdefault(
                    envelope,
                    Fate(
                        Outcome.QUARANTINED,
                        "foreign_gateway",
                        f"meter {name} came through gateway {gateway}, registered behind "
                        f"{', '.join(sorted(allowed))}",
                    ),
                )

    def _settle_meter(self, conn: psycopg.Connection, meter_id: int) -> None:
        """Judge one meter's new rows together with all that they could displace or set free."""
        rows, window_us = self.decoded.rows, self._settings.copy_window_us
        new = np.flatnonzero((self.meter_id == meter_id) & self._wanted())
        from_us, until_us = int(rows.at_us[new].min()), int(rows.at_us[new].max()) + _CHAIN_US
        known = {int(self.arrivals.telegram_id[envelope]) for envelope in rows.envelope[new]}
        identity = int(rows.identity[new[0]])
        archived = [
            one
            for one in store.read_archived_rivals(conn, [identity], from_us - window_us, until_us)
            if one.telegram_id not in known
        ]
        if archived:
            self._add_archived(archived, from_us)
            rows = self.decoded.rows
            new = np.flatnonzero((self.meter_id == meter_id) & self._wanted())
        old = store.read_rivals(
            conn,
            np.array([meter_id], np.int64),
            np.array([from_us - window_us], np.int64),
            np.array([until_us], np.int64),
        )
        candidates = [
            arrival.Candidate(int(at), int(received), int(telegram), int(access), int(content))
            for at, _, access, content, received, telegram in zip(*old, strict=True)
        ]
        telegram_of = self.arrivals.telegram_id[rows.envelope[new]]
        for row, telegram_id in zip(new, telegram_of, strict=True):
            candidates.append(
                arrival.Candidate(
                    int(rows.at_us[row]),
                    int(self.arrivals.received_us[rows.envelope[row]]),
                    int(telegram_id),
                    int(rows.access[row]),
                    int(rows.content_hash[row]),
                )
            )
        verdicts = arrival.judge(candidates, window_us)
        for row, telegram_id in zip(new, telegram_of, strict=True):
            verdict = verdicts[int(telegram_id)]
            if verdict is not arrival.Verdict.ROW:
                self.fates[int(rows.envelope[row])] = _fate_of(verdict, int(rows.at_us[row]))
        for at, received, telegram in zip(
            old.at_us.tolist(), old.received_us.tolist(), old.telegram_id.tolist(), strict=True
        ):
            verdict = verdicts[telegram]
            if verdict is not arrival.Verdict.ROW:
                why = "earlier_copy" if verdict is arrival.Verdict.COPY else "smaller_hash"
                self._superseded.setdefault(why, []).append((at, meter_id))
                self._vacated.append((at, meter_id))
                fate = _fate_of(verdict, at)
                self._changes.append(
                    store.OutcomeChange(received, telegram, *fate, identity=None, at_us=None)
                )

    def _add_archived(self, telegrams: Sequence[store.Archived], from_us: int) -> None:
        """Let copies and losers of the archive take part again.

        A copy from before the earliest newcomer belongs to a row that nothing can change, so it is
        left out; a loser there still owns the copies that follow it.
        """
        again = from_archive(telegrams)
        decoded = decode(again, self._dictionary, self._settings.future_tolerance_us)
        rows = decoded.rows
        lost = np.array(
            [one.reason == arrival.Verdict.OTHER_CONTENT for one in telegrams], np.bool_
        )
        keep = (rows.at_us >= from_us) | lost[rows.envelope]
        offset = len(self.arrivals)
        self.arrivals = self.arrivals.joined(again)
        merged = {
            one.name: np.concatenate(
                (getattr(self.decoded.rows, one.name), getattr(rows, one.name)[keep])
            )
            for one in fields(Rows)
        }
        merged["envelope"][len(self.decoded.rows) :] += offset
        self.decoded = Decoded(
            rows=Rows(**merged), outdoor=self.decoded.outdoor, refused=self.decoded.refused
        )
        self.meter_id = self._registry.find(self.decoded.rows.identity)

    def write(self, conn: psycopg.Connection, stored_us: int) -> None:
        """Archive, rows, temperatures, ledger: everything but the journal's position.

        Call it inside a transaction, after `settle` in the same one.
        """
        rows = self.decoded.rows
        wanted = self._wanted()
        for reason, keys in self._superseded.items():
            store.supersede(conn, keys, reason)
        self._write_telegrams(conn)
        self._write_readings(conn, np.flatnonzero(wanted), stored_us)
        store.change_outcomes(conn, [*self._changes, *self._changes_of_archived()])
        touched = [
            (facility, int(at))
            for meter, at in self._vacated_and(wanted, rows)
            for facility in self._registry.facilities[meter]
        ]
        touched += self._write_outdoor(conn)
        if touched:
            self._write_ledger(conn, touched)
        self._learn(conn, wanted)

    def _vacated_and(self, wanted: NDArray[np.bool_], rows: Rows) -> list[tuple[int, int]]:
        new = zip(self.meter_id[wanted].tolist(), rows.at_us[wanted].tolist(), strict=True)
        return [*new, *((meter, at) for at, meter in self._vacated)]

    def _first_rows(self) -> I64:
        """For every envelope the index of its first row, -1 without one."""
        first = np.full(len(self.arrivals), -1, np.int64)
        envelope = self.decoded.rows.envelope
        first[envelope[::-1]] = np.arange(envelope.size)[::-1]
        return first

    def _write_telegrams(self, conn: psycopg.Connection) -> None:
        arrivals, rows = self.arrivals, self.decoded.rows
        new = np.flatnonzero(~arrivals.archived)
        if not new.size:
            return
        first = self._first_rows()[new]
        padded = {
            name: np.append(getattr(rows, name), missing)[first]
            for name, missing in (
                ("identity", MISSING),
                ("access", -1),
                ("content_hash", MISSING),
                ("at_us", MISSING),
            )
        }
        fates = [self.fates.get(index, _STORED) for index in new.tolist()]
        store.write_telegrams(
            conn,
            {
                "received_at": arrivals.received_us[new],
                "telegram_id": arrivals.telegram_id[new],
                "source": Blob.of_texts([arrivals.source[index] for index in new]),
                "address": Blob.of_texts([arrivals.address[index] for index in new]),
                "identity": padded["identity"],
                "access": padded["access"],
                "content_hash": padded["content_hash"],
                "at": padded["at_us"],
                "outcome": np.array([fate.outcome for fate in fates], np.int64),
                "reason": Blob.of_texts([fate.reason for fate in fates]),
                "detail": Blob.of_texts([fate.detail for fate in fates]),
                "payload": Blob.of([arrivals.payload[index] for index in new]),
            },
        )

    def _write_readings(self, conn: psycopg.Connection, pick: I64, stored_us: int) -> None:
        rows, envelope = self.decoded.rows, self.decoded.rows.envelope[pick]
        registers = {name: rows.registers[pick, column] for column, name in enumerate(REGISTERS)}
        store.write_readings(
            conn,
            {
                "at": rows.at_us[pick],
                "meter_id": self.meter_id[pick],
                **registers,
                "quality": rows.quality[pick],
                "status": rows.status[pick],
                "access": rows.access[pick],
                "content_hash": rows.content_hash[pick],
                "meter_clock_at": rows.meter_clock_us[pick],
                "received_at": self.arrivals.received_us[envelope],
                "stored_at": np.full(pick.size, stored_us),
                "telegram_id": self.arrivals.telegram_id[envelope],
                "decoder_version": np.full(pick.size, DECODER_VERSION),
            },
        )

    def _changes_of_archived(self) -> list[store.OutcomeChange]:
        arrivals, rows = self.arrivals, self.decoded.rows
        first = self._first_rows()
        changes = []
        for index in np.flatnonzero(arrivals.archived).tolist():
            row = int(first[index])
            if row < 0 and index not in self.fates:
                continue  # a copy from before the newcomers: it took no part
            changes.append(
                store.OutcomeChange(
                    int(arrivals.received_us[index]),
                    int(arrivals.telegram_id[index]),
                    *self.fates.get(index, _STORED),
                    identity=int(rows.identity[row]) if row >= 0 else None,
                    at_us=int(rows.at_us[row]) if row >= 0 else None,
                )
            )
        return changes

    def _write_outdoor(self, conn: psycopg.Connection) -> list[tuple[int, int]]:
        known = self._registry.station_ids
        found = []
        for one in self.decoded.outdoor:
            if one.station in known:
                start_us = one.at_us // _HOUR_US * _HOUR_US
                telegram_id = int(self.arrivals.telegram_id[one.envelope])
                found.append((known[one.station], start_us, one.temp_cc, telegram_id))
        if found:
            store.put_outdoor(conn, found)
        return [
            (facility, start_us)
            for station, start_us, _, _ in found
            for facility in self._registry.facilities_of_station.get(station, ())
        ]

    def _write_ledger(self, conn: psycopg.Connection, touched: list[tuple[int, int]]) -> None:
        pairs = np.array(touched, np.int64)
        merged = arrival.touched(pairs[:, 0], pairs[:, 1], _JOIN_US)
        shard = np.array(
            [self._registry.shard_of[int(one)] for one in merged.facility_id], np.int64
        )
        store.add_ledger(conn, shard, *merged)

    def _learn(self, conn: psycopg.Connection, wanted: NDArray[np.bool_]) -> None:
        rows = self.decoded.rows
        told = wanted & ((rows.energy_step_j > 0) | (rows.volume_step_ml > 0))
        steps = dict(
            zip(
                self.meter_id[told].tolist(),
                zip(
                    rows.energy_step_j[told].tolist(),
                    rows.volume_step_ml[told].tolist(),
                    strict=True,
                ),
                strict=True,
            )
        )
        news = {meter: step for meter, step in steps.items() if self._registry.steps[meter] != step}
        if news:
            store.learn_steps(conn, news)
            self._registry.steps.update(news)
        heard: dict[str, int] = {}
        for index in np.flatnonzero(~self.arrivals.archived).tolist():
            gateway = gateway_of(self.arrivals.source[index], self.arrivals.address[index])
            heard[gateway] = int(self.arrivals.received_us[index])
        if heard:
            store.hear_gateways(conn, heard)

    def count(self) -> None:
        """Tell the metrics and the log what became of the batch, once it is committed."""
        tally: dict[tuple[str, str, str], int] = {}
        for index, source in enumerate(self.arrivals.source):
            fate = self.fates.get(index, _STORED)
            key = (source.partition(":")[0], fate.outcome.name.lower(), fate.reason or "")
            tally[key] = tally.get(key, 0) + 1
        for labels, number in tally.items():
            metrics.TELEGRAMS.labels(*labels).inc(number)
        refused = [
            (index, fate)
            for index, fate in self.fates.items()
            if fate.outcome is Outcome.QUARANTINED
        ]
        for index, fate in refused[:_LOGGED_MAX]:
            _log.warning(
                "telegram quarantined",
                source=self.arrivals.source[index],
                address=self.arrivals.address[index],
                reason=fate.reason,
                detail=fate.detail,
                of=len(refused),
            )


def _fate_of(verdict: arrival.Verdict, at_us: int) -> Fate:
    when = f"{np.datetime64(at_us, 'us')}Z"
    if verdict is arrival.Verdict.COPY:
        return Fate(Outcome.DUPLICATE, verdict, f"the same content is stored near {when}")
    return Fate(
        Outcome.QUARANTINED, verdict, f"another content was received first for exactly {when}"
    )


def gateway_of(source: str, address: str) -> str:
    """Who spoke: the gateway of an MQTT topic `gw/<gateway>/…`, else the bus itself."""
    parts = address.split("/", 2)
    if source.startswith("mqtt:") and len(parts) == 3 and parts[0] == "gw":
        return parts[1]
    return source


def write_batch(
    conn: psycopg.Connection, batch: Batch, stored_us: int, advance: tuple[int, int, int] | None
) -> None:
    """Settle and write a batch, with the journal's position, in ONE transaction.

    `advance` is (journal id, position expected, new position); None for telegrams of the archive.
    """
    for table, times_us in (
        ("reading", batch.decoded.rows.at_us),
        ("telegram", batch.arrivals.received_us),
    ):
        for from_us, until_us in zip(*arrival.spans(times_us, 24 * _HOUR_US), strict=True):
            partitions.ensure(conn, table, int(from_us), int(until_us))
    for attempt in range(3):
        try:
            with conn.transaction():
                if advance is not None:
                    store.advance_journal(conn, *advance)
                batch.settle(conn)
                batch.write(conn, stored_us)
        except psycopg.errors.UniqueViolation:
            if attempt == 2:
                raise
            continue  # another ingest took a (time, meter) between our look and our write
        batch.count()
        return
