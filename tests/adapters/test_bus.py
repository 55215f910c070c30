"""Polling a meter over TCP: the standard's requests, and everything that goes wrong."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from adapters import identity
from adapters.backoff import Backoff
from adapters.mbus import encode
from adapters.mbus.bus import TELEGRAMS_MAX, MbusBus, MbusError, more_follows
from adapters.mbus.link import Stream, req_ud2, snd_nke
from simulators.mbus_meters import MbusMeter, Mishap, mbus_gateway

METER = identity.parse("FJV-70100027-01-04")
TIMEOUT_S = 0.15


def frame(energy_kwh: int, *, address: int = 1, access: int = 0, more: bool = False) -> bytes:
    records = [encode.integer("0406", energy_kwh, 4)] + ([b"\x1f"] if more else [])
    return encode.telegram(METER, records, address=address, access=access)


def fixed(*frames: bytes, address: int = 1, mishaps: Sequence[Mishap] = ()) -> MbusMeter:
    return MbusMeter(address, lambda: frames, mishaps)


def bus(port: int) -> MbusBus:
    return MbusBus("127.0.0.1", port, timeout_s=TIMEOUT_S, retries=2, backoff=Backoff(0.02, 0.05))


def read(meter: MbusMeter, *, echo: bool = False, times: int = 1) -> list[bytes]:
    async def run() -> list[bytes]:
        async with mbus_gateway([meter], echo=echo) as port, bus(port) as one:
            return [await one.read_meter(meter.address) for _ in range(times)]

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("request_bytes", "hex_text"),
    [
        # EN 13757-2:2018 5.5.4, MBDOC48 5.2: C field 40, 5B, 7B.
        pytest.param(snd_nke(1), "1040014116", id="SND_NKE"),
        pytest.param(req_ud2(1, fcb=True), "107b017c16", id="REQ_UD2, FCB 1"),
        pytest.param(req_ud2(1, fcb=False), "105b015c16", id="REQ_UD2, FCB 0"),
        pytest.param(req_ud2(254, fcb=True), "107bfe7916", id="checksum wraps"),
    ],
)
def test_requests(request_bytes: bytes, hex_text: str):
    assert request_bytes.hex() == hex_text


def test_one_telegram_and_the_connection_is_kept():
    meter = fixed(frame(5))
    assert read(meter, times=3) == [frame(5)] * 3
    assert meter.asked == 6  # SND_NKE and REQ_UD2 each time


@pytest.mark.parametrize(
    "mishaps",
    [
        pytest.param([Mishap.LOST], id="E5 lost"),
        pytest.param([None, Mishap.LOST], id="answer lost"),
        pytest.param([None, Mishap.LOST, Mishap.LOST], id="answer lost twice"),
        pytest.param([None, Mishap.CHECKSUM], id="broken checksum"),
        pytest.param([None, Mishap.CUT], id="cut"),
        pytest.param([Mishap.NOISE, Mishap.NOISE], id="noise around both"),
        pytest.param([None, Mishap.NOISE, Mishap.LOST], id="noise"),
        pytest.param([Mishap.DROP], id="connection dropped at SND_NKE"),
        pytest.param([None, Mishap.DROP], id="connection dropped at REQ_UD2"),
        pytest.param([Mishap.CHECKSUM, None, Mishap.CUT, Mishap.CHECKSUM], id="many"),
    ],
)
@pytest.mark.parametrize("echo", [pytest.param(False, id="plain"), pytest.param(True, id="echo")])
def test_a_lost_answer_is_asked_for_again(mishaps: list[Mishap], echo: bool):
    sent = (frame(1, access=9, more=True), frame(2, access=10, more=True), frame(3, access=11))
    assert read(fixed(*sent, mishaps=mishaps), echo=echo) == [b"".join(sent)]


def test_a_lost_middle_telegram_is_neither_skipped_nor_doubled():
    sent = (frame(1, more=True), frame(2, more=True), frame(3))
    mishaps = [None, None, Mishap.LOST, Mishap.CHECKSUM, None]
    assert read(fixed(*sent, mishaps=mishaps)) == [b"".join(sent)]


def test_a_meter_that_ignores_the_fcb_is_read_once():
    same = frame(1, access=3, more=True)
    assert read(fixed(*[same] * 5)) == [same]


def test_a_meter_without_end_is_left():
    sent = [frame(number, more=True) for number in range(TELEGRAMS_MAX + 8)]
    assert read(fixed(*sent)) == [b"".join(sent[:TELEGRAMS_MAX])]


def test_a_dead_meter_does_not_stop_the_bus():
    dead = fixed(frame(2, address=2), address=2, mishaps=[Mishap.LOST] * 3)
    noisy = fixed(frame(4, address=4), address=4, mishaps=[Mishap.CHECKSUM] * 99)
    meters = [
        fixed(frame(1)), dead, fixed(frame(3, address=3), address=3), noisy,
        fixed(frame(6, address=6), address=6),
    ]  # fmt: skip
    got: list[tuple[str, bytes]] = []
    threads: set[str] = set()

    def deliver(address: str, payload: bytes) -> None:
        threads.add(threading.current_thread().name)
        got.append((address, payload))

    async def run() -> tuple[dict[int, str], dict[int, str]]:
        async with mbus_gateway(meters) as port, bus(port) as one:
            return await one.poll([1, 2, 3, 4, 5, 6], deliver), await one.poll([2], deliver)

    failed, later = asyncio.run(run())
    assert [address for address, _ in got] == ["1", "3", "6", "2"]
    assert set(failed) == {2, 4, 5}
    assert "address 2: asked 10 40 02 42 16 3 times, expected E5, got silence" in failed[2]
    assert "address 4" in failed[4]
    assert "bytes that are no frame" in failed[4]
    assert later == {}
    assert "MainThread" not in threads  # a full journal must not hold up the other buses


def test_another_meters_answer_is_not_taken():
    stray = MbusMeter(1, lambda: [frame(9, address=7)])
    with pytest.raises(MbusError, match="expected a long frame, got silence"):
        read(stray)


def test_no_gateway():
    async def run() -> dict[int, str]:
        async with bus(1) as one:
            return await one.poll(range(250), lambda _address, _payload: None)

    failed = asyncio.run(run())  # in the time of three attempts, not of 250 meters'
    assert len(failed) == 250
    assert "M-Bus 127.0.0.1:1: no connection" in failed[1]


def test_a_gateway_that_returns_is_used_again():
    got: list[str] = []

    async def run() -> list[dict[int, str]]:
        failed = []
        async with mbus_gateway([fixed(frame(1))]) as port:
            one = bus(port)
            failed.append(await one.poll([1], lambda address, _: got.append(address)))
        failed.append(await one.poll([1], lambda address, _: got.append(address)))
        async with mbus_gateway([fixed(frame(1))], port=port):
            failed.append(await one.poll([1], lambda address, _: got.append(address)))
            await one.close()
        return failed

    first, second, third = asyncio.run(run())
    assert (first, third) == ({}, {})
    assert set(second) == {1}
    assert got == ["1", "1"]


def test_more_follows():
    assert more_follows(frame(1, more=True))
    assert not more_follows(frame(1))
    # 1F as data is no DIF.
    assert not more_follows(encode.telegram(METER, [encode.integer("0406", 0x1F1F1F1F, 4)]))


@pytest.mark.parametrize(
    ("pieces", "ended", "taken", "noise"),
    [
        pytest.param(["e5"], False, ["e5"], 0, id="E5"),
        pytest.param(["1040014116", "e5"], False, ["e5"], 0, id="echo, then E5"),
        pytest.param(["ffffe5"], False, ["e5"], 2, id="noise before"),
        pytest.param(["68ff"], False, [], 0, id="a beginning waits"),
        pytest.param(["68ff"], True, [], 2, id="a beginning that ended is noise"),
        pytest.param(["68ffff68e5"], True, ["e5"], 4, id="resync inside a false beginning"),
        pytest.param(["6803036808017", "20000"], False, [], 0, id="odd split waits"),
    ],
)
def test_stream(pieces: list[str], ended: bool, taken: list[str], noise: int):
    stream = Stream()
    text = "".join(pieces)
    stream.feed(bytes.fromhex(text))
    got = []
    while (answer := stream.take(ended=ended)) is not None:
        got.append(answer.hex())
    assert got == taken
    assert stream.noise == noise or not noise


def test_stream_byte_by_byte():
    stream = Stream()
    got = []
    for byte in b"\x68\x04" + snd_nke(1) + frame(1) + b"\x00" + frame(2):
        stream.feed(bytes((byte,)))
        if (answer := stream.take()) is not None:
            got.append(answer)
    assert got == [frame(1), frame(2)]
