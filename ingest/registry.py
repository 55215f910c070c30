"""The meters we know, in memory: who a telegram belongs to and who may speak for it."""

from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from store.queries import load

I64 = NDArray[np.int64]
UNKNOWN = -1


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A snapshot of the master data ingest needs.

    `identities` is sorted; `meter_ids` runs beside it. `facilities` names, by meter, the facilities
    it is or was installed in: none means nobody has claimed it.
    """

    identities: I64
    meter_ids: I64
    facilities: dict[int, tuple[int, ...]]
    gateways: dict[int, frozenset[str]]
    steps: dict[int, tuple[int, int]]
    shard_of: dict[int, int]
    facilities_of_station: dict[int, tuple[int, ...]]
    station_ids: dict[str, int]

    def find(self, identity: I64) -> I64:
        """Meter ids of these identities, UNKNOWN where nobody has claimed the meter."""
        if not self.identities.size:
            return np.full(identity.size, UNKNOWN, np.int64)
        place = np.searchsorted(self.identities, identity).clip(max=self.identities.size - 1)
        return np.where(self.identities[place] == identity, self.meter_ids[place], UNKNOWN)


def read_registry(conn: psycopg.Connection) -> Registry:
    """The registry as the database has it now; unclaimed meters are left out."""
    queries = load("ingest")
    claimed = [row for row in conn.execute(queries["meters"]) if row[6]]
    claimed.sort(key=lambda row: row[1])
    shards = conn.execute(queries["facility_shards"]).fetchall()
    of_station: dict[int, tuple[int, ...]] = {}
    for facility_id, _, station_id in shards:
        if station_id is not None:
            of_station[station_id] = (*of_station.get(station_id, ()), facility_id)
    return Registry(
        identities=np.array([row[1] for row in claimed], np.int64),
        meter_ids=np.array([row[0] for row in claimed], np.int64),
        facilities={row[0]: tuple(row[6]) for row in claimed},
        gateways={row[0]: frozenset(row[5]) for row in claimed if row[5]},
        steps={row[0]: (row[3], row[4]) for row in claimed},
        shard_of={facility_id: shard for facility_id, shard, _ in shards},
        facilities_of_station=of_station,
        station_ids=dict(conn.execute(queries["stations"]).fetchall()),
    )
