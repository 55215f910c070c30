"""One telegram as a JSON-ready dict, for people and tools (`decode_one`).

{"frame", "ok", "manufacturer", "id", "version", "medium", "access", "status", "security",
"records": [{"index", "dib", "vib", "function", "storage", "tariff", "subunit", "quantity",
"qualifiers", "unit", "value", "text", "quality"}], "registers", "error"}: values in Wh, J, m3,
m3/h, W, s, K, degC and the like, dates as ISO 8601 (local to the meter; with +02:00 when its
summer-time bit is set). What a fault hides has value null, its text or raw bytes in `text`.
"""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final

from adapters import identity as meter_identity
from adapters.mbus import columns, refusals, vife
from adapters.mbus.columns import Records, Telegrams
from adapters.mbus.vif import IS_LABEL, QUANTITIES, UNITS
from adapters.registers import MISSING, REGISTERS, Rows

FUNCTIONS: Final = ("instantaneous", "maximum", "minimum", "error")
QUALITIES: Final = ("ok", "meter_error", "out_of_range", "invalid", "undecodable")

# EN 13757-7:2018 table 13 (device types); a code without a name is written in hex.
MEDIA: Final = {
    0x00: "other",
    0x01: "oil",
    0x02: "electricity",
    0x03: "gas",
    0x04: "heat",
    0x05: "steam",
    0x06: "warm water",
    0x07: "water",
    0x08: "heat cost allocator",
    0x09: "compressed air",
    0x0A: "cooling",
    0x0B: "cooling inlet",
    0x0C: "heat inlet",
    0x0D: "heat and cooling",
    0x0E: "bus or system",
    0x0F: "unknown",
    0x14: "calorific value",
    0x15: "hot water",
    0x16: "cold water",
    0x17: "hot and cold water",
    0x18: "pressure",
    0x19: "converter",
    0x1A: "smoke detector",
    0x1B: "room sensor",
    0x1C: "gas detector",
    0x20: "breaker",
    0x21: "valve",
    0x25: "customer unit",
    0x28: "waste water",
    0x29: "garbage",
    0x31: "communication controller",
    0x32: "unidirectional repeater",
    0x33: "bidirectional repeater",
    0x36: "radio converter, system side",
    0x37: "radio converter, meter side",
}

_STATUS_BITS: Final = {
    2: "power low",
    3: "permanent error",
    4: "temporary error",
    5: "manufacturer 5",
    6: "manufacturer 6",
    7: "manufacturer 7",
}
_APPLICATION: Final = (None, "application busy", "application error", "abnormal condition")
# MBDOC48 annex A: what a display shows for the nibbles of BCD.
_DISPLAY: Final = "0123456789A-C E-"
_UNIT_ROWS: Final = tuple(UNITS.values())
_LVAR_CODING: Final = 0x0D
_BCD_CODINGS: Final = (0x09, 0x0A, 0x0B, 0x0C, 0x0E)
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the meter's local time, its zone is not told


def status_names(status: int) -> list[str]:
    """The status byte in words (EN 13757-7:2018 table 16)."""
    application = _APPLICATION[status & 3]
    names = [] if application is None else [application]
    return names + [name for bit, name in _STATUS_BITS.items() if status >> bit & 1]


def medium_name(medium: int) -> str:
    """A device type in words, in hex without one."""
    return MEDIA.get(medium, f"{medium:02X}")


def _iso(kind: int, local_us: int) -> str:
    moment = _EPOCH + timedelta(microseconds=local_us)
    if kind == columns.DATE:
        return moment.date().isoformat()
    if kind == columns.TIME_OF_DAY:
        return moment.time().isoformat()
    return moment.isoformat() + ("+02:00" if kind == columns.DATE_TIME_SUMMER else "")


def _number(mantissa: int, unit: int, exponent: int) -> int | float:
    """An integer value in its unit's normal form: whole when it is, else the nearest float."""
    _, numerator, denominator = _UNIT_ROWS[unit]
    numerator *= mantissa
    if exponent >= 0:
        numerator *= 10**exponent
    else:
        denominator *= 10**-exponent
    whole, rest = divmod(numerator, denominator)
    return whole if rest == 0 else numerator / denominator


def _real(real: float, unit: int, exponent: int) -> float:
    _, numerator, denominator = _UNIT_ROWS[unit]
    return float(Fraction(real) * numerator / denominator * Fraction(10) ** exponent)


def _split_vib(vib: bytes) -> tuple[str | None, bytes]:
    """A VIB's plain-text unit, None without one, and its VIFEs."""
    if not vib:
        return None, b""
    if vib[0] in (0xFB, 0xFD):
        return None, vib[2:]
    if vib[0] & 0x7F != 0x7C:
        return None, vib[1:]
    end = 2 + vib[1]
    after = vib[end:]
    chained = all(byte & 0x80 for byte in after[:-1]) and not (after and after[-1] & 0x80)
    if end <= len(vib) and chained and bool(after) == (vib[0] == 0xFC):
        return vib[2:end][::-1].decode("latin-1"), after
    count = 1 + next(i for i, byte in enumerate(vib[1:]) if not byte & 0x80)
    return vib[1 + count + 1 :][::-1].decode("latin-1"), vib[1 : 1 + count]


def _qualifiers(vib: bytes) -> tuple[list[str], str | None]:
    """The VIFEs that change the meaning, in words, and the record error if one says so."""
    if vib[:1] in (b"\x7f", b"\xff"):
        return [], None
    names: list[str] = []
    record_error = None
    _, chain = _split_vib(vib)
    for i, byte in enumerate(chain):
        kind = vife.VIFE_CLASS[byte & 0x7F]
        if kind == vife.MANUFACTURER:
            names.append(f"manufacturer {chain[i:].hex().upper()}")
            break
        if kind in (vife.RECORD_ERROR, vife.RECORD_OUT_OF_RANGE):
            record_error = vife.vife_name(byte)
        elif kind not in (vife.NEUTRAL, vife.TIMES_10_N, vife.TIMES_1000):
            names.append(vife.vife_name(byte))
    return names, record_error


def _digits(data: bytes) -> str:
    """BCD as the display shows it."""
    return "".join(_DISPLAY[byte >> 4] + _DISPLAY[byte & 15] for byte in reversed(data))


def _value(  # noqa: PLR0911 - one way out for each kind of data
    records: Records, row: int, data: bytes, coding: int
) -> tuple[Any, str | None]:
    """(value, text) of a record; value is None when there is none to trust."""
    kind = int(records.kind[row])
    quality = int(records.quality[row])
    if kind == columns.TEXT:
        return None, data[::-1].decode("latin-1")
    if kind == columns.DISPLAY:
        label = bool(IS_LABEL[records.quantity[row]])
        return None, data[::-1].hex().upper() if label else _digits(data)
    if kind == columns.BINARY and coding == _LVAR_CODING:
        return None, data[::-1].hex().upper()  # a number, its highest byte first
    if kind == columns.BINARY or quality in (columns.INVALID, columns.OUT_OF_RANGE):
        return None, data.hex().upper()
    if kind == columns.NO_VALUE:
        return None, None
    mantissa, unit, exponent = (
        int(records.mantissa[row]),
        int(records.unit[row]),
        int(records.exponent[row]),
    )
    if kind == columns.REAL:
        return _real(float(records.real[row]), unit, exponent), None
    if kind == columns.INTEGER:
        label = coding in _BCD_CODINGS and IS_LABEL[records.quantity[row]]
        return _number(mantissa, unit, exponent), _digits(data) if label else None
    return _iso(kind, mantissa), None


def _record(payload: bytes, records: Records, row: int) -> dict[str, Any]:
    start = int(records.start[row])
    vib_at = start + int(records.dib_length[row])
    end = vib_at + int(records.vib_length[row])
    dib, vib = payload[start:vib_at], payload[vib_at:end]
    coding = dib[0] & 0x0F if dib else -1
    if coding == _LVAR_CODING:
        end += 1
    data = payload[end : end + int(records.data_length[row])]
    value, text = _value(records, row, data, coding)
    qualifiers, record_error = _qualifiers(vib)
    plain_unit, _ = _split_vib(vib)
    return {
        "index": row,
        "dib": dib.hex().upper(),
        "vib": vib.hex().upper(),
        "function": FUNCTIONS[records.function[row]],
        "storage": int(records.storage[row]),
        "tariff": int(records.tariff[row]),
        "subunit": int(records.subunit[row]),
        "quantity": QUANTITIES[records.quantity[row]],
        "qualifiers": qualifiers,
        "unit": plain_unit or _UNIT_ROWS[records.unit[row]].text or None,
        "value": value,
        "text": record_error or text,
        "quality": QUALITIES[records.quality[row]],
    }


def _registers(rows: Rows) -> dict[str, int | float]:
    """The registers that have a value; temperatures in degC."""
    found: dict[str, int | float] = {}
    for name, value in zip(REGISTERS, rows.registers[0].tolist(), strict=True):
        if value != MISSING and name.endswith("_cc"):
            found[name.removesuffix("c")] = value / 100
        elif value != MISSING:
            found[name] = value
    return found


def document(payload: bytes, telegrams: Telegrams, records: Records, rows: Rows) -> dict[str, Any]:
    """The dict of the one telegram in these columns."""
    error = int(telegrams.error[0])
    identity = int(telegrams.identity[0])
    result: dict[str, Any] = {
        "frame": payload.hex().upper(),
        "ok": error == refusals.ACCEPTED,
        "manufacturer": None,
        "id": None,
        "version": None,
        "medium": None,
        "access": int(telegrams.access[0]) if telegrams.access[0] >= 0 else None,
        "status": status_names(max(int(telegrams.status[0]), 0)),
        "security": "none",
        "records": [_record(payload, records, row) for row in range(int(telegrams.rows[0]))],
        "registers": _registers(rows),
        "error": None,
    }
    if identity >= 0:
        manufacturer, ident, version, medium = meter_identity.unpack(identity)
        result["manufacturer"] = meter_identity.manufacturer_letters(manufacturer)
        result["id"] = f"{ident:08X}"
        result["version"] = version
        result["medium"] = medium_name(medium)
    if error == refusals.ENCRYPTED:
        result["security"] = f"mode{int(telegrams.expected[0])}"
    if error != refusals.ACCEPTED:
        result["error"] = refusals.refusal(
            error,
            payload,
            int(telegrams.error_at[0]),
            int(telegrams.expected[0]),
            int(telegrams.got[0]),
        ).detail
    return result
