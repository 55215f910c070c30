"""What becomes of each envelope of a batch: owned or strange, new, a copy, or beaten by a rival."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Final, NamedTuple

import numpy as np
import psycopg
from numpy.typing import NDArray

from adapters import identity as identities
from adapters.registers import Decoded, OutdoorTemperature, Rows
from ingest import arrival
from ingest.decode import Arrivals, Dictionary, decode
from ingest.registry import UNKNOWN, Registry
from store import ingest as store
from store.readings import Outcome

I64 = NDArray[np.int64]

_CHAIN_US: Final = 86_400_000_000  # how far a newcomer can shift the windows of equal content


class Fate(NamedTuple):
    """An envelope's outcome and why."""

    outcome: Outcome
    reason: str | None = None
    detail: str | None = None


STORED: Final = Fate(Outcome.STORED)


class Rules(NamedTuple):
    """What of the ingest settings decides about a reading. [µs]"""

    copy_window_us: int
    future_tolerance_us: int


@dataclass(kw_only=True)
class Settlement:
    """A batch with every envelope's fate; an envelope without one is stored.

    `arrivals` may have grown by telegrams of the archive that take part again. `superseded` are
    stored rows that lose their place, as (reason, time [µs], meter); `changes` what that means for
    their telegrams.
    """

    arrivals: Arrivals
    rows: Rows
    meter_id: I64
    outdoor: list[OutdoorTemperature]
    fates: dict[int, Fate]
    superseded: list[tuple[str, int, int]] = field(default_factory=list)
    changes: list[store.OutcomeChange] = field(default_factory=list)

    def wanted(self) -> NDArray[np.bool_]:
        """Rows that have an owner and whose envelope nothing speaks against."""
        doomed = np.array(list(self.fates), np.int64)
        owned: NDArray[np.bool_] = self.meter_id != UNKNOWN
        return owned & ~np.isin(self.rows.envelope, doomed)

    def first_rows(self) -> I64:
        """For every envelope the index of its first row, -1 without one."""
        first = np.full(len(self.arrivals), -1, np.int64)
        first[self.rows.envelope[::-1]] = np.arange(len(self.rows))[::-1]
        return first


def settle(
    conn: psycopg.Connection,
    arrivals: Arrivals,
    decoded: Decoded,
    registry: Registry,
    dictionary: Dictionary,
    rules: Rules,
) -> Settlement:
    """Decide on a decoded batch; reads, in the caller's transaction, what it could clash with."""
    settlement = Settlement(
        arrivals=arrivals,
        rows=decoded.rows,
        meter_id=registry.find(decoded.rows.identity),
        outdoor=decoded.outdoor,
        fates={
            index: Fate(Outcome.QUARANTINED, refusal.reason, refusal.detail)
            for index, refusal in decoded.refused.items()
        },
    )
    _keep_strangers_waiting(settlement, registry)
    _refuse_foreign_gateways(settlement, registry)
    for meter_id in _clashing(conn, settlement, rules.copy_window_us):
        _settle_meter(conn, settlement, int(meter_id), dictionary, rules)
    return settlement


def gateway_of(source: str, address: str) -> str:
    """Who spoke: the gateway of an MQTT topic `gw/<gateway>/…`, else the bus itself."""
    parts = address.split("/", 2)
    if source.startswith("mqtt:") and len(parts) == 3 and parts[0] == "gw":
        return parts[1]
    return source


def _keep_strangers_waiting(settlement: Settlement, registry: Registry) -> None:
    rows = settlement.rows
    for row in np.flatnonzero(settlement.meter_id == UNKNOWN):
        name = identities.text(int(rows.identity[row]))
        detail = f"meter {name} is installed nowhere; register it and it is decoded"
        fate = Fate(Outcome.WAITING, "unclaimed", detail)
        settlement.fates.setdefault(int(rows.envelope[row]), fate)
    for one in settlement.outdoor:
        if one.station not in registry.station_ids:
            detail = f"weather station {one.station!r} is registered nowhere"
            fate = Fate(Outcome.WAITING, "unknown_station", detail)
            settlement.fates.setdefault(one.envelope, fate)


def _refuse_foreign_gateways(settlement: Settlement, registry: Registry) -> None:
    if not registry.gateways:
        return
    rows, arrivals = settlement.rows, settlement.arrivals
    guarded = np.isin(settlement.meter_id, np.array(list(registry.gateways), np.int64))
    welcome: set[tuple[int, str]] = set()  # topics are few, telegrams many
    for row, meter_id in zip(
        np.flatnonzero(guarded).tolist(), settlement.meter_id[guarded].tolist(), strict=True
    ):
        envelope = int(rows.envelope[row])
        address = arrivals.address[envelope]
        if (meter_id, address) in welcome:
            continue
        gateway = gateway_of(arrivals.source[envelope], address)
        allowed = registry.gateways[meter_id]
        if gateway in allowed:
            welcome.add((meter_id, address))
            continue
        detail = (
            f"meter {identities.text(int(rows.identity[row]))} came through gateway {gateway}, "
            f"it is registered behind {', '.join(sorted(allowed))}"
        )
        fate = Fate(Outcome.QUARANTINED, "foreign_gateway", detail)
        settlement.fates.setdefault(envelope, fate)


def _clashing(conn: psycopg.Connection, settlement: Settlement, window_us: int) -> I64:
    """Meters of the batch that need a look at each reading; the usual answer is none."""
    rows, mine = settlement.rows, np.flatnonzero(settlement.wanted())
    if not mine.size:
        return mine
    meter_id, at_us = settlement.meter_id[mine], rows.at_us[mine]
    old = store.read_rivals(conn, np.unique(meter_id), *arrival.spans(at_us, window_us))
    return arrival.clashing_meters(
        np.concatenate((old.meter_id, meter_id)),
        np.concatenate((old.at_us, at_us)),
        np.concatenate((old.access, rows.access[mine])),
        np.concatenate((old.content_hash, rows.content_hash[mine])),
        window_us,
    )


def _settle_meter(
    conn: psycopg.Connection,
    settlement: Settlement,
    meter_id: int,
    dictionary: Dictionary,
    rules: Rules,
) -> None:
    """Judge one meter's new rows together with all that they could displace or set free."""
    new = np.flatnonzero((settlement.meter_id == meter_id) & settlement.wanted())
    at_us = settlement.rows.at_us[new]
    from_us, until_us = int(at_us.min()), int(at_us.max()) + _CHAIN_US
    since_us = from_us - rules.copy_window_us
    known = set(settlement.arrivals.telegram_id[settlement.rows.envelope[new]].tolist())
    identity = int(settlement.rows.identity[new[0]])
    archived = [
        one
        for one in store.read_archived_rivals(conn, identity, from_us, until_us)
        if one.telegram_id not in known
    ]
    if archived:
        _admit(settlement, archived, meter_id, dictionary, rules)
        new = np.flatnonzero((settlement.meter_id == meter_id) & settlement.wanted())
    old = store.read_rivals(conn, np.array([meter_id]), np.array([since_us]), np.array([until_us]))
    rows, arrivals = settlement.rows, settlement.arrivals
    envelope = rows.envelope[new]
    newcomers = [
        arrival.Candidate(*parts)
        for parts in zip(
            rows.at_us[new].tolist(),
            arrivals.received_us[envelope].tolist(),
            arrivals.telegram_id[envelope].tolist(),
            rows.access[new].tolist(),
            rows.content_hash[new].tolist(),
            strict=True,
        )
    ]
    holders = [
        arrival.Candidate(at, received, telegram, access, content)
        for at, _, access, content, received, telegram in zip(
            *(column.tolist() for column in old), strict=True
        )
    ]
    verdicts = arrival.judge([*holders, *newcomers], rules.copy_window_us)
    for index, candidate in zip(envelope.tolist(), newcomers, strict=True):
        if verdicts[candidate.telegram_id] is not arrival.Verdict.ROW:
            settlement.fates[index] = _fate(verdicts[candidate.telegram_id], candidate.at_us)
    for candidate in holders:
        verdict = verdicts[candidate.telegram_id]
        if verdict is not arrival.Verdict.ROW:
            settlement.superseded.append((verdict.value, candidate.at_us, meter_id))
            settlement.changes.append(
                store.OutcomeChange(
                    candidate.received_us, candidate.telegram_id, *_fate(verdict, candidate.at_us)
                )
            )


def _admit(
    settlement: Settlement,
    telegrams: Sequence[store.Archived],
    meter_id: int,
    dictionary: Dictionary,
    rules: Rules,
) -> None:
    """Let copies and losers of the archive take part again."""
    again = from_archive(telegrams)
    rows = decode(again, dictionary, rules.future_tolerance_us).rows
    added = {one.name: getattr(rows, one.name) for one in fields(Rows)}
    added["envelope"] = added["envelope"] + len(settlement.arrivals)
    settlement.arrivals = settlement.arrivals.joined(again)
    settlement.rows = Rows(
        **{name: np.concatenate((getattr(settlement.rows, name), added[name])) for name in added}
    )
    settlement.meter_id = np.append(settlement.meter_id, np.full(len(rows), meter_id))


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


def _fate(verdict: arrival.Verdict, at_us: int) -> Fate:
    when = f"{np.datetime64(at_us, 'us')}Z"
    if verdict is arrival.Verdict.COPY:
        return Fate(Outcome.DUPLICATE, verdict.value, f"the same content is stored near {when}")
    return Fate(
        Outcome.QUARANTINED,
        verdict.value,
        f"another content was received first for exactly {when}",
    )
