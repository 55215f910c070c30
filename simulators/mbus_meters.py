"""Meters on a wired M-Bus behind a TCP gateway, well-behaved or not."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto
from typing import Final

from adapters.mbus.encode import ACK

_SHORT_FRAME: Final = 5
_SND_NKE: Final = 0x40
_FCB: Final = 0x20
_ANY: Final = 254


class Mishap(Enum):
    """What goes wrong with one answer."""

    LOST = auto()  # the meter answered, nothing arrived
    CHECKSUM = auto()  # a bit was hit
    CUT = auto()  # the end is missing
    NOISE = auto()  # bytes before and after a sound answer
    DROP = auto()  # the gateway closes the connection


class MbusMeter:
    """One meter by its primary address.

    `frames` gives the long frames of its present answer, all but the last ending in DIF 1F. Mishaps
    are used up one an answer. `asked` counts requests.
    """

    def __init__(
        self,
        address: int,
        frames: Callable[[], Sequence[bytes]],
        mishaps: Sequence[Mishap] = (),
    ) -> None:
        self.address = address
        self.mishaps = deque(mishaps)
        self.asked = 0
        self._frames = frames
        self._sending: Sequence[bytes] = ()
        self._place = 0
        self._fcb: int | None = None

    def answer(self, control: int) -> bytes:
        """E5 to SND_NKE; to REQ_UD2 the next frame when the FCB toggled, else the same again."""
        self.asked += 1
        if control == _SND_NKE:
            self._fcb = None
            return ACK
        fcb = control & _FCB
        if self._fcb is None or not self._sending:
            self._sending, self._place = self._frames(), 0
        elif fcb != self._fcb:
            self._place += 1
            if self._place >= len(self._sending):
                self._sending, self._place = self._frames(), 0
        self._fcb = fcb
        return self._sending[self._place]


@asynccontextmanager
async def mbus_gateway(
    meters: Sequence[MbusMeter], *, host: str = "127.0.0.1", port: int = 0, echo: bool = False
) -> AsyncIterator[int]:
    """Serve the meters on the TCP port it gives. `echo`: the level converter repeats requests."""
    by_address = {meter.address: meter for meter in meters}
    open_connections: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_connections.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await _serve_one(reader, writer, by_address, echo=echo):
                await writer.drain()
        open_connections.discard(writer)
        writer.close()

    server = await asyncio.start_server(serve, host, port)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in open_connections:
            writer.close()
        await server.wait_closed()


async def _serve_one(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    by_address: dict[int, MbusMeter],
    *,
    echo: bool,
) -> bool:
    """Answer one short frame; False when the connection is to be closed."""
    request = await reader.readexactly(_SHORT_FRAME)
    if echo:
        writer.write(request)
    address = request[2]
    meter = by_address.get(address)
    if meter is None and address == _ANY and len(by_address) == 1:
        meter = next(iter(by_address.values()))
    if meter is None:
        return True
    answer = meter.answer(request[1])
    mishap = meter.mishaps.popleft() if meter.mishaps else None
    if mishap is Mishap.DROP:
        return False
    writer.write(_mishandled(answer, mishap))
    return True


def _mishandled(answer: bytes, mishap: Mishap | None) -> bytes:
    match mishap:
        case Mishap.LOST:
            return b""
        case Mishap.CHECKSUM:
            middle = len(answer) // 2
            return answer[:middle] + bytes((answer[middle] ^ 0x10,)) + answer[middle + 1 :]
        case Mishap.CUT:
            return answer[: len(answer) // 2]
        case Mishap.NOISE:
            return b"\x00\x68\xff" + answer + b"\x10\x99"
        case _:
            return answer
