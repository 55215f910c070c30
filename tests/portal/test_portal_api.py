"""What the API says of known rows; every answer also fits its documented model."""

from pathlib import Path

import pytest

from portal.api import bodies
from tests.portal import seed

pytestmark = pytest.mark.db

METERING_DAY = {"from": "2026-11-10", "to": "2026-11-11"}


def put_hours(conn, facility_id, first, rows, commodity=1):
    """Hours from `first` on: (kWh, m3, return °C, quality); a supply of 80 °C."""
    for index, (kwh, m3, return_c, quality) in enumerate(rows):
        conn.execute(
            "insert into hour (facility_id, commodity, start_at, energy_j, volume_ml, e8_mlc,"
            " e9_mlc, quality, method_version)"
            " values (%s, %s, %s::timestamptz + %s * interval '1 h', %s, %s, %s, %s, %s, 1)",
            (
                facility_id,
                commodity,
                first,
                index,
                None if kwh is None else round(kwh * 3_600_000),
                None if m3 is None else round(m3 * 1_000_000),
                None if m3 is None else round(m3 * 1_000_000 * 80),
                None if m3 is None else round(m3 * 1_000_000 * return_c),
                quality,
            ),
        )


@pytest.fixture
def house(conn, world) -> int:
    """The house with its history gone, so that a test's own rows are all there is."""
    conn.execute("delete from hour where facility_id = %s", (world.house,))
    conn.execute("delete from day where facility_id = %s", (world.house,))
    return world.house


ENDPOINTS = [
    ("/api/v1/session", bodies.SessionBody),
    ("/api/v1/facilities", bodies.FacilitiesBody),
    ("/api/v1/facilities/{house}", bodies.FacilityBody),
    ("/api/v1/facilities/{both}/meters", bodies.MetersBody),
    ("/api/v1/facilities/{house}/meters/{meter}/readings", bodies.ReadingsBody),
    ("/api/v1/facilities/{both}/hours?commodity=cooling", bodies.HoursBody),
    ("/api/v1/facilities/{house}/days", bodies.DaysBody),
    ("/api/v1/facilities/{house}/months", bodies.MonthsBody),
    ("/api/v1/facilities/{house}/limits", bodies.LimitsBody),
    ("/api/v1/facilities/{both}/rules", bodies.RulesBody),
    ("/api/v1/alarms", bodies.AlarmsBody),
    ("/api/v1/alarms/{active}", bodies.AlarmDetailBody),
    ("/api/v1/notices", bodies.NoticesBody),
    ("/api/v1/findings", bodies.FindingsBody),
    ("/api/v1/telegrams", bodies.TelegramsBody),
    ("/api/v1/meters/unclaimed", bodies.UnclaimedMetersBody),
]


def test_answers_fit_their_models(world, log_in, conn):
    meter = seed.meter_of(conn, world.house)
    seed.add_held_telegrams(conn)
    conn.execute(
        "insert into finding (facility_id, meter_id, kind, at, telegram_id, detail)"
        " values (%s, %s, 'NEGATIVE_STEP', '2026-11-01Z', 1, 'energy_j fell by 3600000')",
        (world.house, meter),
    )
    client = log_in()
    for path, model in ENDPOINTS:
        answer = client.get(path.format(**world.__dict__, meter=meter))
        assert answer.status_code == 200, (path, answer.text)
        model.model_validate_json(answer.content)


def test_hours_are_exact_and_gaps_are_null(house, log_in, conn):
    rows = [(10, 0.2, 30, 1), (2, 0.1, 50, 2), (0, 0, 0, 1), (None, None, 0, 5)]
    put_hours(conn, house, "2026-11-09 23:00Z", rows)
    put_hours(conn, house, "2026-11-10 05:00Z", [(1, 0.1, 55, 3)])
    body = log_in().get(f"/api/v1/facilities/{house}/hours", params=METERING_DAY).json()
    assert body["t"] == [1_794_265_200 + 3600 * k for k in range(7)]
    assert body["quality"] == ["M", "I", "M", "X", None, None, "P"]
    series = body["series"]
    assert series["energy_kwh"] == [10, 2, 0, None, None, None, 1]
    assert series["power_kw"] == series["energy_kwh"]
    assert series["return_temp_c"] == [30, 50, None, None, None, None, 55]
    assert series["supply_temp_c"] == [80, 80, None, None, None, None, 80]
    assert series["cooling_k"] == [50, 30, None, None, None, None, 25]
    assert series["outdoor_temp_c"][0] is not None
    assert body["unit"]["volume_m3"] == "m3"
    assert body["from"] == "2026-11-09T23:00:00Z", "a date is the metering day, normal time"


def test_period_temperatures_are_sums_divided_once(house, log_in, conn):
    """Domain TV-10: E=[10,2,1], t2=[30,50,55], V=[0.2,0.1,0.1] gives EW 35.00, FW 41.25."""
    energy, returned, volume = [10, 2, 1], [30, 50, 55], [0.2, 0.1, 0.1]
    for index, day in enumerate(("2026-10-01", "2026-10-02", "2026-10-31")):
        joule, ml = energy[index] * 3_600_000, round(volume[index] * 1_000_000)
        conn.execute(
            "insert into day (facility_id, commodity, day, energy_j, volume_ml, e8_mlc, e9_mlc,"
            " weighted_energy_j, weighted_return_jc, hours, hours_measured, quality,"
            " method_version) values (%s, 1, %s, %s, %s, %s, %s, %s, %s, 24, 24, 1, 1)",
            (house, day, joule, ml, ml * 80, ml * returned[index], joule, joule * returned[index]),
        )
    client = log_in()
    span = {"from": "2026-10-01", "to": "2026-11-01"}
    body = client.get(f"/api/v1/facilities/{house}/months", params=span).json()
    assert body["month"] == ["2026-10-01"]
    assert body["series"]["return_temp_c_ew"] == [35.0]
    assert body["series"]["return_temp_c_vw"] == [41.25]
    assert body["series"]["energy_kwh"] == [13]
    days = client.get(f"/api/v1/facilities/{house}/days", params=span).json()
    assert len(days["day"]) == 31
    assert days["series"]["power_kw_mean"][:3] == [pytest.approx(10 / 24, abs=1e-4), 0.0833, None]
    assert days["complete"][:3] == [True, True, False]


def test_one_real_metering_day(house, log_in, conn):
    """The numbers of the issue: 88.127 kWh a day are 3.6720 kW."""
    conn.execute(
        "insert into day (facility_id, commodity, day, energy_j, volume_ml, e8_mlc, e9_mlc,"
        " weighted_energy_j, weighted_return_jc, hours, hours_measured, quality, method_version)"
        " values (%s, 1, '2018-01-03', 317257200, 2000000, 160000000, 64380000, 1, 32, 24, 24, 1,"
        " 1)",
        (house,),
    )
    span = {"from": "2018-01-03", "to": "2018-01-04"}
    body = log_in().get(f"/api/v1/facilities/{house}/days", params=span).json()
    assert body["series"]["energy_kwh"] == [88.127]
    assert body["series"]["power_kw_mean"] == [3.672]
    assert body["series"]["return_temp_c_vw"] == [32.19]


def test_readings_are_exact_and_say_why_a_register_is_null(world, log_in, conn):
    meter = seed.meter_of(conn, world.both, commodity=2)
    path = f"/api/v1/facilities/{world.both}/meters/{meter}/readings"
    body = log_in().get(path, params={"from": "2026-11-12T08:00:00Z"}).json()
    assert body["t"] == ["2026-11-12T08:00:00Z"]
    assert body["exact"]["energy_j"] == [21_137_112_000_000]
    assert body["registers"]["energy_kwh"] == [5_871_420.0]
    assert body["registers"]["flow_m3_h"] == [1.97]
    assert body["registers"]["return_temp_c"] == [None]
    assert body["quality"]["return_temp_cc"] == ["meter_error"]
    assert body["quality"]["supply_temp_cc"] == ["ok"]


BAD_INTERVALS = [
    pytest.param({"from": "2026-13-01"}, "expected ISO 8601", id="no such month"),
    pytest.param({"from": "2026-11-01T00:00:00"}, "names no offset", id="no offset"),
    pytest.param({"from": "2026-11-12", "to": "2026-11-01"}, "before to", id="backwards"),
    pytest.param({"from": "1990-01-01"}, "at most", id="too long"),
    pytest.param({"commodity": "steam"}, "commodity", id="no such commodity"),
]


@pytest.mark.parametrize(("params", "says"), BAD_INTERVALS)
def test_bad_intervals_are_explained(world, log_in, params, says):
    answer = log_in().get(f"/api/v1/facilities/{world.house}/hours", params=params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


def test_an_unescaped_plus_is_understood(world, log_in):
    path = f"/api/v1/facilities/{world.house}/hours?from=2026-11-11T00:00:00+01:00"
    assert log_in().get(path).json()["from"] == "2026-11-10T23:00:00Z"


def test_limits_hold_from_now_and_history_keeps_its_own(world, log_in, conn):
    client = log_in()
    path = f"/api/v1/facilities/{world.house}/rules/heat/return_temperature"
    change = {"winter_limit": 42.5, "summer_limit": 58, "channels": ["mail", "mail"]}
    body = client.put(path, json=change).json()
    rule = next(rule for rule in body["rules"] if rule["kind"] == "return_temperature")
    assert (rule["winter_limit"], rule["summer_limit"], rule["unit"]) == (42.5, 58, "°C")
    assert rule["channels"] == ["mail"]
    assert rule["valid_from"] == "2026-11-12T08:20:00Z"
    stored = conn.execute(
        "select winter_limit, set_by from alarm_limit where rule_id = %s order by valid_from",
        (world.rule,),
    ).fetchall()
    assert stored == [(4500, "Maria Ek"), (4250, "Maria Ek")]
    again = client.put(path, json=change | {"winter_limit": 43})
    assert again.status_code == 200
    held = client.get(
        f"/api/v1/facilities/{world.house}/limits", params={"to": "2026-11-13"}
    ).json()["limits"]
    assert [(one["season"], one["limit"]) for one in held if one["to"] > "2026-10"] == [
        ("winter", 45.0),
        ("winter", 43.0),
    ]


BAD_RULES = [
    pytest.param({"winter_limit": 0}, id="zero"),
    pytest.param({"winter_limit": 121}, id="hotter than any return"),
    pytest.param({"summer_limit": -5}, id="negative"),
    pytest.param({"winter_limit": "warm"}, id="no number"),
    pytest.param({"channels": ["sms"]}, id="sms is not offered"),
    pytest.param({"limit": 3}, id="unknown field"),
]


@pytest.mark.parametrize("change", BAD_RULES)
def test_bad_limits_change_nothing(world, log_in, conn, change):
    whole = {"winter_limit": 45, "summer_limit": 56, "channels": ["portal"]} | change
    path = f"/api/v1/facilities/{world.house}/rules/heat/return_temperature"
    assert log_in().put(path, json=whole).status_code == 422
    assert conn.execute("select count(*) from alarm_limit").fetchone() == (2,)


def test_a_rule_for_what_the_facility_has_not(world, log_in):
    change = {"winter_limit": 12, "summer_limit": 12, "channels": []}
    path = "/api/v1/facilities/{}/rules/cooling/return_temperature"
    assert log_in().put(path.format(world.house), json=change).status_code == 404
    body = log_in().put(path.format(world.both), json=change).json()
    rule = next(r for r in body["rules"] if r["commodity"] == "cooling" and r["winter_limit"])
    assert rule["lower"]


def test_acknowledge_goes_through_the_life_cycle(world, log_in, conn):
    client = log_in()
    path = f"/api/v1/alarms/{world.active}/acknowledge"
    body = client.post(path, json={"comment": "ventilen bytt"}).json()
    assert (body["state"], body["acknowledged_by"]) == ("acknowledged", "Maria Ek")
    last = body["transitions"][-1]
    assert (last["event"], last["reason"]) == ("acknowledge", "ventilen bytt")
    assert client.post(path).status_code == 409
    over = client.post(f"/api/v1/alarms/{world.over}/acknowledge").json()
    assert over["state"] == "normal"
    told = conn.execute(
        "select count(*) from outbox join alarm_transition using (transition_id)"
        " where event = 'acknowledge'"
    ).fetchone()
    assert told == (0,), "a person's own act is told to nobody"


def test_alarms_are_filtered(world, log_in):
    client = log_in()

    def ids(**params: object) -> list[int]:
        return [
            a["occurrence_id"] for a in client.get("/api/v1/alarms", params=params).json()["alarms"]
        ]

    assert ids() == [world.active, world.over]
    assert ids(state="returned_unacknowledged") == [world.over]
    assert ids(kind="daily_power") == []
    assert ids(to="2026-11-01") == [world.over]
    assert ids(facility_id=world.both) == []
    assert client.get("/api/v1/alarms", params={"state": "angry"}).status_code == 422


def test_notices_are_read_once(world, log_in, conn):
    client = log_in()
    notice = client.get("/api/v1/notices").json()["notices"][0]
    path = f"/api/v1/notices/{notice['notice_id']}/read"
    assert [client.post(path).status_code for _ in range(2)] == [204, 204]
    assert client.get("/api/v1/notices", params={"unread": True}).json() == {
        "notices": [],
        "unread": 0,
    }
    assert log_in("jon@example.com").post(path).status_code == 404, "another person's notice"
    later = seed.add_transition(conn, world.active, ("clear", "unacknowledged", "normal"), seed.NOW)
    seed.add_notice(conn, later, world.maria, world.house, "senare")
    upto = {"up_to": notice["notice_id"]}
    assert client.post("/api/v1/notices/read", params=upto).status_code == 204
    assert client.get("/api/v1/notices").json()["unread"] == 1, "what came later stays unread"


def test_quarantine_and_unclaimed(log_in, conn):
    seed.add_held_telegrams(conn)
    client = log_in()
    held = client.get("/api/v1/telegrams").json()["telegrams"]
    assert {(one["outcome"], one["reason"]) for one in held} == {
        ("quarantined", "checksum"),
        ("waiting", "unclaimed"),
    }
    only = client.get("/api/v1/telegrams", params={"reason": "checksum"}).json()["telegrams"]
    assert only[0]["payload_hex"] == "6803"
    meters = client.get("/api/v1/meters/unclaimed").json()["meters"]
    assert [(one["meter"], one["telegrams"]) for one in meters] == [("KAM-06855817-08-04", 2)]


def test_search_is_plain_text(log_in):
    client = log_in()

    def names(search: str) -> list[str]:
        found = client.get("/api/v1/facilities", params={"search": search}).json()
        return [one["name"] for one in found["facilities"]]

    assert names("kvarn") == ["Kvarngatan 12"]
    assert names("100412") == ["Kvarngatan 12", "Skolgatan 8"]
    assert names("%") == []
    assert names("_") == []


def test_pages_of_facilities(log_in):
    client = log_in()
    first = client.get("/api/v1/facilities", params={"limit": 1}).json()
    assert [one["name"] for one in first["facilities"]] == ["Kvarngatan 12"], "alarms come first"
    assert first["next_offset"] == 1
    last = client.get("/api/v1/facilities", params={"limit": 1, "offset": 1}).json()
    assert last["next_offset"] is None


def test_openapi_documents_every_answer(log_in):
    document = log_in().get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), (path, method)
            assert {"200", "204"} & operation["responses"].keys(), (path, method)


def test_docs_name_every_path(log_in):
    text = Path(__file__).parents[2].joinpath("docs/api.md").read_text("utf-8")
    for path in log_in().get("/api/v1/openapi.json").json()["paths"]:
        short = path.removeprefix("/api/v1/")
        for name in ("facility_id", "occurrence_id", "notice_id"):
            short = short.replace(f"{{{name}}}", "{id}")
        assert short in text, path


def test_a_database_that_goes_away_and_comes_back(world, log_in, conn):
    client = log_in()
    conn.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name like 'fjarrvakt-portal%' and datname = current_database()"
    )
    assert client.get(f"/api/v1/facilities/{world.house}").status_code == 200
