"""One wired M-Bus behind a TCP gateway: asks its meters one by one.

A request is repeated with the same frame count bit until it is answered, so a lost answer is sent
again; the bit is toggled to go on, so an answer of several telegrams is read whole. A dead meter
costs its own time-outs and nothing else.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import structlog

from adapters.backoff import Backoff
from adapters.mbus.decode import walk_batch
from adapters.mbus.link import ACK, Stream, req_ud2, snd_nke
from adapters.mbus.refusals import ACCEPTED

Deliver = Callable[[str, bytes], None]
"""Takes the primary address as text and the frames of one answer. May block."""

TELEGRAMS_MAX: Final = 32
"""Most telegrams of one answer; a meter that never ends is broken."""

_ANY: Final = (253, 254)  # addresses that any meter answers with its own
_CHUNK: Final = 4096
_LATE_S: Final = 0.001
_ANSWER_MAX_S: Final = 30.0  # an answer that drips byte by byte ends here

log = structlog.get_logger()


class MbusError(Exception):
    """A meter or bus that could not be read: which, what was asked, what came."""


class BusUnreachableError(MbusError):
    """The gateway itself gives no connection, so asking for the next meter is in vain."""


class MbusBus:
    """The bus; its connection is kept between polls. For one event loop and one poll at a time.

    `timeout_s` is how long the line may be silent before a request is repeated, `retries` how
    often.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        timeout_s: float = 2.0,
        retries: int = 2,
        connects: int = 3,
        backoff: Backoff | None = None,
    ) -> None:
        self._host, self._port = host, port
        self._timeout_s, self._retries, self._connects = timeout_s, retries, connects
        self._backoff = backoff or Backoff(first_s=0.5)
        self._stream = Stream()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        """Nothing is opened before the first request."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; a later poll opens it again."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def poll(self, addresses: Iterable[int], deliver: Deliver) -> dict[int, str]:
        """Read each meter once and deliver its answer. Returns why others gave none, by address."""
        failed: dict[int, str] = {}
        unreachable = ""
        for address in addresses:
            if unreachable:
                failed[address] = unreachable
                continue
            try:
                payload = await self.read_meter(address)
            except BusUnreachableError as error:
                failed[address] = unreachable = str(error)
            except MbusError as error:
                failed[address] = str(error)
            else:
                # Delivering waits while the journal is full; other buses share this event loop.
                await asyncio.to_thread(deliver, str(address), payload)
        if failed:
            log.warning("mbus_meters_failed", bus=self._name(), failed=failed)
        return failed

    async def read_meter(self, primary_address: int) -> bytes:
        """The long frames of one meter's whole answer, back to back.

        Raises MbusError when there is no connection, no answer, or only noise.
        """
        try:
            return await self._read(primary_address)
        except (OSError, EOFError) as error:
            await self.close()
            log.info("mbus_reconnect", bus=self._name(), error=str(error))
        try:
            return await self._read(primary_address)
        except (OSError, EOFError) as error:
            await self.close()
            raise MbusError(
                f"{self._name()} address {primary_address}: connection lost twice: {error}"
            ) from None

    async def _read(self, address: int) -> bytes:
        await self._connect()
        await self._request(snd_nke(address), address, acknowledged=True)
        frames: list[bytes] = []
        fcb = True
        while len(frames) < TELEGRAMS_MAX:
            frame = await self._request(req_ud2(address, fcb=fcb), address, acknowledged=False)
            if frames and frame == frames[-1]:
                break  # it ignores the FCB and would say the same for ever
            frames.append(frame)
            if not more_follows(frame):
                break
            fcb = not fcb
        return b"".join(frames)

    async def _connect(self) -> None:
        for left in reversed(range(self._connects)):
            if self._writer is not None:
                return
            try:
                self._reader, self._writer = await asyncio.wait_for(
                    asyncio.open_connection(self._host, self._port), self._timeout_s + 3.0
                )
                self._backoff.reset()
            except OSError as error:
                if not left:
                    raise BusUnreachableError(f"{self._name()}: no connection: {error}") from None
                await asyncio.sleep(self._backoff.next_s())

    async def _request(self, request: bytes, address: int, *, acknowledged: bool) -> bytes:
        """Send until answered: by E5 when `acknowledged`, else by a frame of this meter."""
        noise = 0
        for _ in range(self._retries + 1):
            answer = await self._exchange(request, address, acknowledged=acknowledged)
            if answer is not None:
                return answer
            noise += self._stream.noise
        got = f"{noise} bytes that are no frame" if noise else "silence"
        raise MbusError(
            f"{self._name()} address {address}: asked {request.hex(' ')} "
            f"{self._retries + 1} times, "
            f"expected {'E5' if acknowledged else 'a long frame'}, got {got}"
        )

    async def _exchange(self, request: bytes, address: int, *, acknowledged: bool) -> bytes | None:
        if self._reader is None or self._writer is None:
            raise ConnectionError("the connection is closed")
        await self._forget_late_answers()
        self._writer.write(request)
        await self._writer.drain()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + max(_ANSWER_MAX_S, self._timeout_s)
        ended = False
        while not ended:
            try:
                wait_s = min(self._timeout_s, deadline - loop.time())
                data = await asyncio.wait_for(self._reader.read(_CHUNK), wait_s)
                if not data:
                    raise EOFError("the gateway closed the connection")
                self._stream.feed(data)
            except TimeoutError:
                ended = True
            while (answer := self._stream.take(ended=ended)) is not None:
                if acknowledged == (answer == ACK) and (
                    acknowledged or address in _ANY or answer[5] == address
                ):
                    return answer
        return None

    async def _forget_late_answers(self) -> None:
        self._stream.clear()
        if self._reader is not None:
            with suppress(TimeoutError):
                while await asyncio.wait_for(self._reader.read(_CHUNK), _LATE_S):
                    pass

    def _name(self) -> str:
        return f"M-Bus {self._host}:{self._port}"


def more_follows(frame: bytes) -> bool:
    """Whether the records of a sound long frame end in DIF 1F: the meter has more to tell."""
    telegrams = walk_batch([frame]).telegrams
    return bool(telegrams.error[0] == ACCEPTED and telegrams.more[0])
