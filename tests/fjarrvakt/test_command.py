"""The command line: data on stdout, reasons on stderr, exit codes as documented."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fjarrvakt.__main__ import app
from fjarrvakt.postgres import EmbeddedPostgres
from store.connection import connect


@pytest.fixture
def environ(dsn: str, tmp_path: Path) -> dict[str, str]:
    return {"FJARRVAKT_DATABASE__DSN": dsn, "FJARRVAKT_DATA_DIR": str(tmp_path)}


def run(*args: str, **environ: str) -> Result:
    return CliRunner().invoke(app, args, env={"FJARRVAKT_CONFIG": None, **environ})


def printed(*args: str, **environ: str) -> object:
    result = run(*args, "--json", **environ)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    "command", ["check", "run", "db migrate", "facility list", "journal status"]
)
def test_wrong_settings_name_file_key_and_line(tmp_path, command):
    config = tmp_path / "fjarrvakt.toml"
    config.write_text("[mqtt]\nhost = 'broker'\nprot = 1883\n\n[portal]\nport = 'http'\n")
    result = run(*command.split(), "--config", str(config))
    assert result.exit_code == 78
    assert result.stdout == ""
    assert f"{config}:3: mqtt.prot: no such setting; did you mean port?" in result.stderr
    assert f"{config}:6: portal.port:" in result.stderr


def test_check_prints_the_settings_without_secrets(tmp_path):
    secret = {"FJARRVAKT_NOTIFY__SMTP_PASSWORD": "hush", "FJARRVAKT_DATABASE__DSN": "password=hush"}
    result = run("check", **secret)
    assert result.exit_code == 0
    assert "hush" not in result.output
    copy = tmp_path / "copy.toml"
    copy.write_text(result.stdout)
    assert run("check", "--config", str(copy)).exit_code == 0
    assert printed("check", **secret)["notify"]["smtp_password"] != "hush"


def test_unknown_role():
    result = run("run", "--role", "cook")
    assert result.exit_code == 2
    assert "ingest, engine, notify, portal" in result.stderr


def test_no_database_is_said_plainly():
    result = run("facility", "list", FJARRVAKT_DATABASE__DSN="host=127.0.0.1 port=1 password=hush")
    assert result.exit_code == 1
    assert "no database" in result.stderr
    assert "hush" not in result.output
    assert "Traceback" not in result.output


def test_setting_up_an_installation(environ):
    facility = printed(
        *(
            "facility",
            "add",
            "Kv. Björken 3",
            "--customer",
            "1001",
            "--customer-name",
            "Brf Björken",
        ),
        *("--metering-point", "735999", "--station", "98230"),
        **environ,
    )["facility_id"]
    meter = ("meter", "add", "KAM-06855817-08-04", "--facility", "735999")
    first = printed(*meter, **environ)
    assert printed(*meter, **environ) == first  # harmless when repeated
    listed = printed("facility", "list", **environ)
    assert listed[0]["facility_id"] == facility
    assert listed[0]["meters"] == ["KAM-06855817-08-04"]
    assert printed("meter", "list", **environ)[0]["commodity"] == "heat"
    user = ("user", "add", "Anna@example.se", "--customer", "1001")
    assert run(*user, FJARRVAKT_NEW_PASSWORD="correct horse", **environ).exit_code == 0
    with connect(environ["FJARRVAKT_DATABASE__DSN"]) as conn:
        row = conn.execute(
            "select email, password_hash, level from app_user join grant_customer using (user_id)"
        ).fetchone()
    assert row[0] == "anna@example.se"
    assert row[1].startswith("$argon2id$")
    assert row[2] == "full"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        pytest.param("meter add KAM-1 --facility 1", 2, "KAM-06855817-08-04", id="identity"),
        pytest.param("meter add KAM-06855817-08-04 --facility 9", 1, "no facility", id="facility"),
        pytest.param(
            "user add a@b.se --customer 9 --password longenough", 1, "no customer", id="customer"
        ),
        pytest.param(
            "user add a@b.se --customer 9 --password short", 2, "8 characters", id="password"
        ),
        pytest.param(
            "user add anna --customer 9 --password longenough", 2, "mail address", id="mail"
        ),
        pytest.param("bench nothing", 2, "no benchmark", id="bench"),
        pytest.param("decode 68zz", 2, "not hex", id="decode"),
        pytest.param("decode", 2, "--file", id="decode nothing"),
        pytest.param("journal status", 1, "no journal", id="journal"),
    ],
)
def test_refusals(environ, args, code, said):
    result = run(*args.split(), **environ)
    assert result.exit_code == code, result.output
    assert said in result.stderr


def test_a_meter_counts_for_one_place(environ):
    for number in ("1", "2"):
        run(
            "facility",
            "add",
            f"house {number}",
            "--customer",
            "1001",
            "--metering-point",
            f"m{number}",
            **environ,
        )
    meter = ("meter", "add", "KAM-06855817-08-04", "--facility")
    assert run(*meter, "m1", **environ).exit_code == 0
    refused = run(*meter, "m2", **environ)
    assert refused.exit_code == 1
    assert "house 1" in refused.stderr
    # Its other register may count elsewhere.
    cooling = ("m2", "--commodity", "cooling", "--cooling-register")
    assert run(*meter, *cooling, **environ).exit_code == 0


def test_version():
    assert printed("version")["fjarrvakt"] == run("version").stdout.strip()


@pytest.mark.db
def test_embedded_database_comes_and_goes_with_a_command(tmp_path):
    environ = {"FJARRVAKT_DATA_DIR": str(tmp_path), "FJARRVAKT_DATABASE__DSN": ""}
    planned = run("db", "migrate", "--plan", **environ)
    assert planned.stdout.startswith("0001")
    assert run("db", "migrate", **environ).stdout == planned.stdout
    assert run("db", "migrate", **environ).stdout == ""
    server = EmbeddedPostgres(tmp_path / "postgres")
    server._load_state()
    assert not server.alive()
    server.destroy()


def test_help_imports_nothing_heavy():
    """--help is under 0.3 s (`fjarrvakt bench setup`) because of what it does not import."""
    program = (
        "import sys\nfrom fjarrvakt.__main__ import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'numba', 'pydantic', 'fastapi', 'psycopg', 'rich', 'structlog'}\n"
        "print(heavy & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "set()"
    assert "Exit codes" in done.stdout
