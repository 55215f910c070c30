"""What the fleet sends, decoded: the past, the present over three protocols, the planted."""

import asyncio
import socket
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from adapters.mbus.bus import MbusBus
from adapters.mbus.decode import decode_batch as decode_mbus
from adapters.modbus.decode import decode_batch as decode_modbus
from adapters.modbus.source import ModbusUnit
from adapters.mqtt.decode import decode_batch as decode_mqtt
from adapters.mqtt.source import MqttSource
from adapters.registers import REGISTER_INDEX, Decoded
from config.modbus_maps import load_maps
from config.profiles import load_profiles
from simulators.fleet import Course, Fleet, build_fleet
from simulators.gateway import Publication, connected_gateway
from simulators.history import history, live_publications, planted
from simulators.meters import MBUS_ADDRESS, MODBUS_MAP, MODBUS_UNIT, polled_meters
from simulators.telegrams import LIVE_STEP_US, register_values
from simulators.weather import HOUR_US

LIVE_US = int(datetime(2026, 1, 31, 23, tzinfo=UTC).timestamp()) * 1_000_000
PROFILES = load_profiles()


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return build_fleet(3, LIVE_US)


def decoded(publications: list[Publication]) -> Decoded:
    return decode_mqtt(
        [one.topic for one in publications], [one.payload for one in publications], PROFILES
    )


def column(rows: Any, register: str) -> Any:
    return rows.registers[:, REGISTER_INDEX[register]]


def test_a_season_of_telegrams_shows_the_simulators_own_registers(fleet: Fleet):
    first, last = 5000, 7000  # hours
    sent = [
        one
        for chunk in history(
            fleet, fleet.start_us + first * HOUR_US, fleet.start_us + last * HOUR_US
        )
        for one in chunk
    ]
    result = decoded(sent)
    rows = result.rows
    assert [one.temp_cc for one in result.outdoor] == [
        round(temp * 100) for temp in fleet.outdoor_temp_c[first:last].tolist()
    ]
    for course in fleet.courses:
        mine = (rows.identity == course.meter.identity) & (rows.at_us % HOUR_US == 0)
        mine &= rows.at_us < fleet.end_us  # a planted reading is from the far future
        shown, part = course.shown(), slice(first, last)
        energy_j = rows.registers[mine][:, REGISTER_INDEX[course.meter.energy_register]]
        assert np.array_equal(energy_j, shown.energy_wh[part] * 3600)
        for register, counter in (
            ("volume_ml", shown.volume_ml),
            ("e8_mlc", shown.e8_mlc),
            ("e9_mlc", shown.e9_mlc),
        ):
            assert np.array_equal(column(rows, register)[mine], counter[part]), register
        assert set(rows.energy_step_j[mine]) == {course.meter.layout.energy_step_j}
        assert set(rows.volume_step_ml[mine]) == {course.meter.layout.volume_step_ml}
        assert np.array_equal(rows.at_us[mine], fleet.start_us + np.arange(first, last) * HOUR_US)
        assert set(np.diff(rows.access[mine]) % 256) == {1}


def test_planted_messages_end_where_they_belong(fleet: Fleet):
    whole = Counter[str]()
    counts = planted(fleet)
    strangers = 0
    # The whole history is long; what is planted lies in known hours.
    for chunk in history(fleet, fleet.live_us - 45 * 24 * HOUR_US, fleet.live_us):
        result = decoded(chunk)
        whole.update(refusal.reason for refusal in result.refused.values())
        strangers += int((~np.isin(result.rows.identity, list(fleet.by_identity))).sum())
        far = result.rows.at_us > fleet.end_us
        whole["future"] += int(far.sum())
    assert strangers == counts.stranger == 30
    assert whole == {"frame": 1, "checksum": 1, "json": 1, "topic": 1, "future": 1}
    assert counts.garbage % 5 == 0
    assert counts.copies > 500


def test_live_time_goes_on_where_history_ends(fleet: Fleet):
    past = [one for chunk in history(fleet, LIVE_US - HOUR_US, LIVE_US) for one in chunk]
    live = live_publications(fleet, LIVE_US, LIVE_US + HOUR_US + 1)
    again = live_publications(build_fleet(3, LIVE_US), LIVE_US, LIVE_US + HOUR_US + 1)
    assert live == again
    rows = decoded(past + live).rows
    course = next(one for one in fleet.courses if one.meter.live == "mqtt")
    mine = rows.identity == course.meter.identity
    hours = [LIVE_US - HOUR_US, *range(LIVE_US, LIVE_US + HOUR_US + 1, LIVE_STEP_US)]
    assert rows.at_us[mine].tolist() == hours
    assert set(np.diff(rows.access[mine]) % 256) == {1}
    assert (np.diff(column(rows, "energy_j")[mine]) >= 0).all()
    polled = {one.meter.identity for one in fleet.courses if one.meter.live != "mqtt"}
    assert len(polled) == 2
    later = decoded(live).rows
    assert not np.isin(later.identity, list(polled)).any()
    # Until before, from on: nothing twice, nothing left out when asked in pieces.
    pieces = [
        one
        for at in range(LIVE_US, LIVE_US + HOUR_US, 7_000_000)
        for one in live_publications(fleet, at, min(at + 7_000_000, LIVE_US + HOUR_US))
    ]
    assert pieces == live_publications(fleet, LIVE_US, LIVE_US + HOUR_US)


def test_nothing_outside_the_fleets_life(fleet: Fleet):
    assert not list(history(fleet, fleet.start_us - HOUR_US, fleet.start_us))
    assert not live_publications(fleet, fleet.end_us, fleet.end_us + HOUR_US)
    course = fleet.courses[0]
    with pytest.raises(ValueError, match="nothing before its start"):
        register_values(fleet, course, np.array([fleet.start_us - 1]))


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])


def test_one_building_behind_three_protocols(fleet: Fleet, broker: Any):
    """Polled meters on the wire at a moment between quarters, the others through a broker."""
    at_us = LIVE_US + HOUR_US // 3
    by_live = {course.meter.live: course for course in fleet.courses}
    mbus_port, modbus_port = free_ports()

    async def polled() -> tuple[bytes, bytes]:
        async with (
            MbusBus("127.0.0.1", mbus_port) as bus,
            ModbusUnit(
                "127.0.0.1",
                modbus_port,
                unit=MODBUS_UNIT,
                meter="FJV-70101074-02-04",
                register_map=load_maps()[MODBUS_MAP],
            ) as unit,
        ):
            return await bus.read_meter(MBUS_ADDRESS), await unit.read()

    with polled_meters(fleet, lambda: at_us, mbus_port=mbus_port, modbus_port=modbus_port):
        on_bus, on_modbus = asyncio.run(polled())
    check(fleet, by_live["mbus"], at_us, decode_mbus([on_bus], PROFILES))
    modbus = decode_modbus([on_modbus], load_maps())
    modbus.rows.identity[:] = by_live["modbus"].meter.identity
    check(fleet, by_live["modbus"], at_us, modbus)

    source = MqttSource(broker.host, broker.port, client_id="t", topics=("gw/+/up/#",))
    source.start()
    while not source.connected:
        asyncio.run(asyncio.sleep(0.01))
    sent = live_publications(fleet, LIVE_US, LIVE_US + 1)
    with connected_gateway(broker.host, broker.port, "gateways") as gateway:
        assert gateway.publish(sent) == 41  # forty pushed meters and the weather
    came: list[Publication] = []
    while len(came) < len(sent):
        for message in source.take(1000, 1.0):
            came.append(Publication(message.topic, message.payload))
            message.ack()
    source.stop()
    assert came == sent


def check(fleet: Fleet, course: Course, at_us: int, result: Decoded) -> None:
    """A live answer shows every register of that moment."""
    assert not result.refused
    expected = register_values(fleet, course, np.array([at_us]))
    assert result.rows.identity.tolist() == [course.meter.identity]
    for register in ("energy_j", "volume_ml", "e8_mlc", "e9_mlc", "power_w", "flow_l_h"):
        assert column(result.rows, register).tolist() == expected[register].tolist(), register
    for register in ("supply_temp_cc", "return_temp_cc", "operating_h"):
        assert column(result.rows, register).tolist() == expected[register].tolist(), register
