"""Builds wired M-Bus frames (EN 13757-2, -3): for simulators, tests and asking meters.

One at a time from records of any kind, or many telegrams of one layout at once in numpy.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adapters import identity as meter_identity
from adapters.registers import MISSING

ACK: Final = b"\xe5"
RSP_UD: Final = 0x08
_FRAME_DATA_MAX: Final = 252  # L is at most 255 and covers C, A and CI
_HEADER_SIZE: Final = 12
_FRONT_SIZE: Final = 7  # 68 L L 68 C A CI
_HOUR_US: Final = 3_600_000_000
_DAY_US: Final = 24 * _HOUR_US
_CLOCK: Final = "meter_clock_us"


def short_frame(control: int, address: int) -> bytes:
    """10 C A checksum 16."""
    return bytes((0x10, control, address, (control + address) & 0xFF, 0x16))


def long_frame(address: int, ci: int, data: bytes = b"", *, control: int = RSP_UD) -> bytes:
    """68 L L 68 C A CI data checksum 16; a control frame when there is no data.

    Raises ValueError when the data is longer than one frame holds.
    """
    if len(data) > _FRAME_DATA_MAX:
        raise ValueError(f"a frame holds up to {_FRAME_DATA_MAX} bytes, got {len(data)}")
    body = bytes((control, address, ci)) + data
    length = len(body)
    return bytes((0x68, length, length, 0x68)) + body + bytes((sum(body) & 0xFF, 0x16))


def header(identity: int, *, access: int = 0, status: int = 0, configuration: int = 0) -> bytes:
    """The 12 bytes after CI 72: secondary address, access number, status, configuration word."""
    manufacturer, ident, version, medium = meter_identity.unpack(identity)
    return (
        ident.to_bytes(4, "little")
        + manufacturer.to_bytes(2, "little")
        + bytes((version, medium, access & 0xFF, status & 0xFF))
        + configuration.to_bytes(2, "little")
    )


def telegram(
    identity: int,
    records: Iterable[bytes],
    *,
    address: int = 1,
    access: int = 0,
    status: int = 0,
) -> bytes:
    """A meter's answer with variable structure (CI 72). Raises ValueError when it is too long."""
    data = header(identity, access=access, status=status) + b"".join(records)
    return long_frame(address, 0x72, data)


def application_error(address: int, code: int) -> bytes:
    """A meter's answer that says what it could not do (CI 70)."""
    return long_frame(address, 0x70, bytes((code,)))


def integer(dib_vib: str, value: int, size: int) -> bytes:
    """A record with an integer of `size` bytes; its DIF must say so. Raises OverflowError."""
    return bytes.fromhex(dib_vib) + value.to_bytes(size, "little", signed=value < 0)


def bcd(dib_vib: str, value: int, digits: int) -> bytes:
    """A record with a BCD number; a negative one has F for its highest digit.

    Raises ValueError when the digits do not suffice.
    """
    text = f"{abs(value):0{digits}d}"
    if value < 0:
        text = ("F" + text[1:]) if text[0] == "0" else "0" + text
    if len(text) > digits:
        raise ValueError(f"{value} does not fit {digits} digits of BCD")
    return bytes.fromhex(dib_vib) + bytes.fromhex(text)[::-1]


def real32(dib_vib: str, value: float) -> bytes:
    """A record with an IEEE 754 number of 32 bits."""
    return bytes.fromhex(dib_vib) + struct.pack("<f", value)


def date_time(dib_vib: str, at_us: int) -> bytes:
    """A record with type F (minutes), the normal time (UTC+1) of UTC microseconds."""
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us + _HOUR_US)
    year = local.year % 100
    return bytes.fromhex(dib_vib) + bytes(
        (local.minute, local.hour, local.day | (year & 7) << 5, local.month | (year >> 3) << 4)
    )


@dataclass(frozen=True)
class Field:
    """One record of a layout: what it shows and how.

    `count_means` / `per` is what one count means in `register`'s unit; the meter shows whole
    counts, floored. `size` bytes must agree with the DIF. `meter_clock_us` is sent as type F.
    """

    dib_vib: bytes
    size: int
    register: str
    count_means: int = 1
    per: int = 1


@dataclass(frozen=True)
class Layout:
    """The records of a meter's telegram, in order."""

    fields: tuple[Field, ...]

    @property
    def size(self) -> int:
        """Bytes of a frame of this layout."""
        records = sum(len(field.dib_vib) + field.size for field in self.fields)
        return _FRONT_SIZE + _HEADER_SIZE + records + 2


def _field(dib_vib: str, register: str, count_means: int = 1, per: int = 1) -> Field:
    sizes = {0x02: 2, 0x04: 4, 0x07: 8}
    head = bytes.fromhex(dib_vib)
    return Field(head, sizes[head[0] & 0x0F], register, count_means, per)


def calculator_layout(*, volume_step_ml: int = 10_000, cooling: bool = False) -> Layout:
    """A heat meter's telegram as a real calculator sends it, its registers in 32 bits.

    1 kWh; volume in 1 l or 10 l (`volume_step_ml` 1000 or 10000) and E8, E9 in the unit that goes
    with it; power 0.1 kW, flow 1 l/h, temperatures 0.01 degC. `cooling` adds the cooling energy of
    a combined meter. Decoded with the profile of FJV version 01.

    Raises ValueError for another volume step.
    """
    if volume_step_ml not in (1_000, 10_000):
        raise ValueError(f"a volume step of 1000 or 10000 ml is expected, got {volume_step_ml}")
    volume_vif = "13" if volume_step_ml == 1_000 else "14"
    fields = [
        _field("0406", "energy_j", 3_600_000),
        _field("04" + volume_vif, "volume_ml", volume_step_ml),
        _field("04FF07", "e8_mlc", 100 * volume_step_ml),
        _field("04FF08", "e9_mlc", 100 * volume_step_ml),
        _field("0422", "operating_h"),
        _field("0259", "supply_temp_cc"),
        _field("025D", "return_temp_cc"),
        _field("042D", "power_w", 100),
        _field("043B", "flow_l_h"),
        _field("046D", _CLOCK),
    ]
    if cooling:
        fields.insert(1, _field("04863C", "cooling_energy_j", 3_600_000))
    return Layout(tuple(fields))


def precise_layout(*, cooling: bool = False) -> Layout:
    """A telegram that loses nothing: 1 Wh, 1 ml and 1 ml.degC in 64 bits, power 1 W.

    Decoded with the profile of FJV version 02.
    """
    fields = [
        _field("0703", "energy_j", 3600),
        _field("0710", "volume_ml"),
        _field("07FF07", "e8_mlc"),
        _field("07FF08", "e9_mlc"),
        _field("0422", "operating_h"),
        _field("0259", "supply_temp_cc"),
        _field("025D", "return_temp_cc"),
        _field("042B", "power_w"),
        _field("043B", "flow_l_h"),
        _field("046D", _CLOCK),
    ]
    if cooling:
        fields.insert(1, _field("07833C", "cooling_energy_j", 3600))
    return Layout(tuple(fields))


def _type_f(at_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Type F of UTC microseconds as normal time (UTC+1), as a 32-bit number."""
    local = at_us + _HOUR_US
    minutes = local // 60_000_000
    days = local // _DAY_US
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    day = (dates - months).astype(np.int64) + 1
    month_count = months.astype(np.int64)
    month = month_count % 12 + 1
    year = (month_count // 12 + 1970) % 100
    low_date = day | (year & 7) << 5
    high_date = month | (year >> 3) << 4
    packed: NDArray[np.int64] = (
        minutes % 60 | (minutes // 60 % 24) << 8 | low_date << 16 | high_date << 24
    )
    return packed


def _counts(field: Field, value: NDArray[np.int64]) -> NDArray[np.int64]:
    """The whole counts a meter shows. Raises ValueError for what the field cannot hold."""
    if field.register == _CLOCK:
        return _type_f(value)
    counts = value * field.per // field.count_means
    bound = 2 ** (8 * field.size - 1)
    if value.size and (value.min() == MISSING or counts.min() < -bound or counts.max() >= bound):
        raise ValueError(
            f"{field.register}: expected counts that fit {field.size} bytes, "
            f"got {counts.min()} to {counts.max()} (MISSING cannot be sent)"
        )
    return counts


def encode_hourly(
    layout: Layout,
    identity: int | NDArray[np.int64],
    values: Mapping[str, NDArray[np.int64]],
    *,
    access: NDArray[np.int64] | int = 0,
    status: NDArray[np.int64] | int = 0,
    address: int = 1,
) -> list[bytes]:
    """Many telegrams of one layout: one per element of the values, all int64 of shape (n,).

    `values` maps every register of the layout to its values in the register's unit
    (adapters/registers.py), and `meter_clock_us` to UTC microseconds. Raises KeyError for a
    register left out and ValueError for a value that does not fit.
    """
    count = len(values[layout.fields[0].register])
    size = layout.size
    if size - 6 > 0xFF:
        raise ValueError(f"a frame is at most 261 bytes, this layout makes {size}")
    frames = np.empty((count, size), np.uint8)
    frames[:, :_FRONT_SIZE] = (0x68, size - 6, size - 6, 0x68, RSP_UD, address, 0x72)
    head = frames[:, _FRONT_SIZE : _FRONT_SIZE + _HEADER_SIZE]
    whole = np.broadcast_to(np.asarray(identity, np.int64), count)
    head[:, 0:4] = _little(whole >> 16 & 0xFFFFFFFF, 4)
    head[:, 4:6] = _little(whole >> 48 & 0x7FFF, 2)
    head[:, 6] = whole >> 8 & 0xFF
    head[:, 7] = whole & 0xFF
    head[:, 8] = np.asarray(access) & 0xFF
    head[:, 9] = np.asarray(status) & 0xFF
    head[:, 10:12] = 0
    at = _FRONT_SIZE + _HEADER_SIZE
    for field in layout.fields:
        frames[:, at : at + len(field.dib_vib)] = np.frombuffer(field.dib_vib, np.uint8)
        at += len(field.dib_vib)
        counts = _counts(field, values[field.register])
        frames[:, at : at + field.size] = _little(counts, field.size)
        at += field.size
    frames[:, -2] = frames[:, 4:-2].sum(axis=1, dtype=np.uint8)
    frames[:, -1] = 0x16
    joined = frames.tobytes()
    return [joined[i : i + size] for i in range(0, count * size, size)]


def _little(values: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """The low `size` bytes of each value, least significant first. Shape (n, size)."""
    as_bytes = np.ascontiguousarray(values).astype("<i8").view(np.uint8)
    return as_bytes.reshape(values.size, 8)[:, :size]
