"""Polling one meter over Modbus TCP. Alone in knowing pymodbus, whose minor versions break."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import orjson
import structlog
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from adapters.modbus.registermap import Block, RegisterMap

Deliver = Callable[[str, bytes], None]
"""Takes the unit as text and the payload. May block."""

# pymodbus writes to stderr by itself; what matters is raised here with the meter's name in it.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

log = structlog.get_logger()


class ModbusError(Exception):
    """A meter that could not be read: which, what was asked, what came."""


class ModbusUnit:
    """One meter behind `host`; its connection is kept between polls. Use it inside one event loop.

    `meter` is the identity the readings get (a Modbus meter rarely tells its own). A silent unit
    costs `timeout_s` times (`retries` + 1).
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        unit: int,
        meter: str,
        register_map: RegisterMap,
        timeout_s: float = 1.0,
        retries: int = 1,
    ) -> None:
        self._where = f"{host}:{port} unit {unit}"
        self._unit, self._meter, self._map = unit, meter, register_map
        self._blocks = register_map.blocks()
        self._host, self._port, self._timeout_s, self._retries = host, port, timeout_s, retries
        self._client: AsyncModbusTcpClient | None = None

    async def __aenter__(self) -> Self:
        """Nothing is opened before the first poll."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a later poll opens it again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def poll(self, deliver: Deliver) -> None:
        """Read the meter once and deliver its payload. Raises ModbusError."""
        payload = await self.read()
        # Delivering waits while the journal is full; other meters share this event loop.
        await asyncio.to_thread(deliver, str(self._unit), payload)

    async def read(self) -> bytes:
        """The blocks of the register map as the JSON payload of docs/payloads.md.

        A block that the meter refuses is left out. Raises ModbusError when the meter is silent, or
        no block could be read.
        """
        client = await self._connected()
        blocks: list[tuple[int, int, str]] = []
        refused: list[str] = []
        for block in self._blocks:
            answer = await self._ask(client, block)
            if answer.isError():
                refused.append(f"function {block.function} address {block.address}: {answer}")
            elif len(answer.registers) != block.registers:
                self.close()  # an answer to somebody else's question: the ids are out of step
                raise ModbusError(
                    f"{self._where}: asked for {block.registers} registers from {block.address}, "
                    f"got {len(answer.registers)}"
                )
            else:
                data = b"".join(register.to_bytes(2, "big") for register in answer.registers)
                blocks.append((block.function, block.address, data.hex()))
        if not blocks:
            raise ModbusError(f"{self._where}: every block was refused: {'; '.join(refused)}")
        if refused:
            log.warning("modbus_blocks_refused", unit=self._where, refused=refused)
        return orjson.dumps({"profile": self._map.name, "meter": self._meter, "blocks": blocks})

    async def _connected(self) -> AsyncModbusTcpClient:
        """The client, which pymodbus binds to the running event loop when it is made."""
        if self._client is None:
            # reconnect_delay=0: it would reconnect behind our back; a poll connects itself.
            self._client = AsyncModbusTcpClient(
                self._host,
                port=self._port,
                timeout=self._timeout_s,
                retries=self._retries,
                reconnect_delay=0,
            )
        if not self._client.connected and not await self._client.connect():
            self.close()
            raise ModbusError(f"{self._where}: no connection")
        return self._client

    async def _ask(self, client: AsyncModbusTcpClient, block: Block) -> ModbusPDU:
        read: Callable[..., Awaitable[ModbusPDU]] = (
            client.read_holding_registers if block.function == 3 else client.read_input_registers
        )
        try:
            return await read(block.address, count=block.registers, device_id=self._unit)
        except (ModbusException, OSError) as error:
            # After a time-out a late answer could be taken for the next one's; begin afresh.
            self.close()
            raise ModbusError(
                f"{self._where}: no answer to function {block.function}, {block.registers} "
                f"registers "
                f"from {block.address}: {error}"
            ) from None
