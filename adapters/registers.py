"""What every field protocol decodes to: identities and rows of registers, in columns."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

MISSING: Final = int(np.iinfo(np.int64).min)
"""Marks an absent register in an int64 column; no meter can show it."""

REGISTERS: Final = (
    "energy_j",
    "cooling_energy_j",
    "volume_ml",
    "e8_mlc",
    "e9_mlc",
    "power_w",
    "flow_l_h",
    "supply_temp_cc",
    "return_temp_cc",
    "operating_h",
    "error_h",
    "info_code",
)
"""The registers we keep, in column order: counters [J, ml, ml·°C], gauges [W, l/h, 0.01 °C, h]."""

REGISTER_INDEX: Final = {name: index for index, name in enumerate(REGISTERS)}


class RegisterQuality(IntEnum):
    """Why a register the telegram did carry is MISSING; two bits a register in `Rows.quality`."""

    OK = 0
    METER_ERROR = 1
    OUT_OF_RANGE = 2
    INVALID = 3


def quality_of(quality: int, register: str) -> RegisterQuality:
    """The two bits of one register in a row's packed quality."""
    return RegisterQuality(quality >> 2 * REGISTER_INDEX[register] & 3)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Decoded readings, one row per (meter, time) found in a batch of envelopes.

    `envelope` says from which envelope of the batch a row came; an envelope may give several rows.
    `registers` is int64, shape (n, len(REGISTERS)), MISSING where absent; `quality` packs two bits
    of RegisterQuality per register. Times are UTC microseconds since 1970, MISSING where unknown:
    `at_us` is when the meter measured if the payload says so (else the caller uses the time of
    reception), `meter_clock_us` the meter's own clock. `access` is the access number, -1 without
    one. `content_hash` is the FNV-1a hash of the meter's bytes without their envelope.
    `energy_step_j` and `volume_step_ml` are what one count of the register means, 0 when unknown.
    """

    envelope: NDArray[np.int64]
    identity: NDArray[np.int64]
    at_us: NDArray[np.int64]
    meter_clock_us: NDArray[np.int64]
    access: NDArray[np.int64]
    status: NDArray[np.int64]
    content_hash: NDArray[np.int64]
    registers: NDArray[np.int64]
    quality: NDArray[np.int64]
    energy_step_j: NDArray[np.int64]
    volume_step_ml: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.envelope.size)


class Refusal(NamedTuple):
    """Why an envelope gave no row.

    `reason` is from a short, documented list; `detail` says what was expected, what came and where.
    """

    reason: str
    detail: str


class OutdoorTemperature(NamedTuple):
    """One outdoor temperature of a weather station. [0.01 °C]"""

    envelope: int
    station: str
    at_us: int
    temp_cc: int


@dataclass(kw_only=True)
class Decoded:
    """The outcome of one batch: every envelope gave rows, a temperature, or a refusal."""

    rows: Rows
    outdoor: list[OutdoorTemperature] = field(default_factory=list)
    refused: dict[int, Refusal] = field(default_factory=dict)


def empty_rows(count: int) -> Rows:
    """Rows to be filled: MISSING, but 0 for steps, status and quality, -1 for access."""
    column = np.full(count, MISSING, np.int64)
    zeros = np.zeros(count, np.int64)
    return Rows(
        envelope=zeros.copy(),
        identity=zeros.copy(),
        at_us=column.copy(),
        meter_clock_us=column.copy(),
        access=np.full(count, -1, np.int64),
        status=zeros.copy(),
        content_hash=zeros.copy(),
        registers=np.full((count, len(REGISTERS)), MISSING, np.int64),
        quality=zeros.copy(),
        energy_step_j=zeros.copy(),
        volume_step_ml=zeros.copy(),
    )
