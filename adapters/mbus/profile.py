"""What the standard cannot say about a make of meter, as the mapping kernel reads it.

Profiles are written in config/profiles/*.toml and loaded by config/profiles.py; the types are here
because the decoder needs them.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adapters import identity as meter_identity
from adapters.fnv import fnv1a64
from adapters.registers import REGISTER_INDEX

BY_VIF: Final = 0
BY_FACTOR: Final = 1
BY_VOLUME_STEP: Final = 2


@dataclass(frozen=True, kw_only=True)
class RecordRule:
    """A record that is a register: its DIB and VIB, and what one count of it means.

    `factor`: register units per count; None: as the VIF says. With `times_volume_step` it is per
    ml of the telegram's own volume resolution (E8 and E9 of Kamstrup).
    """

    dib_vib: bytes
    register: str
    factor: Fraction | None = None
    times_volume_step: bool = False


@dataclass(frozen=True, kw_only=True)
class MeterProfile:
    """One make: whom it matches, and what is special about it.

    `versions` and `media` empty: any. `sentinels` are (register, value) that a meter shows instead
    of a measurement. `positive` and `negative` name the register for an energy record with VIFE 3B
    or 3C (accumulation of positive or negative contributions), None: not kept. `energy_digits` and
    `volume_digits` say where counters wrap: after 10^digits counts.
    """

    name: str
    manufacturer: str
    versions: tuple[int, ...] = ()
    media: tuple[int, ...] = ()
    records: tuple[RecordRule, ...] = ()
    sentinels: tuple[tuple[str, int], ...] = ()
    positive: str | None = None
    negative: str | None = None
    energy_digits: int | None = None
    volume_digits: int | None = None
    source: str = ""

    def energy_modulus_j(self, energy_step_j: int) -> int | None:
        """Where the energy register wraps [J], None when the profile does not say."""
        if self.energy_digits is None or energy_step_j <= 0:
            return None
        return int(10**self.energy_digits * energy_step_j)

    def volume_modulus_ml(self, volume_step_ml: int) -> int | None:
        """Where the volume register wraps [ml], None when the profile does not say."""
        if self.volume_digits is None or volume_step_ml <= 0:
            return None
        return int(10**self.volume_digits * volume_step_ml)


class ProfileTable(NamedTuple):
    """Profiles as int64 matrices, a row for each.

    `matches`: manufacturer, version, medium (-1: any), profile; the first match wins.
    `profiles`: first and end of its rows in `records`, in `sentinels`, registers of VIFE 3B and 3C
    (-1: none). `records`: key (FNV-1a of DIB and VIB), register, BY_..., numerator, denominator.
    `sentinels`: register, value.
    """

    matches: NDArray[np.int64]
    profiles: NDArray[np.int64]
    records: NDArray[np.int64]
    sentinels: NDArray[np.int64]


def _matrix(rows: list[tuple[int, ...]], width: int) -> NDArray[np.int64]:
    return np.array(rows, np.int64).reshape(-1, width)


def _register(name: str | None) -> int:
    return -1 if name is None else REGISTER_INDEX[name]


def _record_row(rule: RecordRule) -> tuple[int, ...]:
    factor, scaling = rule.factor, BY_VOLUME_STEP if rule.times_volume_step else BY_FACTOR
    if factor is None:
        factor, scaling = Fraction(1), BY_VIF
    key = fnv1a64(rule.dib_vib)
    return key, REGISTER_INDEX[rule.register], scaling, factor.numerator, factor.denominator


def _table(profiles: tuple[MeterProfile, ...]) -> ProfileTable:
    matches = [
        (meter_identity.manufacturer_code(profile.manufacturer), version, medium, index)
        for index, profile in enumerate(profiles)
        for version in profile.versions or (-1,)
        for medium in profile.media or (-1,)
    ]
    matches.sort(key=lambda match: (match[1] < 0) + (match[2] < 0))  # the most specific first
    of_profile: list[tuple[int, ...]] = []
    records: list[tuple[int, ...]] = []
    sentinels: list[tuple[int, ...]] = []
    for profile in profiles:
        start = len(records), len(sentinels)
        records += map(_record_row, profile.records)
        sentinels += [(REGISTER_INDEX[register], value) for register, value in profile.sentinels]
        spans = start[0], len(records), start[1], len(sentinels)
        of_profile.append((*spans, _register(profile.positive), _register(profile.negative)))
    return ProfileTable(
        _matrix([tuple(match) for match in matches], 4),
        _matrix(of_profile, 6),
        _matrix(records, 5),
        _matrix(sentinels, 2),
    )


@dataclass(frozen=True)
class MeterProfiles:
    """All profiles, and the same as arrays.

    Of several that match a meter the most specific wins: one that names version and medium, then
    one that names either; then the first.
    """

    profiles: tuple[MeterProfile, ...] = ()
    table: ProfileTable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", _table(self.profiles))

    def match(self, identity: int) -> MeterProfile | None:
        """The profile of the meter of that identity, None when only the standard is known of it."""
        manufacturer, _, version, medium = meter_identity.unpack(identity)
        for of_manufacturer, of_version, of_medium, index in self.table.matches.tolist():
            if (
                of_manufacturer == manufacturer
                and of_version in (-1, version)
                and of_medium in (-1, medium)
            ):
                return self.profiles[int(index)]
        return None


NO_PROFILES: Final = MeterProfiles()
"""Only what the standard says."""
