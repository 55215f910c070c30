"""`decode`: what a telegram says, without any installation."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from fjarrvakt.commands.cli import EXIT_FAILED, EXIT_USAGE, JsonOption, fail

if TYPE_CHECKING:
    from adapters.wmbus.compact import FormatKey

_WIRED_START: Final = 0x68
_SEND_NO_REPLY: Final = 0x44
_KEY_BYTES: Final = 16


def decode(
    telegram: Annotated[
        list[str] | None, typer.Argument(help="Telegrams in hex.", show_default=False)
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="A file with one telegram in hex per line.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="The meter's AES-128 key in hex, for wireless telegrams.")
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Decode M-Bus telegrams; exit code 1 when one is refused.

    A telegram that begins with 68 is wired, any other wireless. A compact frame needs its full
    frame before it.
    """
    lines = list(telegram or [])
    if file is not None:
        try:
            lines += [line for line in file.read_text("utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            fail(f"{file}: {error}")
    if not lines:
        fail("give a telegram in hex, or --file", EXIT_USAGE)
    frames = []
    for number, line in enumerate(lines, 1):
        try:
            frames.append(bytes.fromhex(line))
        except ValueError as error:
            fail(f"telegram {number} is not hex: {error}", EXIT_USAGE)
    shown = [_show(found, as_json=as_json) for found in _decoded(frames, _key_bytes(key))]
    if not all(shown):
        raise typer.Exit(EXIT_FAILED)


def _key_bytes(key: str | None) -> bytes | None:
    if key is None:
        return None
    try:
        found = bytes.fromhex(key)
    except ValueError:  # what was given may be nearly the key: it is not repeated
        fail("--key is not hex", EXIT_USAGE)
    if len(found) != _KEY_BYTES:
        fail(f"--key has {len(found)} bytes, expected {_KEY_BYTES}", EXIT_USAGE)
    return found


def _decoded(frames: list[bytes], key: bytes | None) -> Iterator[dict[str, Any]]:
    """Each frame by the decoder of its kind; what full frames teach serves the compact ones."""
    from adapters.mbus.decode import decode_one as decode_wired
    from config.profiles import load_profiles

    profiles = load_profiles()
    formats: dict[FormatKey, bytes] = {}
    for frame in frames:
        if _is_wired(frame):
            yield decode_wired(frame, profiles)
            continue
        from adapters.wmbus.decode import decode_one, learned_from

        formats |= learned_from(frame, key, formats)
        found = decode_one(frame, key, profiles, formats)
        if not found["ok"]:  # a wired frame may stand behind noise or the echo of a request
            wired = decode_wired(frame, profiles)
            found = wired if wired["ok"] else found
        yield found


def _is_wired(frame: bytes) -> bool:
    """Whether the frame begins as a wired one; 68 44 may be a wireless one's length and C too."""
    if frame[:1] != bytes((_WIRED_START,)):
        return False
    return frame[1:2] != bytes((_SEND_NO_REPLY,)) or frame[3:4] == bytes((_WIRED_START,))


def _show(found: dict[str, Any], *, as_json: bool) -> bool:
    """Print one telegram; whether it was understood."""
    from fjarrvakt.commands.cli import print_json, print_table, say

    if as_json:
        print_json(found)
    elif found["ok"]:
        head = ("manufacturer", "id", "version", "medium", "access", "status", "security")
        typer.echo("  ".join(f"{key} {found[key]}" for key in head))
        keys = (
            *("index", "dib", "vib", "function", "storage", "tariff", "subunit"),
            *("quantity", "qualifiers", "value", "unit", "text", "quality"),
        )
        rows = [tuple(record.get(key) for key in keys) for record in found["records"]]
        print_table(keys, rows)
        print_table(("register", ""), list(found["registers"].items()))
    if not found["ok"]:
        say(f"refused: {found['error']}")
    return bool(found["ok"])
