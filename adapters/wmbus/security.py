"""What protects a wireless telegram: the ciphers of EN 13757-4, EN 13757-7 and OMS volume 2.

Keys are 16 bytes (AES-128). Nothing here knows whether a key is the right one: the caller sees it
by the 2F2F in front of the records, by the checksum under the cipher, or by the MAC.
"""

from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

KEY_BYTES: Final = 16
BLOCK: Final = 16
FILL: Final = b"\x2f\x2f"
"""In front of encrypted records (EN 13757-7:2018 7.6.2): the key was right."""

_ENCRYPTION: Final = 0x00
_AUTHENTICATION: Final = 0x01


def _cbc(key: bytes, vector: bytes, data: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def _cmac(key: bytes, data: bytes) -> bytes:
    mac = CMAC(algorithms.AES(key))
    mac.update(data)
    return mac.finalize()


def mode5(key: bytes, address: bytes, access: int, data: bytes) -> bytes:
    """AES-CBC (EN 13757-7:2018 7.6.4): the IV is M, A of the meter and 8 times the access number.

    `address` is M (2), id (4), version, medium as sent; `data` whole blocks.
    """
    return _cbc(key, address + bytes((access,)) * 8, data)


def ell_ctr(key: bytes, address: bytes, control: int, session: bytes, data: bytes) -> bytes:
    """AES-CTR of the extended link layer (EN 13757-4:2019 12.2.9), one telegram long.

    The first counter block is M, A of the sender, CC, session number (4), frame number 0 (2) and
    block counter 0.
    """
    counter = address + bytes((control,)) + session + bytes(3)
    decryptor = Cipher(algorithms.AES(key), modes.CTR(counter)).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def _derived(key: bytes, purpose: int, counter: bytes, ident: bytes) -> bytes:
    """OMS volume 2, 9.6.1: CMAC over the purpose, message counter, meter's id and 7 times 07."""
    return _cmac(key, bytes((purpose,)) + counter + ident + b"\x07" * 7)


def mode7(key: bytes, counter: bytes, ident: bytes, data: bytes) -> bytes:
    """AES-CBC under a key of its own for each message, IV 0 (EN 13757-7:2018 7.6.6)."""
    return _cbc(_derived(key, _ENCRYPTION, counter, ident), bytes(BLOCK), data)


def mode7_mac(key: bytes, counter: bytes, ident: bytes, message: bytes) -> bytes:
    """The whole MAC of a message (16 bytes); the AFL carries its first bytes."""
    return _cmac(_derived(key, _AUTHENTICATION, counter, ident), message)
