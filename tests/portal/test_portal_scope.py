"""Whoever may not see a thing gets the same answer as for a thing that is not: over every route."""

import re

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from portal.problems import Problem
from portal.scope import AccessScope, Level

pytestmark = pytest.mark.db

OPEN = {"/livez", "/healthz", "/readyz", "/metrics", "/login", "/api/v1/openapi.json"}
OWN_ID = {  # path parameter: what the other customer's is called in the world
    "facility_id": "foreign",
    "occurrence_id": "foreign_alarm",
}
STAFF_ONLY = {"/api/v1/telegrams", "/api/v1/meters/unclaimed"}
UNSAFE_BODY = {"json": {"winter_limit": 40, "summer_limit": 50, "channels": ["portal"]}}
FORM_BODY = {"data": {"winter": "40", "summer": "50"}}


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """(method, path) of every route of ours, also in routers included as they are."""
    found = []

    def walk(items: list[object], prefix: str) -> None:
        for route in items:
            if isinstance(route, APIRoute):
                found.extend((method, prefix + route.path) for method in route.methods)
            elif (inner := getattr(route, "original_router", None)) is not None:
                context = getattr(route, "include_context", None)
                walk(inner.routes, prefix + (getattr(context, "prefix", "") or ""))

    walk(list(app.routes), "")
    return found


def address(path: str, ids: dict[str, object]) -> str:
    known = {"commodity": "heat", "kind": "daily_power", "notice_id": 1, "meter_id": 1}
    return re.sub(r"\{(\w+)\}", lambda match: str((known | ids)[match[1]]), path)


def body(path: str) -> dict[str, dict[str, object]]:
    if "/rules/" not in path:
        return {}
    return UNSAFE_BODY if path.startswith("/api/") else FORM_BODY


def test_every_route_is_seen(app):
    paths = {path for _, path in routes(app)}
    assert len(paths) > 25
    assert {"/api/v1/facilities/{facility_id}/events", "/facilities/{facility_id}"} <= paths


def test_nothing_is_open_by_mistake(app, log_in):
    client = log_in()
    client.cookies.clear()
    for method, path in routes(app):
        if path in OPEN:
            continue
        target = address(path, {"facility_id": 1, "occurrence_id": 1})
        answer = client.request(method, target, **({} if method == "GET" else body(path)))
        assert answer.status_code == 401, (method, path, answer.text)


@pytest.mark.parametrize("which", ["foreign", "unknown"])
def test_foreign_and_unknown_answer_alike(app, world, log_in, which):
    client = log_in()
    tried = 0
    for method, path in routes(app):
        names = set(re.findall(r"\{(\w+)\}", path)) & OWN_ID.keys()
        if not names:
            continue
        ids = {
            name: getattr(world, OWN_ID[name]) if which == "foreign" else 987_654 for name in names
        }
        answer = client.request(
            method, address(path, ids), **({} if method == "GET" else body(path))
        )
        assert answer.status_code == 404, (method, path, answer.text)
        assert answer.json()["detail"] == "There is no such thing, or you have no access to it."
        tried += 1
    assert tried >= 15


def test_lists_hold_nothing_foreign(world, log_in):
    client = log_in()
    for path in ("facilities", "alarms", "notices", "findings"):
        text = client.get(f"/api/v1/{path}").text
        assert "Hemliga" not in text, path
    for path in ("alarms", "findings"):
        answer = client.get(f"/api/v1/{path}", params={"facility_id": world.foreign})
        assert answer.status_code == 404
    assert client.get("/api/v1/facilities", params={"search": "Hemliga"}).json()["facilities"] == []


def test_a_meter_is_seen_only_where_it_sat(world, log_in, conn):
    client = log_in()
    meters = f"/api/v1/facilities/{world.house}/meters"
    own = client.get(meters).json()["meters"][0]["meter_id"]
    foreign = conn.execute(
        "select meter_id from installation where facility_id = %s", (world.foreign,)
    ).fetchone()[0]
    assert client.get(f"{meters}/{foreign}/readings").status_code == 404
    before = len(client.get(f"{meters}/{own}/readings").json()["t"])
    conn.execute(  # it sat elsewhere until three hours ago
        "update installation set installed_at = '2026-11-12 05:00Z' where facility_id = %s",
        (world.house,),
    )
    after = client.get(f"{meters}/{own}/readings").json()["t"]
    assert len(after) < before
    assert min(after) >= "2026-11-12T05:00:00Z"


def test_staff_lists_do_not_exist_for_others(log_in):
    for path in STAFF_ONLY:
        assert log_in().get(path).status_code == 200
        assert log_in("jon@example.com").get(path).status_code == 404


def test_read_level_changes_nothing(world, log_in, conn):
    client = log_in("jon@example.com")
    rule = f"/api/v1/facilities/{world.house}/rules/heat/daily_power"
    assert client.put(rule, **UNSAFE_BODY).status_code == 403
    assert client.post(f"/api/v1/alarms/{world.active}/acknowledge").status_code == 403
    assert client.post(f"/alarms/{world.active}/acknowledge").status_code == 403
    state = conn.execute(
        "select state from alarm_occurrence where occurrence_id = %s", (world.active,)
    ).fetchone()
    assert state == ("unacknowledged",)


def test_a_grant_that_ends_takes_effect_at_once(world, log_in, conn):
    client = log_in()
    assert client.get(f"/api/v1/facilities/{world.house}").status_code == 200
    conn.execute("delete from grant_customer where user_id = %s", (world.maria,))
    assert client.get(f"/api/v1/facilities/{world.house}").status_code == 404
    assert client.get("/api/v1/notices").json()["notices"] == []


def test_scope_without_database():
    scope = AccessScope({1: Level.READ, 2: Level.FULL})
    assert scope.level(1) is Level.READ
    assert scope.may_change(2)
    for act in (lambda: scope.level(3), scope.need_staff):
        with pytest.raises(Problem) as caught:
            act()
        assert caught.value.status_code == 404
    with pytest.raises(Problem) as caught:
        scope.need_change(1)
    assert caught.value.status_code == 403
