"""Settings back to TOML: for people to read, and for one process to hand to others."""

import json
from typing import Any

from config.settings import Settings


def as_toml(settings: Settings) -> str:
    """The settings as a TOML file, secrets masked; what is not set is left out."""
    return "\n".join(_table(settings.model_dump(mode="json"), "")) + "\n"


def _table(table: dict[str, Any], name: str) -> list[str]:
    plain = {key: value for key, value in table.items() if not _is_table(value)}
    lines = [f"\n[{name}]"] if name and plain else []
    lines += [
        f"{key} = {json.dumps(value, ensure_ascii=False)}"
        for key, value in plain.items()
        if value is not None and value != []
    ]
    for key, value in table.items():
        path = f"{name}.{key}" if name else key
        if isinstance(value, dict):
            lines += _table(value, path)
        elif _is_table(value):
            for entry in value:
                lines += [f"\n[[{path}]]", *_table(entry, "")]
    return lines


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and isinstance(value[0], dict)
    )
