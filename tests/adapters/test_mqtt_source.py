"""Against a real mosquitto: acknowledged only when told, redelivered after every kind of end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.backoff import Backoff
from adapters.mqtt.source import Message, MqttSource
from simulators.gateway import Publication, connected_gateway

TOPICS = ("gw/+/up/#",)


def source(broker: Any, **more: Any) -> MqttSource:
    made = MqttSource(
        broker.host,
        broker.port,
        client_id="ingest-test",
        topics=TOPICS,
        backoff=Backoff(0.05, 0.2),
        **more,
    )
    made.start()
    wait_for(lambda: made.connected)
    return made


def take(one: MqttSource, count: int) -> list[Message]:
    taken: list[Message] = []
    deadline = time.monotonic() + 20
    while len(taken) < count:
        if time.monotonic() > deadline:
            pytest.fail(f"{len(taken)} of {count} messages came")
        taken += one.take(count - len(taken), 0.1)
    return taken


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("the condition did not come true in time")
        time.sleep(0.01)


def publish(broker: Any, first: int, last: int) -> None:
    with connected_gateway(broker.host, broker.port, "gw-test") as gateway:
        gateway.publish(
            Publication("gw/a/up/telegram", str(number).encode()) for number in range(first, last)
        )


def numbers(messages: list[Message]) -> list[int]:
    return [int(message.payload) for message in messages]


@pytest.mark.parametrize(
    "protocol", [pytest.param(5, id="MQTT 5"), pytest.param(4, id="MQTT 3.1.1")]
)
def test_in_order_and_never_again_once_acknowledged(broker: Any, protocol: int):
    one = source(broker, protocol=protocol)
    publish(broker, 0, 300)
    messages = take(one, 300)
    assert numbers(messages) == list(range(300))
    assert messages[0].topic == "gw/a/up/telegram"
    for message in messages:
        message.ack()
    one.stop()
    assert (one.received, one.connections, one.acks_dropped) == (300, 1, 0)
    other = source(broker, protocol=protocol)
    publish(broker, 300, 301)
    assert numbers(take(other, 1)) == [300]
    other.stop()


@pytest.mark.parametrize(
    "protocol", [pytest.param(5, id="MQTT 5"), pytest.param(4, id="MQTT 3.1.1")]
)
def test_what_was_not_acknowledged_comes_again_after_a_stop(broker: Any, protocol: int):
    one = source(broker, protocol=protocol)
    publish(broker, 0, 100)
    messages = take(one, 100)
    for message in messages[:40]:
        message.ack()
    one.stop()
    for message in messages[40:]:
        message.ack()  # too late: the connection it came by is gone
    assert one.acks_dropped == 60
    publish(broker, 100, 110)  # while nobody listens
    other = source(broker, protocol=protocol)
    assert sorted(numbers(take(other, 70))) == list(range(40, 110))
    other.stop()


CONSUMER = """
import sys
from adapters.mqtt.source import Message, MqttSource
source = MqttSource("127.0.0.1", int(sys.argv[1]), client_id="ingest-test", topics=("gw/+/up/#",))
source.start()
acknowledged = 0
while True:
    for message in source.take(1000, 0.1):
        if acknowledged < 30:
            message.ack()
            acknowledged += 1
        print("got", message.payload.decode(), flush=True)
"""


def test_redelivery_after_kill_9(broker: Any):
    # The session must exist before the first message, or the broker has nobody to keep it for.
    source(broker).stop()
    publish(broker, 0, 200)
    process = subprocess.Popen(
        [sys.executable, "-c", CONSUMER, str(broker.port)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        text=True,
    )
    with process:
        assert process.stdout is not None
        got = 0
        while got < 200:
            got += process.stdout.readline().startswith("got")
        os.kill(process.pid, signal.SIGKILL)
    one = source(broker)
    again: list[int] = []
    while 199 not in again:
        again += numbers(take(one, 1))
    one.stop()
    # The kill may have come before the last acknowledgements left; those come twice, none is lost.
    assert set(range(30, 200)) <= set(again) <= set(range(200))


def test_who_takes_nothing_pushes_back_and_loses_nothing(broker: Any):
    one = source(broker, queue_max=50)
    publish(broker, 0, 2000)
    time.sleep(0.3)
    assert one.received <= 50  # the rest waits in the broker and in TCP
    messages = []
    while len(messages) < 2000:
        for message in take(one, 1):
            message.ack()
            messages.append(message)
    assert numbers(messages) == list(range(2000))
    one.stop()


def test_stops_while_pushing_back(broker: Any):
    one = source(broker, queue_max=5)
    publish(broker, 0, 100)
    wait_for(lambda: one.received == 5)
    one.stop()
    assert not one.alive


def test_a_dead_network_thread_is_seen_and_replaced(broker: Any):
    one = source(broker)
    dying = one._epoch
    assert dying is not None
    # What paho's thread ends with when it is killed by an exception: no callback, no disconnect.
    dying._thread_terminate = True
    wait_for(lambda: one.connections == 2)
    assert one.connected
    publish(broker, 0, 5)
    assert numbers(take(one, 5)) == list(range(5))
    one.stop()


def test_comes_back_when_the_broker_does(broker: Any):
    one = MqttSource(
        "127.0.0.1",
        1,  # nobody there
        client_id="ingest-test",
        topics=TOPICS,
        backoff=Backoff(0.05, 0.1),
    )
    one.start()
    time.sleep(0.3)
    assert one.alive
    assert not one.connected
    one._port = broker.port
    wait_for(lambda: one.connected)
    publish(broker, 0, 3)
    assert numbers(take(one, 3)) == [0, 1, 2]
    one.stop()
    assert not one.alive


@pytest.mark.parametrize(
    "first_s", [pytest.param(1.0, id="a second"), pytest.param(0.5, id="half")]
)
def test_backoff_doubles_with_jitter_and_is_capped(first_s: float):
    backoff = Backoff(first_s, 8.0)
    waits = [backoff.next_s() for _ in range(8)]
    for number, wait_s in enumerate(waits):
        whole = min(8.0, first_s * 2**number)
        assert whole / 2 <= wait_s <= whole
    backoff.reset()
    assert backoff.next_s() <= first_s
