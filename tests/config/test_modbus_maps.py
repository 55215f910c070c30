"""Register maps: those shipped load, and every mistake names file and key."""

from fractions import Fraction
from pathlib import Path

import pytest

from adapters.modbus.registermap import Block
from config.modbus_maps import MapError, load_map, load_maps

HEAD = 'name = "m"\nsource = "sheet"\nfunction = 3\naddress_base = 1\n'
POINT = '[[point]]\nregister = "energy_j"\naddress = 5\ntype = "u32"\nunit = "kWh"\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "m.toml"
    path.write_text(text, "utf-8")
    return path


def test_shipped_maps_load():
    maps = load_maps()
    assert set(maps) == {"kamstrup_403", "simulator"}
    # Kamstrup data sheet 58101758: flow V1, power, t1, t2 of the default datagram.
    addresses = {point.register: point.address for point in maps["kamstrup_403"].points}
    assert addresses == {
        "flow_l_h": 0x0000,
        "power_w": 0x0004,
        "supply_temp_cc": 0x0006,
        "return_temp_cc": 0x0008,
    }
    assert maps["simulator"].blocks() == (Block(4, 0, 26),)


def test_base_scale_and_unit_become_one_scale_on_the_wire(tmp_path: Path):
    text = HEAD + POINT + "scale = 0.01\ninvalid = [0xFFFFFFFF]\n"
    (point,) = load_map(written(tmp_path, text)).points
    assert (point.address, point.scale) == (4, Fraction(36_000))
    assert point.invalid == (0xFFFFFFFF,)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("name = ", "m.toml: Invalid value", id="not TOML"),
        pytest.param(HEAD, "point: Field required", id="no point"),
        pytest.param(HEAD + "colour = 1\n" + POINT, "colour: Extra inputs", id="unknown key"),
        pytest.param(
            HEAD.replace("3", "6") + POINT, "function: Input should be 3 or 4", id="function"
        ),
        pytest.param(HEAD.replace("1", "2") + POINT, "address_base: Input", id="address base"),
        pytest.param(
            HEAD + 'order = "ACBD"\n' + POINT, "order: Input should be 'ABCD'", id="order"
        ),
        pytest.param(
            HEAD + POINT.replace("energy_j", "energy"),
            "point.0.register: unknown 'energy'",
            id="register",
        ),
        pytest.param(
            HEAD + POINT.replace("kWh", "m3"),
            "point.0.unit: 'm3' is no unit of energy_j",
            id="unit",
        ),
        pytest.param(
            HEAD + POINT.replace("u32", "u33"), "point.0.type: Input should be", id="type"
        ),
        pytest.param(
            HEAD + POINT + POINT, "point.1.register: 'energy_j' is given twice", id="twice"
        ),
        pytest.param(
            HEAD + POINT.replace("5", "0"),
            "point.0.address: 0 with address_base 1",
            id="below zero",
        ),
        pytest.param(
            HEAD + POINT.replace("= 5", "= 65536"), "point.0.address: 65536", id="past the end"
        ),
        pytest.param(
            HEAD + POINT + "invalid = [0x1FFFFFFFF]\n",
            "point.0.invalid: 0x1ffffffff",
            id="mark too wide",
        ),
        pytest.param(
            HEAD + POINT + "scale = 0\n", "point.0.scale: Input should be greater", id="scale"
        ),
    ],
)
def test_a_mistake_names_file_and_key(tmp_path: Path, text: str, says: str):
    with pytest.raises(MapError) as raised:
        load_map(written(tmp_path, text))
    assert str(tmp_path / "m.toml") in str(raised.value)
    assert says in str(raised.value)


def test_two_files_of_one_name(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text(HEAD + POINT)
    with pytest.raises(MapError, match=r"b\.toml: name: 'm' is also"):
        load_maps(tmp_path)
