"""Receiving from an MQTT broker so that nothing is acknowledged before it is safe.

paho acknowledges when told to (`manual_ack`), and a session that the broker keeps (`clean_start` off,
a fixed client id) delivers again what was not acknowledged before a crash. `deliver` may block: then
paho reads no more and TCP pushes back, because brokers have been seen to ignore Receive Maximum.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from adapters.backoff import Backoff

Deliver = Callable[[str, bytes, Callable[[], None]], None]
"""Takes topic, payload and how to acknowledge: to be called, from any thread, once it is stored durably.

May block. If it raises, the connection is dropped and the broker delivers the message again."""

_KEEPALIVE_S: Final = 60  # generous: a blocked `deliver` keeps paho from sending pings
_CONNECT_TIMEOUT_S: Final = 10.0
_WATCH_S: Final = 0.5
_STOP_S: Final = 10.0

log = structlog.get_logger()


class MqttSource:
    """A subscription that survives broker, network and our own death.

    `connected` and `alive` tell its state; `received`, `connections` and `acks_dropped` count.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        client_id: str,
        topics: Sequence[str],
        deliver: Deliver,
        username: str = "",
        password: str = "",
        session_expiry_s: int = 7 * 86400,
        receive_max: int = 1000,
        backoff: Backoff | None = None,
    ) -> None:
        self._host, self._port = host, port
        self._client_id, self._topics = client_id, tuple(topics)
        self._deliver = deliver
        self._username, self._password = username, password
        self._session_expiry_s, self._receive_max = session_expiry_s, receive_max
        self._backoff = backoff or Backoff()
        self._stopping = threading.Event()
        # The connection in use. Each has a client of its own, so the object is the epoch of its messages:
        # message ids begin again on a new session, and an old id would acknowledge a stranger.
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
        """Disconnect, keeping the session: what is not acknowledged comes again next time.

        A `deliver` that blocks is left behind after ten seconds; its message is not acknowledged.
        """
        self._stopping.set()
        if self._supervisor.is_alive():
            self._supervisor.join(_STOP_S)

    def _ack(self, epoch: Client, mid: int, qos: int) -> None:
        with self._epoch_lock:
            if epoch is self._epoch:
                epoch.ack(mid, qos)
            else:
                self.acks_dropped += 1

    def _supervise(self) -> None:
        """One connection after the other. paho's own reconnecting has no jitter and dies of exceptions."""
        while not self._stopping.is_set():
            client = self._new_client()
            try:
                client.connect(
                    self._host,
                    self._port,
                    keepalive=_KEEPALIVE_S,
                    clean_start=False,
                    properties=self._connect_properties(),
                )
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
            protocol=MQTTProtocolVersion.MQTTv5,
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

    def _connect_properties(self) -> Properties:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = self._session_expiry_s
        properties.ReceiveMaximum = self._receive_max
        return properties

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
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        client.subscribe([(topic, options) for topic in self._topics])
        log.info(
            "mqtt_connected", host=self._host, port=self._port, session=bool(flags.session_present)
        )

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
        """Hand over and nothing else: an exception that leaves here kills paho's thread in silence."""
        try:
            mid, qos = message.mid, message.qos
            self._deliver(message.topic, message.payload, lambda: self._ack(client, mid, qos))
            self.received += 1
        except Exception as error:  # noqa: BLE001  # whatever it is, the message must come again
            log.error("mqtt_deliver_failed", error=f"{type(error).__name__}: {error}")
            client.disconnect()
