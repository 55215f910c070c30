"""From envelopes to readings: each protocol's decoder over the whole batch, times resolved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adapters import identity as identities
from adapters.mbus.decode import decode_batch as decode_mbus
from adapters.mbus.profile import MeterProfiles
from adapters.modbus.decode import decode_batch as decode_modbus
from adapters.modbus.registermap import RegisterMap
from adapters.mqtt.decode import decode_batch as decode_mqtt
from adapters.registers import MISSING, Decoded, OutdoorTemperature, Refusal, Rows, empty_rows

I64 = NDArray[np.int64]

DECODER_VERSION: Final = 1
"""Stored with every reading; raise it when a decoder's answer changes."""


@dataclass(frozen=True, kw_only=True)
class Dictionary:
    """What the decoders must be told: meter profiles and Modbus register maps."""

    profiles: MeterProfiles
    maps: Mapping[str, RegisterMap]


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """A batch of envelopes as they lie in the journal or the archive, in parallel columns.

    `archived` marks those that have their archive row already and are being judged again.
    """

    telegram_id: I64
    received_us: I64
    source: Sequence[str]
    address: Sequence[str]
    payload: Sequence[bytes]
    archived: NDArray[np.bool_]

    def __len__(self) -> int:
        return int(self.telegram_id.size)

    def joined(self, other: "Arrivals") -> "Arrivals":
        """Both, this one first."""
        return Arrivals(
            telegram_id=np.concatenate((self.telegram_id, other.telegram_id)),
            received_us=np.concatenate((self.received_us, other.received_us)),
            source=[*self.source, *other.source],
            address=[*self.address, *other.address],
            payload=[*self.payload, *other.payload],
            archived=np.concatenate((self.archived, other.archived)),
        )


def decode(arrivals: Arrivals, dictionary: Dictionary, future_tolerance_us: int) -> Decoded:
    """Decode a batch: every envelope gives rows with their times, a temperature or a refusal."""
    groups: dict[str, list[int]] = {}
    for index, source in enumerate(arrivals.source):
        groups.setdefault(source.partition(":")[0], []).append(index)
    parts: list[Decoded] = []
    for protocol, members in groups.items():
        payloads = [arrivals.payload[index] for index in members]
        if protocol == "mqtt":
            addresses = [arrivals.address[index] for index in members]
            part = decode_mqtt(addresses, payloads, dictionary.profiles)
        elif protocol == "mbus":
            part = decode_mbus(payloads, dictionary.profiles)
        elif protocol == "modbus":
            part = decode_modbus(payloads, dictionary.maps)
        else:
            refusal = Refusal(
                "protocol", f"source {protocol!r}: expected mqtt, mbus or modbus before the colon"
            )
            part = Decoded(rows=empty_rows(0), refused=dict.fromkeys(range(len(members)), refusal))
        parts.append(_renumbered(part, np.array(members, np.int64), arrivals, protocol))
    return _timely(_together(parts), arrivals, future_tolerance_us)


def _renumbered(part: Decoded, members: I64, arrivals: Arrivals, protocol: str) -> Decoded:
    """Number the part's envelopes as the batch does; live values get the time of arrival."""
    envelope = members[part.rows.envelope]
    received_us = arrivals.received_us[envelope]
    content_hash = part.rows.content_hash
    if protocol == "modbus":
        # A poll has no access number; equal registers a minute later are news, not a copy.
        content_hash = content_hash ^ received_us
    rows = replace(
        part.rows,
        envelope=envelope,
        at_us=np.where(part.rows.at_us == MISSING, received_us, part.rows.at_us),
        content_hash=content_hash,
    )
    outdoor = [one._replace(envelope=int(members[one.envelope])) for one in part.outdoor]
    refused = {int(members[index]): refusal for index, refusal in part.refused.items()}
    return Decoded(rows=rows, outdoor=outdoor, refused=refused)


def _together(parts: Sequence[Decoded]) -> Decoded:
    if not parts:
        return Decoded(rows=empty_rows(0))
    columns = {
        column.name: np.concatenate([getattr(part.rows, column.name) for part in parts])
        for column in fields(Rows)
    }
    whole = Decoded(rows=Rows(**columns))
    for part in parts:
        whole.outdoor += part.outdoor
        whole.refused |= part.refused
    return whole


def _timely(decoded: Decoded, arrivals: Arrivals, tolerance_us: int) -> Decoded:
    """Refuse what claims to be measured after it was received."""
    rows = decoded.rows
    received_us = arrivals.received_us[rows.envelope]
    bad = rows.at_us > received_us + tolerance_us
    for row in np.flatnonzero(bad):
        ahead_s = int(rows.at_us[row] - received_us[row]) // 1_000_000
        decoded.refused[int(rows.envelope[row])] = Refusal(
            "future",
            f"meter {identities.text(int(rows.identity[row]))}: time measured "
            f"{np.datetime64(int(rows.at_us[row]), 'us')}Z, {ahead_s} s after it was received; "
            f"expected at most {tolerance_us // 1_000_000} s; check the gateway's clock",
        )
    if bad.any():
        dropped = np.isin(rows.envelope, rows.envelope[bad])
        rows = Rows(**{one.name: getattr(rows, one.name)[~dropped] for one in fields(Rows)})
    outdoor: list[OutdoorTemperature] = []
    for one in decoded.outdoor:
        received = int(arrivals.received_us[one.envelope])
        if one.at_us > received + tolerance_us:
            decoded.refused[one.envelope] = Refusal(
                "future", f"station {one.station}: time measured is after it was received"
            )
        else:
            outdoor.append(one)
    return Decoded(rows=rows, outdoor=outdoor, refused=decoded.refused)
