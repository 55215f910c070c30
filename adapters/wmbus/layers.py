"""From a wireless frame down to its records: link, extended link, authentication, transport.

EN 13757-4:2019 12 (ELL), EN 13757-7:2018 6 (AFL) and 7 (TPL), OMS volume 2. A telegram is opened
one by one: what costs here is the ciphers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from adapters import identity as meter_identity
from adapters.wmbus import security
from adapters.wmbus.frame import DecodeError, crc16, strip

FindKey = Callable[[int], bytes | None]
"""The key of a meter's identity, None when there is none."""

_ADDRESS: Final = slice(2, 10)
_FROM_OTHER_DEVICE: Final = (0x40, 0x43, 0x53, 0x5A, 0x5B, 0x73, 0x7A, 0x7B)
"""C fields that ask or command a meter (EN 13757-4:2019 table 20)."""

# EN 13757-4:2019 12.2: bytes after CI; whether session number and payload checksum are there.
_ELL_BYTES: Final = {0x8C: 2, 0x8D: 8, 0x8E: 10, 0x8F: 16}
_ELL_SECURED: Final = (0x8D, 0x8F)
_HOP: Final = 0x10
_REPEATED: Final = 0x02

_AFL: Final = 0x90
_MORE_FRAGMENTS: Final = 0x4000
_MCL, _ML, _MCR, _MAC, _KI = 0x2000, 0x1000, 0x0800, 0x0400, 0x0200
# EN 13757-7:2018 table 8: bytes of AES-CMAC by the authentication type in MCL.
_MAC_BYTES: Final = {3: 2, 4: 4, 5: 8, 6: 12, 7: 16}

_NO_HEADER, _SHORT, _LONG = 0, 4, 12
_FULL: Final = {0x78: _NO_HEADER, 0x7A: _SHORT, 0x72: _LONG}
_COMPACT: Final = {0x79: _NO_HEADER, 0x7B: _SHORT, 0x73: _LONG}
_PROPRIETARY: Final = range(0xA0, 0xB8)
_APPLICATION_ERROR: Final = {0x6E: _SHORT, 0x6F: _LONG, 0x70: _NO_HEADER}
_CLEAR: Final = (0, 1, 6)
_MODES_KNOWN: Final = range(16)


@dataclass(kw_only=True)
class Opened:
    """A telegram without checksums and ciphers.

    `plain` is the frame as its sender had it before ciphering; plain[records_at:] are the records,
    of a compact frame (`compact`) the signature, checksum and bare data, of a `proprietary` one
    what only its maker can read. `identity` is -1 until the meter is known; `access` and `status`
    are -1 where no header has them. `checked`: the checksum of an extended link layer was right.
    `security` is one of none, mode5, mode7, ell-ctr, or the mode
    that could not be opened.
    """

    plain: bytes
    identity: int = -1
    control_information: int = 0
    access: int = -1
    status: int = -1
    security: str = "none"
    checked: bool = False
    records_at: int = 0
    compact: bool = False
    proprietary: bool = False


@dataclass(frozen=True, kw_only=True)
class _Authentication:
    """What the AFL says: MCL, message counter, message length, and the MAC as sent."""

    control: bytes = b""
    counter: bytes = b""
    length: bytes = b""
    mac: bytes = b""


def _identity(address: bytes) -> int:
    """The identity of M (2), id (4), version, medium."""
    manufacturer = int.from_bytes(address[:2], "little")
    ident = int.from_bytes(address[2:6], "little")
    return meter_identity.pack(manufacturer, ident, address[6], address[7])


def _need(opened: Opened, at: int, size: int, what: str) -> None:
    got = len(opened.plain) - at
    if got < size:
        raise DecodeError(
            "structure", f"expected {what} of {size} bytes at byte {at}, got {max(got, 0)}"
        )


def _checked_key(key: bytes | None, opened: Opened, what: str) -> bytes:
    if key is not None and len(key) == security.KEY_BYTES:
        return key
    meter = meter_identity.text(opened.identity)
    if key is None:
        raise DecodeError("key_missing", f"expected a key for {meter}: its telegram has {what}")
    raise DecodeError("key_wrong", f"expected a key of 16 bytes for {meter}, got one of {len(key)}")


def _wrong(opened: Opened, what: str) -> DecodeError:
    meter = meter_identity.text(opened.identity)
    return DecodeError("key_wrong", f"expected the key of {meter}, got one that gives no {what}")


def _open_link(opened: Opened) -> None:
    """The sender's address, if the sender is a meter."""
    control = opened.plain[1]
    if control in _FROM_OTHER_DEVICE:
        raise DecodeError("frame", f"expected a meter's telegram, got C {control:02X} at byte 1")
    opened.identity = _identity(opened.plain[_ADDRESS])


def _open_ell(opened: Opened, at: int, find_key: FindKey) -> int:
    """An extended link layer at `at`; its ciphered part becomes clear. Returns what follows."""
    ci = opened.plain[at]
    size = _ELL_BYTES[ci]
    _need(opened, at + 1, size, "an extended link layer")
    control = opened.plain[at + 1]
    opened.access = opened.plain[at + 2]
    end = at + 1 + size
    if ci not in _ELL_SECURED:
        return end
    session, sent = opened.plain[end - 6 : end - 2], opened.plain[end - 2 : end]
    expected = int.from_bytes(sent, "little")
    data = opened.plain[end:]
    opened.checked = crc16(data) == expected
    if opened.checked:
        return end
    if not session[3] >> 5:  # EN 13757-4:2019 12.2.8: ENC in the three highest bits
        raise DecodeError(
            "checksum", f"expected checksum {crc16(data):04X}, got {expected:04X} at byte {end - 2}"
        )
    opened.security = "ell-ctr"
    key = _checked_key(find_key(opened.identity), opened, "an ELL under AES-CTR")
    # A repeater changes two bits of CC; whether the sender's IV had them, the checksum tells.
    for controls in dict.fromkeys((control, control & ~(_HOP | _REPEATED))):
        clear = security.ell_ctr(key, opened.plain[_ADDRESS], controls, session, sent + data)
        if crc16(clear[2:]) == int.from_bytes(clear[:2], "little"):
            opened.plain = opened.plain[: end - 2] + clear
            opened.checked = True
            return end
    raise _wrong(opened, "right payload checksum")


def _open_afl(opened: Opened, at: int) -> tuple[int, _Authentication]:
    """The authentication and fragmentation layer at `at`. Returns (what follows, what it says)."""
    _need(opened, at + 1, 3, "an authentication layer")
    length = opened.plain[at + 1]
    _need(opened, at + 2, max(length, 2), "an authentication layer")
    fields = opened.plain[at + 2 : at + 2 + length]
    control = int.from_bytes(fields[:2], "little")
    if control & _MORE_FRAGMENTS or control & 0xFF > 1:
        raise DecodeError(
            "structure", f"expected a whole message, got fragment {control & 0xFF} at byte {at + 2}"
        )
    taken = 2

    def take(flag: int, size: int) -> bytes:
        nonlocal taken
        if not control & flag:
            return b""
        taken += size
        if taken > length:
            raise DecodeError(
                "structure",
                f"expected an authentication layer of {taken} bytes, got {length} at byte {at + 1}",
            )
        return fields[taken - size : taken]

    mcl = take(_MCL, 1)
    take(_KI, 2)
    counter = take(_MCR, 4)
    mac = take(_MAC, _MAC_BYTES.get(mcl[0] & 0x0F, 0) if mcl else 0)
    return at + 2 + length, _Authentication(
        control=mcl, counter=counter, length=take(_ML, 2), mac=mac
    )


def _decrypted(
    opened: Opened, at: int, tpl: int, mode: int, blocks: int, key: bytes, afl: _Authentication
) -> bytes:
    """The records at `at`, whose first blocks are under `mode`; 2F2F and the MAC are checked."""
    plain = opened.plain
    end = at + blocks * security.BLOCK
    address = plain[tpl + 5 : tpl + 7] + plain[tpl + 1 : tpl + 5] + plain[tpl + 7 : tpl + 9]
    if _FULL.get(plain[tpl], _COMPACT.get(plain[tpl])) != _LONG:
        address = plain[_ADDRESS]
    if mode == 5:
        clear = security.mode5(key, address, opened.access, plain[at:end])
        if not clear.startswith(security.FILL):
            raise _wrong(opened, "2F2F before the records")
        return clear + plain[end:]
    if len(afl.counter) != 4 or not afl.mac:
        raise DecodeError(
            "structure", f"expected a message counter and a MAC for mode 7 before byte {tpl}"
        )
    clear = security.mode7(key, afl.counter, address[2:6], plain[at:end])
    message = afl.control + afl.counter + afl.length + plain[tpl:]
    mac = security.mode7_mac(key, afl.counter, address[2:6], message)
    if not clear.startswith(security.FILL):
        raise _wrong(opened, "2F2F before the records")
    if mac[: len(afl.mac)] != afl.mac:
        raise DecodeError(
            "mac_wrong",
            f"expected the MAC {mac[: len(afl.mac)].hex().upper()}, got {afl.mac.hex().upper()}: "
            "the telegram is not as its meter sent it",
        )
    return clear + plain[end:]


def _open_security(
    opened: Opened, tpl: int, at: int, word: int, find_key: FindKey, afl: _Authentication
) -> int:
    """What the configuration word says of the records at `at`. Returns where they begin.

    A receiver that has deciphered them leaves the word as it was: then they begin with 2F2F.
    """
    mode, blocks = word >> 8 & 0x1F, word >> 4 & 0x0F
    if mode == 7:
        _need(opened, at, 1, "an extension of the configuration word")
        at += 1
    ours = mode in (5, 7)
    if mode in _CLEAR or mode not in _MODES_KNOWN or (ours and blocks == 0):
        return at
    already_clear = opened.plain.startswith(security.FILL, at)
    key = find_key(opened.identity) if ours else None
    if already_clear and key is None:
        return at
    opened.security = f"mode{mode}"
    if not ours:
        raise DecodeError(
            "encrypted", f"expected security mode 0, 5 or 7, got {mode} before byte {at}"
        )
    key = _checked_key(key, opened, f"security mode {mode}")
    try:
        _need(opened, at, blocks * security.BLOCK, "encrypted records")
        opened.plain = opened.plain[:at] + _decrypted(opened, at, tpl, mode, blocks, key, afl)
    except DecodeError:
        if not already_clear:
            raise
        opened.security = "none"
    return at


def _open_transport(opened: Opened, at: int, find_key: FindKey, afl: _Authentication) -> None:
    """The transport layer at `at`: header, cipher, where the records begin."""
    ci = opened.plain[at]
    opened.control_information = ci
    opened.records_at = at + 1
    if ci in _PROPRIETARY:
        opened.proprietary = True
        return
    header = next((kinds[ci] for kinds in (_FULL, _COMPACT, _APPLICATION_ERROR) if ci in kinds), -1)
    if header < 0:
        raise DecodeError(
            "frame", f"expected CI 72, 73, 78, 79, 7A, 7B or A0 to B7, got {ci:02X} at byte {at}"
        )
    _need(opened, at + 1, header, "a header")
    opened.compact = ci in _COMPACT
    if header == _LONG:  # the address here is the meter's, the link layer's that of its radio
        id_first = opened.plain[at + 1 : at + 9]
        opened.identity = _identity(id_first[4:6] + id_first[:4] + id_first[6:])
    body = at + 1 + header
    opened.records_at = body
    if header != _NO_HEADER:
        opened.access = opened.plain[body - 4]
        opened.status = opened.plain[body - 3]
        word = int.from_bytes(opened.plain[body - 2 : body], "little")
        opened.records_at = _open_security(opened, at, body, word, find_key, afl)
    if ci in _APPLICATION_ERROR:
        code = opened.plain[opened.records_at : opened.records_at + 1].hex().upper() or "nothing"
        raise DecodeError("application_error", f"expected data, got application error {code}")


def open_telegram(payload: bytes, find_key: FindKey) -> tuple[Opened, DecodeError | None]:
    """Everything around the records of one wireless telegram, and why they cannot be read.

    What was found before the error stays in `Opened`: a telegram whose key is missing still says
    which meter sent it. Never raises for any bytes.
    """
    opened = Opened(plain=b"")
    try:
        opened.plain = strip(payload)
        _open_link(opened)
        at, afl = 10, _Authentication()
        while True:
            _need(opened, at, 1, "a CI")
            if opened.plain[at] in _ELL_BYTES:
                at = _open_ell(opened, at, find_key)
            elif opened.plain[at] == _AFL:
                at, afl = _open_afl(opened, at)
            else:
                _open_transport(opened, at, find_key, afl)
                return opened, None
    except DecodeError as error:
        return opened, error
