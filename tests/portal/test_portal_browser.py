"""As a person does it, in a real browser; a console error or a breach of the policy fails."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.portal import seed

pytestmark = [pytest.mark.db, pytest.mark.concurrent, pytest.mark.browser]

CHROMIUM = Path("/usr/bin/chromium")
ARGS = ["--no-sandbox", "--disable-dev-shm-usage"]
WANTED = "the server responded with a status of 422"  # a form that was filled in wrongly

NewPage = Callable[..., Page]


@pytest.fixture
def browser() -> Iterator[Browser]:
    """One for each test: its event loop stays in this thread, where others want to run theirs."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        yield launched
        launched.close()


@pytest.fixture
def new_page(browser: Browser, site: str, world: object) -> Iterator[NewPage]:  # noqa: ARG001 - people to log in
    """A logged-in page of a size and colour scheme; fails at the end if its console had errors."""
    complaints: list[str] = []
    contexts = []

    def make(width: int = 1280, scheme: str = "light", *, javascript: bool = True) -> Page:
        context = browser.new_context(
            base_url=site,
            locale="sv-SE",
            timezone_id="Europe/Stockholm",
            color_scheme=scheme,
            viewport={"width": width, "height": 900},
            is_mobile=width < 500,
            java_script_enabled=javascript,
        )
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if message.type == "error" and WANTED not in message.text
                else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/login")
        page.get_by_label("E-postadress").fill("maria@example.com")
        page.get_by_label("Lösenord").fill(seed.PASSWORD)
        page.get_by_role("button", name="Logga in").click()
        expect(page.get_by_role("heading", name="Dina anläggningar")).to_be_visible()
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


def keep(page: Page, name: str) -> None:
    """A picture to look at, where FJARRVAKT_SHOTS names a folder."""
    if folder := os.environ.get("FJARRVAKT_SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def chart_is_drawn(page: Page) -> None:
    page.wait_for_selector("html[data-charts=ready]")
    painted = page.locator("#chart canvas").evaluate(
        "canvas => { const data = canvas.getContext('2d')"
        ".getImageData(0, 0, canvas.width, canvas.height).data;"
        " let seen = new Set();"
        " for (let i = 0; i < data.length; i += 4)"
        " if (data[i + 3]) seen.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);"
        " return seen.size; }"
    )
    assert painted > 20, "a chart has more colours than that"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (360, "light")])
def test_main_task(new_page, conn, width, scheme):
    """Find the facility that alarms, see why, change its limit, acknowledge."""
    page = new_page(width, scheme)
    keep(page, f"list-{scheme}-{width}")
    page.get_by_role("link", name="Kvarngatan 12").click()
    chart_is_drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "sideways scroll"
    expect(page.locator("#banner")).to_contain_text("vintergränsen är 45")
    keep(page, f"facility-{scheme}-{width}")

    page.get_by_role("button", name="Tabell").click()
    expect(page.locator(".tablewrap tbody tr").first).to_be_visible()
    page.get_by_role("button", name="Diagram").click()
    page.locator("#chart").hover(position={"x": 150, "y": 90})

    rule = page.locator("#rule-return_temperature")
    rule.get_by_label("Vinter").fill("varmt")
    rule.get_by_role("button", name="Spara").click()
    expect(page.locator("#rule-return_temperature .err")).to_contain_text("Skriv ett tal")
    page.locator("#rule-return_temperature").get_by_label("Vinter").fill("47,5")
    page.locator("#rule-return_temperature").get_by_role("button", name="Spara").click()
    expect(page.locator("#rules [role=status]")).to_contain_text("47,5")
    stored = conn.execute(
        "select winter_limit from alarm_limit order by valid_from desc limit 1"
    ).fetchone()
    assert stored == (4750,)

    alarm = page.locator("#alarms li").first
    alarm.get_by_label("Vad gjorde du?").fill("ventilen bytt")
    alarm.get_by_role("button", name="Kvittera").click()
    expect(page.locator("#alarms li").first).to_contain_text("Aktivt, kvitterat")
    chart_is_drawn(page)


def test_ranges_and_languages(new_page, world):
    page = new_page()
    for name in ("3m", "1y", "2y"):
        page.goto(f"/facilities/{world.house}?range={name}")
        chart_is_drawn(page)
    page.goto(f"/facilities/{world.both}?commodity=cooling&lang=en")
    expect(page.get_by_text("District cooling.")).to_be_visible()
    chart_is_drawn(page)
    page.get_by_role("button", name="On this page").click()
    expect(page.get_by_role("heading", name="Two limits")).to_be_visible()


def test_new_values_and_notices_come_by_themselves(new_page, world, conn):
    page = new_page()
    page.goto(f"/facilities/{world.house}")
    chart_is_drawn(page)
    expect(page.locator("#latest")).to_contain_text("12 nov 08.00")
    conn.execute(
        "insert into hour (facility_id, commodity, start_at, energy_j, volume_ml, e8_mlc, e9_mlc,"
        " quality, method_version) values (%s, 1, '2026-11-12 08:00Z', 442800000, 1000000,"
        " 80000000, 50000000, 1, 1)",
        (world.house,),
    )
    conn.execute("select pg_notify('fjarrvakt_change', %s)", (str(world.house),))
    expect(page.locator("#latest")).to_contain_text("12 nov 09.00")
    expect(page.locator("#gauges")).to_contain_text("123,0")
    step = ("clear", "unacknowledged", "returned_unacknowledged")
    transition = seed.add_transition(conn, world.active, step, seed.NOW)
    notice = seed.add_notice(conn, transition, world.maria, world.house, "Åter normalt igen")
    conn.execute("select pg_notify('fjarrvakt_notice', %s)", (f"{world.maria}:{notice}",))
    expect(page.locator(".top [data-unread]")).to_have_text("2")
    expect(page.locator("#facility-notices")).to_contain_text("Åter normalt igen")
    expect(page.locator("#live")).not_to_be_empty()


def test_without_javascript_everything_but_the_chart_works(new_page, world):
    page = new_page(javascript=False)
    page.goto(f"/facilities/{world.house}")
    expect(page.locator(".tablewrap tbody tr").first).to_be_visible()
    rule = page.locator("#rule-daily_power")
    rule.get_by_label("Vinter").fill("120")
    rule.get_by_label("Sommar").fill("40")
    rule.get_by_role("button", name="Spara").click()
    expect(page.locator("#rules [role=status]")).to_contain_text("120")
    page.get_by_role("link", name="Notiser, olästa:").click()
    page.get_by_role("button", name="Markera alla som lästa").click()
    expect(page.get_by_text("Allt är läst.")).to_be_visible()
    page.get_by_role("button", name="Logga ut").click()
    expect(page.get_by_role("heading", name="Logga in")).to_be_visible()
