"""Meter profiles: what the standard cannot say about a make, read from config/profiles/*.toml."""

import re
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from adapters.mbus.profile import MeterProfile, MeterProfiles, RecordRule
from adapters.registers import REGISTERS

FOLDER: Final = Path(__file__).with_suffix("")
"""The profiles that come with the program: the folder named like this module."""

_FACTOR_MAX: Final = 10**12


class ProfileError(ValueError):
    """A profile file is wrong; the sentence names the file, every key and what was expected."""


def _dib_vib(text: object) -> bytes:
    if not isinstance(text, str) or not re.fullmatch(r"([0-9A-Fa-f]{2}){2,40}", text):
        raise ValueError(f"expected DIB and VIB as hex bytes, like 04FF07, got {text!r}")
    return bytes.fromhex(text)


def _factor(text: object) -> Fraction:
    if not isinstance(text, str) or not re.fullmatch(r"\d+(\.\d+|/\d+)?", text):
        raise ValueError(f'expected a number in quotes, like "100", "0.1" or "1/3", got {text!r}')
    if text.endswith("/0"):
        raise ValueError(f"expected a denominator above 0, got {text!r}")
    factor = Fraction(text)
    if not 0 < factor.numerator <= _FACTOR_MAX or factor.denominator > _FACTOR_MAX:
        raise ValueError(f"expected a factor above 0 and up to {_FACTOR_MAX}, got {text!r}")
    return factor


def _register(name: str) -> str:
    if name not in REGISTERS:
        raise ValueError(f"expected one of {', '.join(REGISTERS)}, got {name!r}")
    return name


def _letters(text: str) -> str:
    if not re.fullmatch(r"[A-Z]{3}", text):
        raise ValueError(f"expected three letters A-Z, got {text!r}")
    return text


_Register = Annotated[str, AfterValidator(_register)]
_Byte = Annotated[int, Field(ge=0, le=255)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Record(_Table):
    dib_vib: Annotated[bytes, BeforeValidator(_dib_vib)]
    register_name: Annotated[_Register, Field(alias="register")]
    per_count: Annotated[Fraction | None, BeforeValidator(_factor)] = None
    times_volume_step: bool = False

    @model_validator(mode="after")
    def _step_has_factor(self) -> "_Record":
        if self.times_volume_step and self.per_count is None:
            raise ValueError("times_volume_step: expected a per_count beside it")
        return self


class _Sentinel(_Table):
    register_name: Annotated[_Register, Field(alias="register")]
    values: Annotated[tuple[int, ...], Field(min_length=1)]


class _Wrap(_Table):
    energy_digits: Annotated[int | None, Field(ge=1, le=18)] = None
    volume_digits: Annotated[int | None, Field(ge=1, le=18)] = None


class _Contribution(_Table):
    positive: _Register | None = None
    negative: _Register | None = None


class _Meter(_Table):
    manufacturer: Annotated[str, AfterValidator(_letters)]
    versions: tuple[_Byte, ...] = ()
    media: tuple[_Byte, ...] = ()
    record: tuple[_Record, ...] = ()
    sentinel: tuple[_Sentinel, ...] = ()
    wrap: _Wrap = _Wrap()
    contribution: _Contribution = _Contribution()


class _File(_Table):
    name: str
    source: Annotated[str, Field(min_length=1)]
    meter: Annotated[tuple[_Meter, ...], Field(min_length=1)]


def _profile(file: _File, meter: _Meter) -> MeterProfile:
    return MeterProfile(
        name=file.name,
        manufacturer=meter.manufacturer,
        versions=meter.versions,
        media=meter.media,
        records=tuple(
            RecordRule(
                dib_vib=record.dib_vib,
                register=record.register_name,
                factor=record.per_count,
                times_volume_step=record.times_volume_step,
            )
            for record in meter.record
        ),
        sentinels=tuple(
            (sentinel.register_name, value)
            for sentinel in meter.sentinel
            for value in sentinel.values
        ),
        positive=meter.contribution.positive,
        negative=meter.contribution.negative,
        energy_digits=meter.wrap.energy_digits,
        volume_digits=meter.wrap.volume_digits,
        source=file.source,
    )


def _key(location: tuple[int | str, ...]) -> str:
    """A place in the file as one would write it: meter[0].record[2].dib_vib."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.lstrip(".")


def _load(path: Path) -> list[MeterProfile]:
    try:
        file = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{path}: expected TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path}: expected UTF-8: {error}") from error
    except ValidationError as error:
        faults = "; ".join(
            f"{_key(fault['loc'])}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        )
        raise ProfileError(f"{path}: {faults}") from error
    return [_profile(file, meter) for meter in file.meter]


def load_profiles(folder: Path | None = None) -> MeterProfiles:
    """The meter profiles of a folder's *.toml, in the order of their file names.

    Raises ProfileError naming file and key when one of them is wrong, and FileNotFoundError when
    there is no such folder.
    """
    folder = FOLDER if folder is None else folder
    if not folder.is_dir():
        raise FileNotFoundError(f"expected a folder with meter profiles at {folder}")
    return MeterProfiles(
        tuple(profile for path in sorted(folder.glob("*.toml")) for profile in _load(path))
    )
