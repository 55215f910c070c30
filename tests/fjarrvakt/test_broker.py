"""The demo's broker: mosquitto, or amqtt where there is none, and it says so."""

import gc
import shutil
import threading

import paho.mqtt.client as mqtt
import pytest

from fjarrvakt import broker
from fjarrvakt.server_files import free_port


def exchange(port: int, version: int) -> bytes:
    """Publish to oneself at quality of service 1; what arrives."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=version)
    arrived = threading.Event()
    got: list[bytes] = []
    client.on_message = lambda *args: (got.append(args[-1].payload), arrived.set())
    client.on_subscribe = lambda *_: client.publish("gw/1/up/telegram", b"68", qos=1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe("gw/#", qos=1)
    assert arrived.wait(10)
    client.disconnect()
    client.loop_stop()
    return got[0]


def test_mosquitto_speaks_mqtt_5(tmp_path):
    if shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin") is None:
        pytest.skip("mosquitto is not installed")
    said: list[str] = []
    with broker.running(tmp_path, free_port(), said.append) as found:
        assert found.version == mqtt.MQTTv5
        assert exchange(found.port, found.version) == b"68"
    assert said == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # amqtt's, like the next one
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_amqtt_stands_in_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(broker.shutil, "which", lambda *_, **__: None)
    said: list[str] = []
    with broker.running(tmp_path, free_port(), said.append) as found:
        assert found.version == mqtt.MQTTv311
        assert exchange(found.port, found.version) == b"68"
    assert "embedded broker" in said[0]
    gc.collect()  # while its open transports are still forgiven


def test_a_taken_port_is_told(tmp_path):
    port = free_port()
    with (
        broker.running(tmp_path / "a", port, lambda _: None),
        pytest.raises(broker.BrokerError, match="does not start"),
        broker.running(tmp_path / "b", port, lambda _: None),
    ):
        pass
