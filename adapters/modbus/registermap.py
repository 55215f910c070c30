"""What a Modbus meter keeps where: typed points, and the block reads that fetch them."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

MERGE_GAP: Final = 16
"""Registers read for nothing to save a round trip, which costs as much as hundreds of them."""

BLOCK_MAX: Final = 125
"""Most registers of one request, Modbus Application Protocol V1.1b3, 6.3 and 6.4."""

# Type -> (numpy kind and size in bytes). Registers are 16 bits.
TYPES: Final = {
    "u16": "u2",
    "i16": "i2",
    "u32": "u4",
    "i32": "i4",
    "u64": "u8",
    "f32": "f4",
    "f64": "f8",
}
ORDERS: Final = ("ABCD", "CDAB", "BADC", "DCBA")
"""Of a value's bytes on the wire, A the most significant: as it is, words swapped, bytes swapped
in each word, both. Longer values follow the same pattern."""


class Block(NamedTuple):
    """One read: function 3 (holding) or 4 (input registers), first address, registers."""

    function: int
    address: int
    registers: int


@dataclass(frozen=True, kw_only=True)
class Point:
    """One register we keep.

    `address` is the address on the wire (base 0). `scale` turns the number into the register's
    unit; `invalid` are bit patterns, read as unsigned numbers, that mean "no value".
    """

    register: str
    function: int
    address: int
    type: str
    order: str
    scale: Fraction
    invalid: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return int(TYPES[self.type][1])

    @property
    def count(self) -> int:
        """Registers of the value."""
        return self.size // 2

    def byte_order(self) -> NDArray[np.intp]:
        """Where each byte of the value, most significant first, lies on the wire."""
        wire = np.arange(self.size).reshape(-1, 2)
        if self.order in ("CDAB", "DCBA"):
            wire = wire[::-1]
        if self.order in ("BADC", "DCBA"):
            wire = wire[:, ::-1]
        return wire.reshape(-1)


@dataclass(frozen=True, kw_only=True)
class RegisterMap:
    """The points of one model of meter. Steps: what one count means, 0 when unknown. [J], [ml]"""

    name: str
    points: tuple[Point, ...]
    energy_step_j: int = 0
    volume_step_ml: int = 0

    def blocks(self) -> tuple[Block, ...]:
        """The fewest sensible reads: points of a function merged over gaps up to 16 registers."""
        planned: list[Block] = []
        for point in sorted(self.points, key=lambda point: (point.function, point.address)):
            end = point.address + point.count
            if planned and planned[-1].function == point.function:
                last = planned[-1]
                span = max(end, last.address + last.registers) - last.address
                gap = point.address - (last.address + last.registers)
                if gap <= MERGE_GAP and span <= BLOCK_MAX:
                    planned[-1] = last._replace(registers=span)
                    continue
            planned.append(Block(point.function, point.address, point.count))
        return tuple(planned)
