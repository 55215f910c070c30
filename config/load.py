"""Settings from a TOML file, the environment and secret files; every fault at once, with its place.

The environment wins over the file: FJARRVAKT_MQTT__PORT=8883 is `port` of `[mqtt]`. A name ending
in _FILE holds the path of a file with the value. Lists and tables are given as JSON.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from adapters import identity
from config import modbus_maps
from config.rules import metering_offset_us
from config.settings import Settings

PREFIX: Final = "FJARRVAKT_"

NOT_SETTINGS: Final = frozenset({"CONFIG", "NEW_PASSWORD", "NODE_MODULES", "SHARED", "TEST_DSN"})
"""Names of ours in the environment that mean something else."""

# Kubernetes puts these there for a service called fjarrvakt.
_SERVICE_LINK: Final = re.compile(r"SERVICE_(HOST|PORT)\w*|PORT(_\w+)?")
_SECRET: Final = re.compile(r"password|secret|token|dsn|key$", re.IGNORECASE)
_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\]#]+?)\s*\]\]?\s*(#.*)?")
_KEY: Final = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"))*)\s*=""")

Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Fault:
    """One thing wrong: where (file:line, or the variable's name), which key, what."""

    where: str
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.key, self.message) if part)


class SettingsError(ValueError):
    """The settings cannot be used; `faults` holds all that is wrong."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of this file and environment; without a file, the defaults.

    Raises SettingsError with every fault found.
    """
    tree, lines = _read(path) if path is not None else ({}, {})
    faults: list[Fault] = []
    variables = _overlay(tree, environ, faults)

    def fault(loc: Path_, message: str) -> Fault:
        key = ".".join(map(str, loc))
        for size in range(len(loc), 0, -1):
            if loc[:size] in variables:
                return Fault(variables[loc[:size]], key, message)
        # A missing key is laid at its table's line, a table of defaults at the file.
        line = next(
            (lines[loc[:size]] for size in range(len(loc), 0, -1) if loc[:size] in lines), 1
        )
        return Fault(f"{path}:{line}" if path is not None else "defaults", key, message)

    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        faults += [fault(one["loc"], _sentence(dict(one))) for one in error.errors()]
    else:
        faults += [fault(loc, message) for loc, message in _contradictions(settings)]
        if not faults:
            return settings
    raise SettingsError(faults)


def _read(path: Path) -> tuple[dict[str, Any], dict[Path_, int]]:
    try:
        text = path.read_text("utf-8")
        return tomllib.loads(text), _line_numbers(text)
    except FileNotFoundError:
        raise SettingsError([Fault(str(path), "", "no such file")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([Fault(str(path), "", f"cannot be read: {error}")]) from None
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = found[1] if found else str(text.count("\n") + 1)
        raise SettingsError([Fault(f"{path}:{line}", "", f"not TOML: {error}")]) from None


def _line_numbers(text: str) -> dict[Path_, int]:
    """The line of every table and key of a valid TOML text, by its path."""
    lines: dict[Path_, int] = {}
    counts: dict[Path_, int] = {}
    table: Path_ = ()
    in_string = ""
    for number, line in enumerate(text.splitlines(), 1):
        for quotes in ('"""', "'''"):
            if in_string in ("", quotes) and line.count(quotes) % 2:
                in_string = "" if in_string else quotes
                break
        else:
            if in_string:
                continue
        if header := _HEADER.fullmatch(line):
            table = _keys(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            elif table[:1] in counts:  # a sub-table of the newest entry of a list
                table = (table[0], counts[table[:1]], *table[1:])
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *_keys(key[1])), number)
    return lines


def _keys(dotted: str) -> Path_:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _overlay(
    tree: dict[str, Any], environ: Mapping[str, str], faults: list[Fault]
) -> dict[Path_, str]:
    """Lay the environment over `tree`; the variable that gave each path."""
    given: dict[Path_, str] = {}
    for variable in sorted(environ):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in NOT_SETTINGS or _SERVICE_LINK.fullmatch(name):
            continue
        value: Any = environ[variable]
        if name.endswith("_FILE"):
            name = name.removesuffix("_FILE")
            try:
                value = Path(value).read_text("utf-8").removesuffix("\n")
            except (OSError, UnicodeDecodeError) as error:
                faults.append(Fault(variable, _dotted(name), f"cannot be read: {error}"))
                continue
        elif value[:1] in ("[", "{"):
            try:
                value = json.loads(value)
            except ValueError as error:
                faults.append(Fault(variable, _dotted(name), f"not JSON: {error}"))
                continue
        path = tuple(name.lower().split("__"))
        if path in given:
            faults.append(Fault(variable, _dotted(name), f"given by {given[path]} as well"))
            continue
        given[path] = variable
        branch = tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})
            if not isinstance(branch, dict):
                faults.append(Fault(variable, _dotted(name), f"{part} is no table"))
                break
        else:
            branch[path[-1]] = value
    return given


def _dotted(name: str) -> str:
    return name.lower().replace("__", ".")


def _sentence(error: dict[str, Any]) -> str:
    """What pydantic found, for people, without showing a secret."""
    loc: Path_ = error["loc"]
    if error["type"] == "extra_forbidden":
        close = get_close_matches(str(loc[-1]), _fields(loc[:-1]), 1)
        return "no such setting" + (f"; did you mean {close[0]}?" if close else "")
    if error["type"] == "missing":
        return "required, and not given"
    shown = "" if _SECRET.search(str(loc[-1])) else f", got {error['input']!r}"
    return f"{error['msg']}{shown}"


def _fields(loc: Path_) -> list[str]:
    """The settings of the table at `loc`."""
    fields: Any = Settings.model_fields
    for part in loc:
        if isinstance(part, int):
            continue
        annotation = fields[part].annotation
        arguments = [one for one in getattr(annotation, "__args__", ()) if one is not ...]
        annotation = arguments[0] if arguments else annotation
        fields = getattr(annotation, "model_fields", {})
    return list(fields)


def _contradictions(settings: Settings) -> Iterator[tuple[Path_, str]]:
    """What no single field can know to be wrong."""
    yield from _season_faults(settings)
    try:
        metering_offset_us(settings.engine)
    except KeyError:  # ZoneInfoNotFoundError
        yield ("engine", "metering_tz"), f"unknown time zone {settings.engine.metering_tz!r}"
    except (ValueError, OSError) as error:
        yield ("engine", "metering_tz"), str(error)
    for section in ("mbus", "modbus"):
        names: set[str] = set()
        for index, bus in enumerate(getattr(settings, section)):
            if bus.name in names:
                yield (section, index, "name"), f"{bus.name!r} names another one already"
            names.add(bus.name)
    yield from _profile_faults(settings)
    if settings.clock.anchor is not None and settings.clock.start is None:
        yield ("clock", "anchor"), "means nothing without clock.start"


def _profile_faults(settings: Settings) -> Iterator[tuple[Path_, str]]:
    known = modbus_maps.load_maps() if settings.modbus else {}
    for index, unit in enumerate(settings.modbus):
        if unit.profile not in known:
            there = ", ".join(sorted(known))
            yield ("modbus", index, "profile"), f"no profile {unit.profile!r}; there are {there}"
        try:
            identity.parse(unit.meter)
        except ValueError as error:
            yield ("modbus", index, "meter"), str(error)


def _season_faults(settings: Settings) -> Iterator[tuple[Path_, str]]:
    if not settings.seasons:
        yield ("seasons",), "at least one is needed"
    for index, season in enumerate(settings.seasons):
        for name in ("winter_from", "summer_from"):
            month_day = getattr(season, name)
            try:
                date.fromisoformat(f"2001-{month_day}")
            except ValueError:
                yield ("seasons", index, name), f"no such day of every year: {month_day!r}"
        if season.winter_from == season.summer_from:
            yield ("seasons", index, "summer_from"), "winter and summer begin on the same day"
