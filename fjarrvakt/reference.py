"""Writes the generated pages of docs/: settings, commands and metrics, from the code itself."""

import json
import sys
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from prometheus_client import REGISTRY
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from config.settings import Settings
from fjarrvakt.__main__ import app

_SETTINGS = """\
# Settings

Written by `make docs` from config/settings.py; do not edit.

One TOML file (`--config FILE`, or the variable FJARRVAKT_CONFIG). The environment wins over it:
`FJARRVAKT_MQTT__PORT=8883` is `port` of `[mqtt]`, lists are given as JSON. A name ending in `_FILE`
holds the path of a file with the value, for secrets, like
`FJARRVAKT_DATABASE__DSN_FILE=/run/secrets/dsn`. `fjarrvakt check` prints every fault with file, key
and line, or the settings in effect. config/example.toml is a start.
"""

_COMMANDS = """\
# Commands

Written by `make docs` from the program itself; do not edit.

Data go to stdout, progress and logs to stderr. Exit codes: 0 done; 1 it did not work, the message
says why; 2 wrong use of the command; 78 wrong settings.
"""

_METRICS = """\
# Metrics

Written by `make docs` from the program itself; do not edit.

Every role serves them at `/metrics` on its port, in Prometheus' text form; none has a meter or a
customer as label.

| metric | type | meaning |
|---|---|---|
"""

_MEASURED = ("ingest.role", "engine.worker", "notify.worker", "portal.app", "fjarrvakt.roles")


def settings_page() -> str:
    """docs/settings.md."""
    lines = [_SETTINGS, "## At the top", "", *_table(Settings)]
    for name, field in Settings.model_fields.items():
        lines += _section(name, field)
    return "\n".join(lines).rstrip() + "\n"


def _section(name: str, field: FieldInfo) -> Iterator[str]:
    model, repeated = _model(field.annotation)
    if model is None:
        return
    yield f"\n## `{f'[[{name}]]' if repeated else f'[{name}]'}`\n"
    yield f"{' '.join((model.__doc__ or '').split())}\n"
    yield from _table(model)
    for inner, inner_field in model.model_fields.items():
        yield from _section(f"{name}.{inner}", inner_field)


def _table(model: type[BaseModel]) -> Iterator[str]:
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        if _model(field.annotation)[0] is None:
            cells = (f"`{name}`", _type(field), _default(field), field.description or "")
            yield f"| {' | '.join(cells)} |"


def _model(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The table behind a setting, and whether it is a list of tables."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    if get_origin(annotation) is tuple:
        inner = get_args(annotation)[0]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return inner, True
    return None, False


def _type(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(one, attribute)}"
        for one in field.metadata
        for attribute, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if getattr(one, attribute, None) is not None
    ]
    annotation = field.annotation
    if get_origin(annotation) is Literal:
        return " or ".join(json.dumps(one) for one in get_args(annotation))
    if get_origin(annotation) is tuple:
        inner = get_args(annotation)[0]
        name = f"list of {'text' if inner is str else inner.__name__}"
    else:
        inner = [one for one in get_args(annotation) if one is not type(None)]
        name = (inner[0] if inner else annotation).__name__  # type: ignore[union-attr]
    return ", ".join([{"SecretStr": "secret", "str": "text"}.get(name, name), *bounds])


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, Enum):
        value = value.value
    if value is None or value == "":
        return "empty"
    return f"`{list(value) if isinstance(value, tuple) else value}`"


def commands_page() -> str:
    """docs/commands.md."""
    parts = [_COMMANDS]
    root = typer.main.get_command(app)
    for path, command in _walk("fjarrvakt", root):
        context = typer.Context(command, info_name=path, terminal_width=100, max_content_width=100)
        text = command.get_help(context).replace("Usage: ", "", 1).strip()
        lines = [line.rstrip() for line in text.splitlines()]
        parts.append(f"## {path}\n\n```text\n" + "\n".join(lines) + "\n```\n")
    return "\n".join(parts)


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        yield from _walk(f"{path} {name}", child)


def metrics_page() -> str:
    """docs/metrics.md."""
    for module in _MEASURED:
        import_module(module)
    rows = []
    for family in sorted(REGISTRY.collect(), key=lambda family: family.name):
        if family.name.startswith("fjarrvakt_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            rows.append(f"| `{name}` | {family.type} | {family.documentation.rstrip('.')} |")
    return _METRICS + "\n".join(rows) + "\n"


PAGES = {"settings.md": settings_page, "commands.md": commands_page, "metrics.md": metrics_page}

if __name__ == "__main__":
    for file_name, page in PAGES.items():
        Path(sys.argv[1], file_name).write_text(page(), "utf-8")
