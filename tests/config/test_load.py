"""Settings: what is wrong is named with its file, key and line, all of it at once."""

from pathlib import Path

import pytest

from config.load import Fault, SettingsError, load

GOOD = """\
log_format = "json"
data_dir = "/srv/fjarrvakt"

[database]
dsn = "host=db"       # a comment
shards = 16

[mqtt]
host = "broker"
topics = [
  "gw/+/up/#",
]

[[mbus]]
name = "cellar"
host = "10.0.0.1"
port = 10001

[[mbus]]
name = "attic"
host = "10.0.0.2"
port = 10001

[engine.daily_power]
clear_ratio = 0.9
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "fjarrvakt.toml"
    path.write_text(text, "utf-8")
    return path


def faults(path: Path | None, environ: dict[str, str]) -> list[Fault]:
    with pytest.raises(SettingsError) as caught:
        load(path, environ)
    return caught.value.faults


def test_defaults_without_a_file():
    assert load(None, {}).portal.port == 8080


def test_file_is_read(tmp_path):
    settings = load(write(tmp_path, GOOD), {})
    assert settings.database.shards == 16
    assert [bus.name for bus in settings.mbus] == ["cellar", "attic"]
    assert settings.engine.daily_power.clear_ratio == 0.9


def test_environment_wins_over_the_file(tmp_path):
    environ = {
        "FJARRVAKT_DATABASE__SHARDS": "8",
        "FJARRVAKT_MQTT__TOPICS": '["a/#", "b/#"]',
        "FJARRVAKT_ENGINE__DAILY_POWER__CLEAR_RATIO": "0.8",
        "FJARRVAKT_LOG_FORMAT": "text",
        "HOME": "/root",
    }
    settings = load(write(tmp_path, GOOD), environ)
    assert settings.database.shards == 8
    assert settings.mqtt.topics == ("a/#", "b/#")
    assert settings.engine.daily_power.clear_ratio == 0.8
    assert settings.log_format == "text"


def test_secret_from_a_file(tmp_path):
    secret = tmp_path / "smtp"
    secret.write_text("hush hush\n")
    settings = load(None, {"FJARRVAKT_NOTIFY__SMTP_PASSWORD_FILE": str(secret)})
    assert settings.notify.smtp_password.get_secret_value() == "hush hush"


@pytest.mark.parametrize(
    ("change", "line", "key", "message"),
    [
        pytest.param(
            ("port = 10001", "port = 70000"), 17, "mbus.0.port", "65535, got 70000", id="range"
        ),
        pytest.param(
            ("shards = 16", "shard = 16"), 6, "database.shard", "did you mean shards?", id="typo"
        ),
        pytest.param(
            ('"10.0.0.2"', "12"), 21, "mbus.1.host", "got 12", id="second entry of a list"
        ),
        pytest.param(
            ("clear_ratio = 0.9", "clear_ratio = 2"),
            25,
            "engine.daily_power.clear_ratio",
            "got 2",
            id="sub-table",
        ),
        pytest.param(
            ('name = "attic"', ""),
            19,
            "mbus.1.name",
            "required",
            id="missing: the line of its table",
        ),
        pytest.param(('"attic"', '"cellar"'), 20, "mbus.1.name", "another one", id="two of a name"),
        pytest.param(("[mqtt]", "[mqqt]"), 8, "mqqt", "did you mean mqtt?", id="table"),
        pytest.param(
            ("log_format", "#\n[[seasons]]\nwinter_from='02-30'\n[x]\ny"),
            4,
            "x",
            "no such setting",
            id="table x",
        ),
        pytest.param(
            ("[engine.", "[engine]\nmetering_tz = 'Mars/Base'\n[engine."),
            25,
            "engine.metering_tz",
            "Mars/Base",
            id="zone",
        ),
        pytest.param(
            ("[engine.", "[engine]\nmetering_tz = 'Europe/Stockholm'\n[engine."),
            25,
            "engine.metering_tz",
            "changes its offset",
            id="civil zone",
        ),
        pytest.param(
            ("[mqtt]", "[[seasons]]\nwinter_from = '02-30'\n[mqtt]"),
            9,
            "seasons.0.winter_from",
            "02-30",
            id="no such day",
        ),
    ],
)
def test_fault_is_placed(tmp_path, change, line, key, message):
    path = write(tmp_path, GOOD.replace(*change))
    found = [one for one in faults(path, {}) if one.key == key]
    assert [one.where for one in found] == [f"{path}:{line}"]
    assert message in found[0].message


def test_all_faults_at_once(tmp_path):
    path = write(tmp_path, GOOD.replace("shards", "shard").replace('"json"', '"xml"'))
    found = faults(path, {"FJARRVAKT_PORTAL__PORT": "many", "FJARRVAKT_MQTT__TOPICS": "[1"})
    assert {str(one).split(": ")[0] for one in found} == {
        f"{path}:1",
        f"{path}:6",
        "FJARRVAKT_PORTAL__PORT",
        "FJARRVAKT_MQTT__TOPICS",
    }


def test_not_toml_names_the_line(tmp_path):
    path = write(tmp_path, "a = 1\nb = = 2\n")
    assert [one.where for one in faults(path, {})] == [f"{path}:2"]


def test_no_such_file(tmp_path):
    assert "no such file" in str(faults(tmp_path / "none.toml", {})[0])


def test_wrong_variables(tmp_path):
    found = faults(
        None,
        {
            "FJARRVAKT_LOGFORMAT": "json",
            "FJARRVAKT_DATABASE__DSN_FILE": str(tmp_path / "none"),
            "FJARRVAKT_LOG_FORMAT__X": "1",
            "FJARRVAKT_LOG_FORMAT": "json",
            "FJARRVAKT_PORT_8080_TCP": "tcp://10.0.0.1:8080",
            "FJARRVAKT_TEST_DSN": "host=db",
        },
    )
    assert [one.where for one in found] == [
        "FJARRVAKT_DATABASE__DSN_FILE",
        "FJARRVAKT_LOG_FORMAT__X",
        "FJARRVAKT_LOGFORMAT",
    ]


def test_value_given_twice(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("host=db")
    variables = {"FJARRVAKT_DATABASE__DSN": "x", "FJARRVAKT_DATABASE__DSN_FILE": str(secret)}
    assert "as well" in faults(None, variables)[0].message


def test_a_secret_is_never_shown(tmp_path):
    path = write(tmp_path, "[notify]\nsmtp_password = 12345\n[database]\ndsn = ['hush']\n")
    text = "\n".join(map(str, faults(path, {})))
    assert "12345" not in text
    assert "hush" not in text


def test_lines_after_multi_line_strings(tmp_path):
    path = write(tmp_path, 'data_dir = """\nlog_format = 1\n"""\nlog_format = 2\n')
    assert [one.where for one in faults(path, {})] == [f"{path}:4"]
