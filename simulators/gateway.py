"""A gateway that publishes to a broker: each message until the broker has acknowledged it."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

_INFLIGHT: Final = 200  # 20 (paho's default) makes publishing wait for round trips
_WAITING_MAX: Final = 2000
_PATIENCE_S: Final = 60.0


class Publication(NamedTuple):
    """What one gateway says."""

    topic: str
    payload: bytes


class Gateway:
    """A connected publisher, MQTT 3.1.1 like most real gateways, QoS 1."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def publish(self, publications: Iterable[Publication]) -> int:
        """Publish in order and wait for every acknowledgement. Returns how many.

        Raises TimeoutError when the broker does not acknowledge for a minute.
        """
        waiting: list[MQTTMessageInfo] = []
        count = 0
        for publication in publications:
            waiting.append(self._client.publish(publication.topic, publication.payload, qos=1))
            count += 1
            if len(waiting) >= _WAITING_MAX:
                _wait(waiting)
                waiting.clear()
        _wait(waiting)
        return count


@contextmanager
def connected_gateway(host: str, port: int, client_id: str) -> Iterator[Gateway]:
    """A gateway with a connection; paho reconnects it and sends again what was not acknowledged.

    Raises OSError when the broker cannot be reached, TimeoutError when it does not answer.
    """
    client = Client(
        CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv311
    )
    client.max_inflight_messages_set(_INFLIGHT)
    client.max_queued_messages_set(0)
    ready = threading.Event()

    def on_connect(_client: Client, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
        if not reason.is_failure:
            ready.set()

    client.on_connect = on_connect
    client.connect(host, port)
    client.loop_start()
    try:
        if not ready.wait(_PATIENCE_S):
            raise TimeoutError(f"the broker at {host}:{port} does not accept gateway {client_id!r}")
        yield Gateway(client)
    finally:
        client.disconnect()
        client.loop_stop()


def _wait(waiting: list[MQTTMessageInfo]) -> None:
    for info in waiting:
        info.wait_for_publish(_PATIENCE_S)
        if not info.is_published():
            raise TimeoutError(f"the broker did not acknowledge message {info.mid}")
