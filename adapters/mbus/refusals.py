"""Why a telegram was refused: codes the kernels set, and the sentence built from their facts."""

from typing import Final

from adapters.registers import Refusal

(
    ACCEPTED,
    NO_FRAME,
    LENGTHS_DIFFER,
    TOO_SHORT,
    TRUNCATED,
    NO_STOP,
    CHECKSUM,
    FROM_CLIENT,
    UNKNOWN_CI,
    HEADER_CUT,
    APPLICATION_ERROR,
    TOO_MANY_DIFE,
    TOO_MANY_VIFE,
    RESERVED_DIF,
    RESERVED_LVAR,
    PAST_END,
    ENCRYPTED,
    OTHER_METER,
    NO_IDENTITY,
    NO_REGISTER,
) = range(20)

REASONS: Final = {
    NO_FRAME: "frame",
    LENGTHS_DIFFER: "frame",
    TOO_SHORT: "frame",
    TRUNCATED: "frame",
    NO_STOP: "frame",
    CHECKSUM: "checksum",
    FROM_CLIENT: "frame",
    UNKNOWN_CI: "frame",
    HEADER_CUT: "structure",
    APPLICATION_ERROR: "application_error",
    TOO_MANY_DIFE: "structure",
    TOO_MANY_VIFE: "structure",
    RESERVED_DIF: "structure",
    RESERVED_LVAR: "structure",
    PAST_END: "structure",
    ENCRYPTED: "encrypted",
    OTHER_METER: "identity",
    NO_IDENTITY: "identity",
    NO_REGISTER: "no_register",
}

_SENTENCES: Final = {
    NO_FRAME: "expected a long frame 68 L L 68, found none in {size} bytes",
    LENGTHS_DIFFER: (
        "expected the length L twice in 68 L L 68, got {expected:02X} and {got:02X} at byte {at}"
    ),
    TOO_SHORT: "expected a length L of at least {expected}, got {got} at byte {at}",
    TRUNCATED: "expected a frame of {expected} bytes, got {got} from byte {at} on",
    NO_STOP: "expected the stop byte {expected:02X}, got {got:02X} at byte {at}",
    CHECKSUM: "expected checksum {expected:02X}, got {got:02X} at byte {at}",
    FROM_CLIENT: (
        "expected a meter's answer (RSP_UD, C 08), got C {got:02X} of the client's side "
        "at byte {at}"
    ),
    UNKNOWN_CI: "expected CI 70, 72, 73, 76, 77, 78 or 7A, got {got:02X} at byte {at}",
    HEADER_CUT: "expected a header of {expected} bytes after CI, got {got} at byte {at}",
    APPLICATION_ERROR: "expected data, got application error {got} ({text}) at byte {at}",
    TOO_MANY_DIFE: "expected at most {expected} DIFEs, got more in the record at byte {at}",
    TOO_MANY_VIFE: "expected at most {expected} VIFEs, got more in the record at byte {at}",
    RESERVED_DIF: "expected a DIF, got the reserved {got:02X} at byte {at}",
    RESERVED_LVAR: "expected a length LVAR, got the reserved {got:02X} in the record at byte {at}",
    PAST_END: "expected the record at byte {at} to go on for {expected} bytes, got {got}",
    ENCRYPTED: (
        "expected clear records, but they break off at byte {at} and the configuration word "
        "{got:04X} claims security mode {expected}"
    ),
    OTHER_METER: "expected all frames of an answer from one meter, got another's at byte {at}",
    NO_IDENTITY: "expected a header with the meter's address (CI 72, 73 or 76), got CI {got:02X}",
    NO_REGISTER: "expected a register we keep, got none in {got} sound records",
}

# EN 13757-3:2018 annex D / MBDOC48 6.6: codes of the general application error (CI 70).
APPLICATION_ERRORS: Final = {
    0: "unspecified error",
    1: "unimplemented CI field",
    2: "buffer too long, truncated",
    3: "too many records",
    4: "premature end of record",
    5: "more than 10 DIFEs",
    6: "more than 10 VIFEs",
    8: "application too busy for handling readout request",
    9: "too many readouts",
}

_SHOWN: Final = 24
"""Bytes of the payload an error sentence shows."""


def _hex(payload: bytes, at: int) -> str:
    """The payload's bytes around `at`, the start and end of it told from what is left out."""
    start = max(0, min(at - _SHOWN // 2, len(payload) - _SHOWN))
    part = payload[start : start + _SHOWN]
    text = part.hex(" ").upper() or "nothing"
    left = "… " if start > 0 else ""
    right = " …" if start + len(part) < len(payload) else ""
    return f"{left}{text}{right}"


def application_error(code: int) -> str:
    """The text of an application error code (CI 70)."""
    return APPLICATION_ERRORS.get(code, "code not in the standard")


def refusal(code: int, payload: bytes, at: int, expected: int, got: int) -> Refusal:
    """The refusal of a code other than ACCEPTED, from the facts the kernels left."""
    sentence = _SENTENCES[code].format(
        size=len(payload), at=at, expected=expected, got=got, text=application_error(got)
    )
    return Refusal(REASONS[code], f"{sentence}; in {_hex(payload, at)}")
