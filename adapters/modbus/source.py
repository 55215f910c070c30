"""Polling one meter over Modbus TCP. Alone in knowing pymodbus, whose minor versions break."""

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
"""Takes the unit as text and the payload."""

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
        # reconnect_delay=0: pymodbus would go on reconnecting behind our back; a poll connects
        # itself.
        self._client = AsyncModbusTcpClient(
            host, port=port, timeout=timeout_s, retries=retries, reconnect_delay=0
        )

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
        self._client.close()

    async def poll(self, deliver: Deliver) -> None:
        """Read the meter once and deliver its payload. Raises ModbusError."""
        deliver(str(self._unit), await self.read())

    async def read(self) -> bytes:
        """The blocks of the register map as the JSON payload of docs/payloads.md.

        A block that the meter refuses is left out. Raises ModbusError when the meter is silent, or
        no block could be read.
        """
        if not self._client.connected and not await self._client.connect():
            raise ModbusError(f"{self._where}: no connection")
        blocks: list[tuple[int, int, str]] = []
        refused: list[str] = []
        for block in self._blocks:
            answer = await self._ask(block)
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

    async def _ask(self, block: Block) -> ModbusPDU:
        read: Callable[..., Awaitable[ModbusPDU]] = (
            self._client.read_holding_registers
            if block.function == 3
            else self._client.read_input_registers
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
