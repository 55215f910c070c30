"""Receiving from an MQTT broker so that nothing is acknowledged before it is safe.

paho acknowledges when told to (`manual_ack`), and a session that the broker keeps (`clean_start`
off, a fixed client id) delivers again what was not acknowledged before a crash. The queue between
paho's thread and the caller's is bounded and its `put` blocks: who takes nothing more pushes back
through TCP, because brokers have been seen to ignore Receive Maximum.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Literal, NamedTuple

import structlog
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from adapters.backoff import Backoff

_KEEPALIVE_S: Final = 60  # generous: a blocked `put` keeps paho from sending pings
_CONNECT_TIMEOUT_S: Final = 10.0
_WATCH_S: Final = 0.5

log = structlog.get_logger()


class Message(NamedTuple):
    """One publication. Call `ack`, from any thread, after it is stored durably and never before.

    It does nothing when the connection the message came by is gone: then it comes again.
    """

    topic: str
    payload: bytes
    ack: Callable[[], None]


class MqttSource:
    """A subscription that survives broker, network and our own death.

    `take` gives what has arrived; the caller commits it and acknowledges each message. `protocol`
    is 5, or 4 for brokers that speak MQTT 3.1.1 only. `connected` and `alive` tell its state;
    `received`, `connections` and `acks_dropped` count.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        client_id: str,
        topics: Sequence[str],
        username: str = "",
        password: str = "",
        session_expiry_s: int = 7 * 86400,
        protocol: Literal[4, 5] = 5,
        queue_max: int = 1000,
        backoff: Backoff | None = None,
    ) -> None:
        self._host, self._port = host, port
        self._client_id, self._topics = client_id, tuple(topics)
        self._protocol = MQTTProtocolVersion(protocol)
        self._username, self._password = username, password
        self._session_expiry_s, self._queue_max = session_expiry_s, queue_max
        self._backoff = backoff or Backoff()
        self._messages: queue.Queue[Message] = queue.Queue(queue_max)
        self._stopping = threading.Event()
        # The connection in use. Each has a client of its own, so the object is the epoch of its
        # messages: message ids begin again on a new session, and an old id would acknowledge a
        # stranger.
        self._epoch: Client | None = None
        self._epoch_lock = threading.Lock()
        self._supervisor = threading.Thread(target=self._supervise, name="mqtt", daemon=True)
        self.received = 0
        self.connections = 0
        self.acks_dropped = 0

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and the connection stands."""
        return self._epoch is not None

    @property
    def alive(self) -> bool:
        """Whether the thread that keeps the connection runs; False after `start` is a fault."""
        return self._supervisor.is_alive()

    def start(self) -> None:
        """Connect in the background, and again after every loss."""
        self._supervisor.start()

    def stop(self) -> None:
        """Disconnect, keeping the session: what is not acknowledged comes again next time."""
        self._stopping.set()
        if self._supervisor.is_alive():
            self._supervisor.join()

    def take(self, max_count: int, wait_s: float) -> list[Message]:
        """Up to `max_count` messages: waits up to `wait_s` for the first, not at all for others."""
        taken: list[Message] = []
        with suppress(queue.Empty):
            taken.append(self._messages.get(timeout=wait_s))
            while len(taken) < max_count:
                taken.append(self._messages.get_nowait())
        return taken

    def _ack(self, epoch: Client, mid: int, qos: int) -> None:
        with self._epoch_lock:
            if epoch is self._epoch:
                epoch.ack(mid, qos)
            else:
                self.acks_dropped += 1

    def _supervise(self) -> None:
        """One connection after the other; paho's own way has no jitter and dies of exceptions."""
        while not self._stopping.is_set():
            client = self._new_client()
            try:
                self._connect(client)
                client.loop_start()
                self._watch(client)
            except (OSError, ValueError) as error:
                log.warning("mqtt_unreachable", host=self._host, port=self._port, error=str(error))
            finally:
                client.disconnect()  # what was acknowledged so far is sent before it
                client.loop_stop()
                self._end_epoch(client)
            self._stopping.wait(self._backoff.next_s())

    def _watch(self, client: Client) -> None:
        """Return when the network thread has ended, be it by an exception that paho hides."""
        thread = client._thread  # noqa: SLF001  # is_connected() stays True when this thread has died
        while thread is not None and thread.is_alive() and not self._stopping.is_set():
            thread.join(_WATCH_S)

    def _new_client(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=None if self._protocol is MQTTProtocolVersion.MQTTv5 else False,
            protocol=self._protocol,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = _CONNECT_TIMEOUT_S
        if self._username:
            client.username_pw_set(self._username, self._password)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _connect(self, client: Client) -> None:
        if self._protocol is not MQTTProtocolVersion.MQTTv5:
            client.connect(self._host, self._port, keepalive=_KEEPALIVE_S)
            return
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's gap
        properties.SessionExpiryInterval = self._session_expiry_s
        properties.ReceiveMaximum = self._queue_max
        client.connect(
            self._host,
            self._port,
            keepalive=_KEEPALIVE_S,
            clean_start=False,
            properties=properties,
        )

    def _on_connect(
        self, client: Client, _userdata: Any, flags: Any, reason: Any, _properties: Any
    ) -> None:
        if reason.is_failure:
            log.error("mqtt_refused", host=self._host, port=self._port, reason=str(reason))
            return
        with self._epoch_lock:
            self._epoch = client
        self.connections += 1
        self._backoff.reset()
        self._subscribe(client)
        log.info(
            "mqtt_connected", host=self._host, port=self._port, session=bool(flags.session_present)
        )

    def _subscribe(self, client: Client) -> None:
        if self._protocol is not MQTTProtocolVersion.MQTTv5:
            client.subscribe([(topic, 1) for topic in self._topics])
            return
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        client.subscribe([(topic, options) for topic in self._topics])

    def _on_disconnect(
        self, client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        self._end_epoch(client)
        if not self._stopping.is_set():
            log.warning("mqtt_lost", host=self._host, port=self._port, reason=str(reason))

    def _end_epoch(self, client: Client) -> None:
        with self._epoch_lock:
            if self._epoch is client:
                self._epoch = None

    def _on_message(self, client: Client, _userdata: Any, message: MQTTMessage) -> None:
        """Enqueue and nothing else: an exception leaving here kills paho's thread in silence."""
        try:
            mid, qos = message.mid, message.qos
            payload = bytes(message.payload)
            entry = Message(message.topic, payload, lambda: self._ack(client, mid, qos))
        except Exception as error:  # whatever it is, the message must come again
            log.exception("mqtt_message_failed", error=str(error))
            client.disconnect()
            return
        while not self._stopping.is_set():
            with suppress(queue.Full):
                self._messages.put(entry, timeout=_WATCH_S)
                self.received += 1
                return
