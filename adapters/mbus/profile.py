"""What the standard cannot say about a make of meter, as the mapping kernel reads it.

Profiles are written in config/profiles/*.toml and loaded by config/profiles.py; the types are here
because the decoder needs them.
"""

from collections.abc import Iterable
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
    """Profiles as flat arrays.

    A rule row says (manufacturer, version, medium, profile), -1 for any; the first match wins.
    Profile p has record rows record_from[p]:record_from[p + 1], likewise sentinels.
    """

    rules: NDArray[np.int64]  # (n, 4)
    record_from: NDArray[np.int64]
    record_key: NDArray[np.int64]
    record_register: NDArray[np.int64]
    record_scaling: NDArray[np.int64]  # BY_VIF, BY_FACTOR, BY_VOLUME_STEP
    record_numerator: NDArray[np.int64]
    record_denominator: NDArray[np.int64]
    sentinel_from: NDArray[np.int64]
    sentinel_register: NDArray[np.int64]
    sentinel_value: NDArray[np.int64]
    contribution: NDArray[np.int64]  # (profiles, 2): registers of VIFE 3B, 3C; -1 none


def _i64(values: Iterable[int]) -> NDArray[np.int64]:
    return np.fromiter(values, np.int64)


def _register(name: str | None) -> int:
    return -1 if name is None else REGISTER_INDEX[name]


def _scaling(rule: RecordRule) -> int:
    if rule.factor is None:
        return BY_VIF
    return BY_VOLUME_STEP if rule.times_volume_step else BY_FACTOR


def _table(profiles: tuple[MeterProfile, ...]) -> ProfileTable:
    rules = [
        (meter_identity.manufacturer_code(profile.manufacturer), version, medium, index)
        for index, profile in enumerate(profiles)
        for version in profile.versions or (-1,)
        for medium in profile.media or (-1,)
    ]
    rules.sort(key=lambda rule: (rule[1] < 0) + (rule[2] < 0))  # the most specific first
    records = [rule for profile in profiles for rule in profile.records]
    factors = [Fraction(1) if rule.factor is None else rule.factor for rule in records]
    sentinels = [sentinel for profile in profiles for sentinel in profile.sentinels]
    return ProfileTable(
        rules=np.array(rules, np.int64).reshape(-1, 4),
        record_from=_i64(np.cumsum([0, *(len(profile.records) for profile in profiles)])),
        record_key=_i64(fnv1a64(rule.dib_vib) for rule in records),
        record_register=_i64(REGISTER_INDEX[rule.register] for rule in records),
        record_scaling=_i64(_scaling(rule) for rule in records),
        record_numerator=_i64(factor.numerator for factor in factors),
        record_denominator=_i64(factor.denominator for factor in factors),
        sentinel_from=_i64(np.cumsum([0, *(len(profile.sentinels) for profile in profiles)])),
        sentinel_register=_i64(REGISTER_INDEX[register] for register, _ in sentinels),
        sentinel_value=_i64(value for _, value in sentinels),
        contribution=np.array(
            [(_register(profile.positive), _register(profile.negative)) for profile in profiles],
            np.int64,
        ).reshape(-1, 2),
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
        for of_manufacturer, of_version, of_medium, index in self.table.rules.tolist():
            if (
                of_manufacturer == manufacturer
                and of_version in (-1, version)
                and of_medium in (-1, medium)
            ):
                return self.profiles[int(index)]
        return None


NO_PROFILES: Final = MeterProfiles()
"""Only what the standard says."""
