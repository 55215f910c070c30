"""Meter profiles: which meter they are for, and what a wrong file is told."""

from fractions import Fraction
from pathlib import Path

import pytest

from adapters import identity
from config.profiles import ProfileError, load_profiles

KAMSTRUP = identity.parse("KAM-06855817-08-04")

GOOD = """
name = "test"
source = "this test"
[[meter]]
manufacturer = "ABC"
versions = [1]
media = [4]
[[meter.record]]
dib_vib = "04FF07"
register = "e8_mlc"
per_count = "100"
times_volume_step = true
"""


def test_shipped_profiles_load():
    profiles = load_profiles()
    names = {profile.name for profile in profiles.profiles}
    assert {"kamstrup-multical", "itron-cf", "fjarrvakt-simulator"} <= names
    kamstrup = profiles.match(KAMSTRUP)
    assert kamstrup is not None
    assert kamstrup.name == "kamstrup-multical"
    assert kamstrup.negative == "cooling_energy_j"
    assert profiles.match(identity.parse("KAM-06855817-08-07")) is None  # their water meters
    assert profiles.match(identity.parse("XYZ-06855817-08-04")) is None


def test_wrap_follows_the_step():
    kamstrup = load_profiles().match(KAMSTRUP)
    assert kamstrup is not None
    assert kamstrup.energy_modulus_j(3_600_000) == 10**7 * 3_600_000  # 7 digits of kWh
    assert kamstrup.volume_modulus_ml(10_000) == 10**7 * 10_000
    assert kamstrup.energy_modulus_j(0) is None


def test_most_specific_wins(tmp_path: Path):
    for name, keys in {
        "a_any": "",
        "b_version": "versions = [1]",
        "c_both": "versions = [1]\nmedia = [4]",
    }.items():
        text = f'name = "{name}"\nsource = "test"\n[[meter]]\nmanufacturer = "ABC"\n{keys}\n'
        (tmp_path / f"{name}.toml").write_text(text)
    profiles = load_profiles(tmp_path)
    found = {
        text: profiles.match(identity.parse(text))
        for text in ("ABC-00000001-01-04", "ABC-00000001-01-07", "ABC-00000001-02-04")
    }
    assert [profile.name for profile in found.values() if profile] == [
        "c_both",
        "b_version",
        "a_any",
    ]


def test_record_rule(tmp_path: Path):
    (tmp_path / "good.toml").write_text(GOOD)
    (rule,) = load_profiles(tmp_path).profiles[0].records
    assert rule.dib_vib == b"\x04\xff\x07"
    assert rule.factor == Fraction(100)
    assert rule.times_volume_step


@pytest.mark.parametrize(
    ("change", "key", "message"),
    [
        pytest.param(('"ABC"', '"AB"'), "meter[0].manufacturer", "three letters", id="letters"),
        pytest.param(
            ("e8_mlc", "e8"),
            "meter[0].record[0].register",
            "expected one of energy_j",
            id="register",
        ),
        pytest.param(
            ("04FF07", "04F"), "meter[0].record[0].dib_vib", "like 04FF07, got '04F'", id="hex"
        ),
        pytest.param(
            ('"100"', '"1/0"'), "meter[0].record[0].per_count", "denominator", id="division by zero"
        ),
        pytest.param(
            ('"100"', "100"), "meter[0].record[0].per_count", "number in quotes", id="not exact"
        ),
        pytest.param(('"100"', '"0"'), "meter[0].record[0].per_count", "above 0", id="factor 0"),
        pytest.param(
            ("times_volume", "time_volume"), "meter[0].record[0].time_volume_step", "", id="unknown"
        ),
        pytest.param(
            ('per_count = "100"', ""), "meter[0].record[0]", "expected a per_count", id="no factor"
        ),
        pytest.param(("[1]", "[256]"), "meter[0].versions[0]", "255", id="version over a byte"),
        pytest.param(('source = "this test"', ""), "source", "required", id="no source"),
        pytest.param(('name = "test"', "name = "), "", "expected TOML", id="not TOML"),
    ],
)
def test_wrong_file_names_file_and_key(tmp_path: Path, change, key, message):
    path = tmp_path / "wrong.toml"
    path.write_text(GOOD.replace(*change))
    with pytest.raises(ProfileError) as raised:
        load_profiles(tmp_path)
    assert str(path) in str(raised.value)
    assert key in str(raised.value)
    assert message in str(raised.value)


def test_missing_folder(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="folder with meter profiles"):
        load_profiles(tmp_path / "none")
