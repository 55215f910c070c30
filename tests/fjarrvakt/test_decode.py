"""`fjarrvakt decode`: which decoder a telegram goes to, and what is said of its key."""

import json

import pytest
from typer.testing import CliRunner, Result

from fjarrvakt.__main__ import app

# OMS specification volume 2 annex N, profile A.
CIPHERED = (
    "2E4493157856341233037A2A0020255923C95AAA26D1B2E7493B013EC4A6F6D3529B520EDFF0EA6DEFC99D6D69EBF3"
)
KEY = "0102030405060708090A0B0C0D0E0F11"


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["decode", *args], env={"FJARRVAKT_CONFIG": None})


def wired() -> str:
    body = bytes.fromhex("0801727856341224040104010000000C0678563412")
    return (
        bytes((0x68, len(body), len(body), 0x68)) + body + bytes((sum(body) & 0xFF, 0x16))
    ).hex()


def test_a_key_opens_a_wireless_telegram():
    result = run("--json", "--key", KEY, CIPHERED)
    found = json.loads(result.stdout)
    assert (result.exit_code, found["security"], found["id"]) == (0, "mode5", "12345678")
    assert found["registers"]["volume_ml"] == 28_504_270_000


def test_the_table_names_the_security():
    assert "security mode5" in run("--key", KEY, CIPHERED).stdout


@pytest.mark.parametrize(
    ("key", "code", "said"),
    [
        pytest.param((), 1, "expected a key for ELS-12345678-33-03", id="missing"),
        pytest.param(("--key", "00" * 16), 1, "expected the key of ELS-12345678", id="wrong"),
        pytest.param(("--key", "00" * 15), 2, "--key has 15 bytes, expected 16", id="short"),
        pytest.param(("--key", "0z"), 2, "--key is not hex", id="not hex"),
    ],
)
def test_keys_that_do_not_fit(key, code, said):
    result = run(*key, CIPHERED)
    assert result.exit_code == code
    assert said in result.stderr


@pytest.mark.parametrize("before", ["", "e5", "107b017c16"], ids=["alone", "ack", "echo"])
def test_a_wired_telegram_is_found_behind_noise(before):
    result = run("--json", before + wired())
    assert json.loads(result.stdout)["registers"] == {"energy_j": 12345678 * 3_600_000}


def test_68_may_be_a_wireless_length():
    body = bytes.fromhex("44 4304 21436587 01 04 78 0406 E7910000") + b"\x2f" * 88
    frame = bytes((len(body),)) + body
    assert frame[0] == 0x68
    assert json.loads(run("--json", frame.hex()).stdout)["registers"]["energy_j"] > 0


def test_a_compact_frame_after_its_full_frame(shared):
    text = (shared / "telegrams/wmbus/heat.jsonl").read_text("utf-8")
    kamstrup = [line for line in map(json.loads, text.splitlines()) if line["driver"] == "kamheat"]
    full, short = (line["telegram"] for line in kamstrup if line["meter_id"] == "67947613")
    assert run(short).exit_code == 1
    assert run(full, short).exit_code == 0
