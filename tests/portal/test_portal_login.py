"""Login, sessions and what keeps other sites and guessers out."""

import asyncio

import argon2
import httpx
import pytest

from config.settings import Settings
from portal.app import create_app
from portal.lockout import WINDOW_S, Lockout
from portal.login import safe_next
from tests.conftest import free_port
from tests.portal import seed

pytestmark = pytest.mark.db
HTML = {"Accept": "text/html"}


def post_login(site: str, password: str = seed.PASSWORD, **more: str) -> httpx.Response:
    data = {"email": "Maria@Example.com", "password": password} | more
    return httpx.post(f"{site}/login", data=data, headers=HTML)


@pytest.mark.usefixtures("world")
def test_a_login_opens_a_session_only_its_hash_is_kept_of(site, conn):
    answer = post_login(site, next="/notices")
    assert (answer.status_code, answer.headers["location"]) == (303, "/notices")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("sid=")
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= {part.strip() for part in cookie.split(";")}
    session_id = cookie.split(";")[0].removeprefix("sid=")
    (stored,) = conn.execute("select session_hash from session").fetchone()
    assert len(stored) == 32
    assert session_id.encode() not in stored


@pytest.mark.usefixtures("world")
def test_a_wrong_password_and_an_unknown_address_answer_alike(site):
    wrong = post_login(site, "fel")
    unknown = post_login(site, email="nobody@example.com")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace("Maria@Example.com", "") == unknown.text.replace(
        "nobody@example.com", ""
    )
    assert "set-cookie" not in wrong.headers


@pytest.mark.usefixtures("world")
def test_guessing_is_slowed_down(site):
    assert [post_login(site, "fel").status_code for _ in range(5)] == [401] * 5
    assert post_login(site).status_code == 429
    assert "för många försök" in post_login(site).text


def test_lockout_forgets():
    now = 0.0
    lockout = Lockout(lambda: now)
    for _ in range(5):
        lockout.failed("a", "1.1.1.1")
        now += 60
    assert lockout.wait_s("a", "2.2.2.2") == pytest.approx(WINDOW_S - 300)
    assert lockout.wait_s("b", "1.1.1.1") == 0
    lockout.succeeded("a")
    assert lockout.wait_s("a", "2.2.2.2") == 0
    for number in range(25):
        lockout.failed(f"x{number}", "1.1.1.1")
    assert lockout.wait_s("b", "1.1.1.1") > 0
    now += WINDOW_S
    assert lockout.wait_s("b", "1.1.1.1") == 0


@pytest.mark.usefixtures("world")
def test_an_old_hash_is_made_anew(site, conn):
    post_login(site)
    (stored,) = conn.execute(
        "select password_hash from app_user where email = 'maria@example.com'"
    ).fetchone()
    assert not argon2.PasswordHasher().check_needs_rehash(stored)
    assert post_login(site).status_code == 303


def test_login_rotates_the_session_and_logout_ends_it(log_in, conn):
    client = log_in()
    first = client.cookies["sid"]
    client.post("/login", data={"email": "maria@example.com", "password": seed.PASSWORD})
    assert client.cookies["sid"] != first
    assert conn.execute("select count(*) from session").fetchone() == (1,)
    old = httpx.get(f"{client.base_url}/api/v1/session", cookies={"sid": first})
    assert old.status_code == 401
    token = client.get("/api/v1/session").json()["csrf_token"]
    del client.headers["X-CSRF-Token"]  # the old session's
    assert client.post("/logout", data={"csrf_token": token}).status_code == 303
    assert conn.execute("select count(*) from session").fetchone() == (0,)


@pytest.mark.parametrize("change", [
    pytest.param("seen_at = now() - interval '31 minutes'", id="left alone"),
    pytest.param("created_at = now() - interval '13 hours'", id="too old, though in use"),
])  # fmt: skip
def test_sessions_end_by_themselves(log_in, conn, change):
    client = log_in()
    conn.execute(f"update session set {change}")
    assert client.get("/api/v1/session").status_code == 401
    page = client.get("/notices", headers=HTML)
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=/notices")


CSRF = [
    pytest.param({}, {}, 403, id="no token"),
    pytest.param({"X-CSRF-Token": "guess"}, {}, 403, id="a wrong token"),
    pytest.param({"X-CSRF-Token": None}, {"csrf_token": "guess"}, 403, id="a wrong field"),
    pytest.param({"Sec-Fetch-Site": "cross-site", "X-CSRF-Token": None}, {}, 403, id="other site"),
    pytest.param({"Sec-Fetch-Site": "same-site", "X-CSRF-Token": None}, {}, 403, id="sibling"),
    pytest.param({"Sec-Fetch-Site": "same-origin", "X-CSRF-Token": None}, {}, 204, id="ours"),
]


@pytest.mark.parametrize(("headers", "form", "status"), CSRF)
def test_unsafe_requests_need_the_sessions_token(log_in, headers, form, status):
    client = log_in()
    token = client.headers.pop("X-CSRF-Token")
    right = status == 204 or "Sec-Fetch-Site" in headers
    sent = {name: value or token for name, value in headers.items()} if right else headers
    sent = {name: value for name, value in sent.items() if value is not None}
    answer = client.post(
        "/api/v1/notices/read", params={"up_to": 0}, headers=sent, data=form or None
    )
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https://x", "", "/login"])
def test_next_stays_on_this_site(target):
    assert safe_next(target) == "/"


@pytest.mark.usefixtures("world")
def test_every_answer_carries_the_headers(site):
    for path in ("/login", "/static/page.js", "/api/v1/session", "/nope", "/livez"):
        headers = httpx.get(site + path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
    assert httpx.get(f"{site}/login").headers["cache-control"] == "no-store"


@pytest.mark.usefixtures("world")
def test_over_tls_the_cookie_is_bound_to_the_host(dsn):
    app = create_app(Settings(), dsn, lambda: seed.us(seed.NOW))

    async def visit() -> tuple[httpx.Response, httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="https://mina.example.com") as client,
        ):
            form = {"email": "maria@example.com", "password": seed.PASSWORD}
            return await client.post("/login", data=form), await client.get("/api/v1/session")

    answer, session = asyncio.run(visit())
    assert answer.headers["set-cookie"].startswith("__Host-sid=")
    assert "Secure" in answer.headers["set-cookie"]
    assert "strict-transport-security" in answer.headers
    assert session.status_code == 200


def test_without_a_database_the_portal_says_so(monkeypatch):
    monkeypatch.setattr("portal.app.POOL_WAIT_S", 0.3)
    nowhere = f"host=127.0.0.1 port={free_port()} dbname=none connect_timeout=1"
    app = create_app(Settings(), nowhere, lambda: seed.us(seed.NOW))

    async def visit() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="https://mina.example.com") as client,
        ):
            client.cookies.set("__Host-sid", "any")
            paths = ("/livez", "/readyz", "/api/v1/session")
            answers = [await client.get(path) for path in paths]
            return [*answers, await client.get("/", headers=HTML)]

    alive, ready, api, page = asyncio.run(visit())
    assert [alive.status_code, ready.status_code, api.status_code] == [200, 503, 503]
    assert "Nothing is lost" in api.json()["detail"]
    assert page.status_code == 503
    assert "Dina mätvärden och gränser är som de var" in page.text
