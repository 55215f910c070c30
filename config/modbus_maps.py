"""Register maps of Modbus meters from TOML, checked to the last key."""

import tomllib
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters.modbus.registermap import Point, RegisterMap
from adapters.registers import REGISTERS

FOLDER: Final = Path(__file__).parent / "profiles" / "modbus"

# Unit -> how many of the register's own units it is.
_ENERGY: Final = {
    "J": 1,
    "kJ": 1000,
    "MJ": 10**6,
    "GJ": 10**9,
    "Wh": 3600,
    "kWh": 3_600_000,
    "MWh": 3_600_000_000,
}
_TEMP_VOLUME: Final = {"ml*C": 1, "l*C": 1000, "m3*C": 10**6}
_TEMP: Final = {"C": 100}
_HOURS: Final = {"h": 1}
UNITS: Final[dict[str, dict[str, int]]] = {
    "energy_j": _ENERGY,
    "cooling_energy_j": _ENERGY,
    "volume_ml": {"ml": 1, "l": 1000, "m3": 10**6},
    "e8_mlc": _TEMP_VOLUME,
    "e9_mlc": _TEMP_VOLUME,
    "power_w": {"W": 1, "kW": 1000, "MW": 10**6},
    "flow_l_h": {"l/h": 1, "m3/h": 1000},
    "supply_temp_cc": _TEMP,
    "return_temp_cc": _TEMP,
    "operating_h": _HOURS,
    "error_h": _HOURS,
    "info_code": {"": 1},
}

_Function = Literal[3, 4]
_Order = Literal["ABCD", "CDAB", "BADC", "DCBA"]
_Type = Literal["u16", "i16", "u32", "i32", "u64", "f32", "f64"]


class MapError(ValueError):
    """A register map that cannot be used: which file, which key, what is wrong."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Point(_Table):
    kept: str = Field(alias="register")
    address: int = Field(ge=0, le=65536)
    type: _Type
    unit: str
    scale: Decimal = Field(Decimal(1), gt=0)
    order: _Order | None = None
    function: _Function | None = None
    invalid: tuple[Annotated[int, Field(ge=0, lt=2**64)], ...] = ()


class _Map(_Table):
    name: str = Field(pattern=r"^[a-z0-9_]+$")
    source: str = Field(min_length=1)
    function: _Function
    address_base: Literal[0, 1]
    order: _Order = "ABCD"
    energy_step_j: int = Field(0, ge=0)
    volume_step_ml: int = Field(0, ge=0)
    point: tuple[_Point, ...] = Field(min_length=1)


def load_maps(folder: Path | None = None) -> dict[str, RegisterMap]:
    """Every register map of a folder (default: those shipped) by its name.

    Raises MapError naming file and key.
    """
    maps: dict[str, RegisterMap] = {}
    for path in sorted((folder or FOLDER).glob("*.toml")):
        loaded = load_map(path)
        if loaded.name in maps:
            raise MapError(f"{path}: name: {loaded.name!r} is also the name of another file's map")
        maps[loaded.name] = loaded
    return maps


def load_map(path: Path) -> RegisterMap:
    """One register map. Raises MapError naming file and key."""
    try:
        table = tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
        checked = _Map.model_validate(table)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MapError(f"{path}: {error}") from None
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}, got {fault['input']!r:.60}"
            for fault in error.errors()
        )
        raise MapError(f"{path}: {faults}") from None
    seen: set[str] = set()
    points = []
    for number, point in enumerate(checked.point):
        where = f"{path}: point.{number}"
        if point.kept in seen:
            raise MapError(f"{where}.register: {point.kept!r} is given twice")
        seen.add(point.kept)
        points.append(_point(where, point, checked))
    return RegisterMap(
        name=checked.name,
        points=tuple(points),
        energy_step_j=checked.energy_step_j,
        volume_step_ml=checked.volume_step_ml,
    )


def _point(where: str, point: _Point, table: _Map) -> Point:
    """The point with its place on the wire and its whole scale."""
    if point.kept not in UNITS:
        raise MapError(f"{where}.register: unknown {point.kept!r}; known: {', '.join(REGISTERS)}")
    units = UNITS[point.kept]
    if point.unit not in units:
        raise MapError(
            f"{where}.unit: {point.unit!r} is no unit of {point.kept}; "
            f"known: {', '.join(repr(unit) for unit in units)}"
        )
    made = Point(
        register=point.kept,
        function=point.function or table.function,
        address=point.address - table.address_base,
        type=point.type,
        order=point.order or table.order,
        scale=Fraction(point.scale) * units[point.unit],
        invalid=point.invalid,
    )
    if made.address < 0 or made.address + made.count > 65536:
        raise MapError(
            f"{where}.address: {point.address} with address_base {table.address_base} lies outside "
            "the 65536 addresses of Modbus"
        )
    too_wide = [mark for mark in point.invalid if mark >= 1 << 8 * made.size]
    if too_wide:
        raise MapError(
            f"{where}.invalid: {too_wide[0]:#x} does not fit into a value of type {point.type}"
        )
    return made
