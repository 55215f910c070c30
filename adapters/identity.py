"""A meter's identity: the secondary address of EN 13757-7 as int64.

Layout, most significant first: manufacturer (16 bits), id (32 bits, eight hex digits as printed,
normally decimal), version (8 bits), medium (8 bits). Bit 15 of the manufacturer (hard or soft
address) is dropped, so the number is never negative. The text form is `KAM-06855817-08-04`:
manufacturer, id, version and medium in hex.
"""

import re
from typing import Final

_TEXT: Final = re.compile(r"([A-Za-z@]{3})-([0-9A-Fa-f]{8})-([0-9A-Fa-f]{2})-([0-9A-Fa-f]{2})")


def manufacturer_code(letters: str) -> int:
    """Three letters to the manufacturer code. EN 13757-7: 5 bits each, 'A' is 1, '@' is 0."""
    first, second, third = (ord(letter) - 64 for letter in letters.upper())
    return first << 10 | second << 5 | third


def manufacturer_letters(code: int) -> str:
    """The three letters of a manufacturer code; bit 15 (hard or soft address) is left out."""
    return "".join(chr((code >> shift & 0x1F) + 64) for shift in (10, 5, 0))


def pack(manufacturer: int, ident: int, version: int, medium: int) -> int:
    """One int64 for the four parts; `ident` holds the eight digits as nibbles (0x06855817)."""
    return (manufacturer & 0x7FFF) << 48 | ident << 16 | version << 8 | medium


def unpack(identity: int) -> tuple[int, int, int, int]:
    """(manufacturer, id, version, medium) of an identity."""
    return (
        identity >> 48 & 0x7FFF,
        identity >> 16 & 0xFFFFFFFF,
        identity >> 8 & 0xFF,
        identity & 0xFF,
    )


def text(identity: int) -> str:
    """`KAM-06855817-08-04`."""
    manufacturer, ident, version, medium = unpack(identity)
    return f"{manufacturer_letters(manufacturer)}-{ident:08X}-{version:02X}-{medium:02X}"


def parse(identity_text: str) -> int:
    """The identity of its text form.

    Raises ValueError when the text is not manufacturer-id-version-medium.
    """
    match = _TEXT.fullmatch(identity_text.strip())
    if match is None:
        raise ValueError(
            f"meter identity {identity_text!r}: expected MMM-IIIIIIII-VV-TT (manufacturer letters, "
            "eight-digit id, version and medium in hex), like KAM-06855817-08-04"
        )
    letters, ident, version, medium = match.groups()
    return pack(manufacturer_code(letters), int(ident, 16), int(version, 16), int(medium, 16))
