"""Pages as they leave the server: without JavaScript, in both languages, with faults."""

import re

import httpx
import pytest

from tests.portal import seed

pytestmark = pytest.mark.db


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("\u00a0", " ")


def test_the_list_puts_alarms_first(log_in):
    html = log_in(accept="text/html").get("/").text
    assert html.index("Kvarngatan 12") < html.index("Skolgatan 8")
    assert "1 av 2 har alarm" in html
    assert "Hemliga" not in html


def test_whoever_has_one_facility_goes_straight_there(world, log_in):
    answer = log_in("other@example.com", accept="text/html").get("/")
    assert answer.headers["location"] == f"/facilities/{world.foreign}"


def test_the_facility_says_what_is_wrong_and_what_to_do(world, log_in):
    text = text_of(log_in(accept="text/html").get(f"/facilities/{world.house}").text)
    assert "Returtemperaturen är 56,4 °C, vintergränsen är 45 °C" in text
    assert "Sedan 7 november 2026 kl. 09.20 (normaltid)" in text
    assert "Kontrollera att styrventilen stänger helt" in text
    assert "över vintergränsen 45 °C" in text
    assert "4 timmar saknas" in text
    assert "5 871,420 MWh" in text
    assert "Just nu gäller vintergränserna." in text


def test_the_table_stands_beside_the_chart(world, log_in):
    html = log_in(accept="text/html").get(f"/facilities/{world.house}").text
    table = html[html.index('class="tablewrap"') :]
    assert table.count("<tr>") > 300
    days = log_in(accept="text/html").get(f"/facilities/{world.house}?range=2y").text
    assert "Dygnsvärden" in days
    assert re.search(r'role="img" aria-label="Effekten låg mellan [\d,]+ och [\d,]+ kW', html)


def test_cooling_has_its_own_tab(world, log_in):
    client = log_in("jon@example.com", accept="text/html")
    text = text_of(client.get(f"/facilities/{world.both}?commodity=cooling").text)
    assert "District cooling" in text
    assert "below the limit" in text
    assert "Meter error" in text
    assert client.get(f"/facilities/{world.house}?commodity=cooling").status_code == 404


def test_who_may_only_read_sees_no_buttons(world, log_in):
    html = log_in("jon@example.com", accept="text/html").get(f"/facilities/{world.house}").text
    assert "Acknowledge<" not in html
    assert "<fieldset disabled" in html


def test_limits_are_saved_without_javascript(world, log_in):
    client = log_in(accept="text/html")
    path = f"/facilities/{world.house}/rules/heat/return_temperature"
    form = {"winter": "42,5", "summer": "58", "channel": ["portal", "mail"], "enabled": "true"}
    answer = client.post(path, data=form)
    assert answer.status_code == 303
    text = text_of(client.get(answer.headers["location"]).text)
    assert "vintergränsen 42,5 °C gäller från nästa avläsning" in text
    off = client.post(path, data={"winter": "42", "summer": "58"})
    assert "bevakningen är av" in text_of(client.get(off.headers["location"]).text)


@pytest.mark.parametrize("typed", ["", "varmt", "0", "500", "-3"])
def test_a_wrong_limit_is_shown_again_with_what_was_typed(world, log_in, conn, typed):
    client = log_in(accept="text/html")
    path = f"/facilities/{world.house}/rules/heat/return_temperature"
    answer = client.post(path, data={"winter": typed, "summer": "58", "enabled": "true"})
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert f'value="{typed}"' in answer.text
    assert "Skriv ett tal över 0 och högst 120" in answer.text
    assert conn.execute("select count(*) from alarm_limit").fetchone() == (2,)


def test_acknowledging_by_form(world, log_in):
    client = log_in(accept="text/html")
    answer = client.post(f"/alarms/{world.active}/acknowledge", data={"comment": ""})
    assert answer.headers["location"] == f"/facilities/{world.house}?commodity=heat#alarms"
    assert "Kvitterat av Maria Ek" in client.get(answer.headers["location"]).text


def test_the_language_is_remembered(log_in):
    client = log_in(accept="text/html")
    assert client.get("/?lang=en").headers["content-language"] == "en"
    assert client.get("/").headers["content-language"] == "sv"
    answer = client.post("/language", data={"language": "en", "next": "/notices"})
    assert answer.headers["location"] == "/notices"
    assert "Your facilities" in client.get("/").text


def test_notices_are_read_by_form(log_in):
    client = log_in(accept="text/html")
    page = client.get("/notices").text
    newest = re.search(r'name="up_to" value="(\d+)"', page)[1]
    client.post("/notices/read", data={"up_to": newest})
    assert "Allt är läst." in client.get("/notices").text


def test_names_are_escaped(log_in, conn):
    conn.execute("update facility set name = '<script>alert(1)</script>' where name like 'Kvarn%'")
    html = log_in(accept="text/html").get("/").text
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html


@pytest.mark.parametrize("path", ["/nothing", "/facilities/987654", "/facilities/{foreign}"])
def test_what_is_not_yours_is_not_there(world, log_in, path):
    answer = log_in(accept="text/html").get(path.format(**world.__dict__))
    assert answer.status_code == 404
    assert "Sidan finns inte, eller så saknar du behörighet" in answer.text


def test_a_facility_without_values(world, log_in, conn):
    empty = seed.add_facility(conn, world.customer, "Nya huset")
    text = text_of(log_in(accept="text/html").get(f"/facilities/{empty}").text)
    assert "Inga mätvärden har kommit än." in text
    assert "Inga avläsningar än" in text
    assert "Inga alarm" in text


def test_readiness_follows_the_database(site, conn):
    assert httpx.get(f"{site}/readyz?verbose").text == "database: ok\n"
    conn.execute("alter table session rename to gone")
    assert httpx.get(f"{site}/readyz").status_code == 503
    assert httpx.get(f"{site}/livez").status_code == 200
