from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest

from notify import compose, wording
from store.notify import MailOrder

NBSP = "\u00a0"
ORDER = MailOrder(
    delivery_id=17,
    email="maria@example.com",
    language="sv",
    transition_id=1,
    occurrence_id=1,
    event="raise",
    from_state="normal",
    to_state="unacknowledged",
    source_at=datetime(2026, 11, 6, 22, tzinfo=UTC),
    value=5640,
    kind="return_temperature",
    commodity=1,
    since=datetime(2026, 11, 6, 22, tzinfo=UTC),
    until=None,
    season="winter",
    limit_value=4500,
    raised_value=5640,
    extreme_value=5710,
    window_h=1,
    facility_id=12,
    facility_name="Kvarngatan 12",
)


def order(**changes: object) -> MailOrder:
    return MailOrder(**(ORDER.__dict__ | changes))  # type: ignore[arg-type]


SENTENCES = [
    pytest.param({}, "sv", "Kvarngatan 12: returtemperaturen är 56,4 °C, vintergränsen är 45 °C",
                 id="return temperature, winter"),
    pytest.param({"kind": "daily_power", "value": 1_234_560, "limit_value": 1_200_500,
                  "season": "summer"}, "sv",
                 "Kvarngatan 12: dygnsmedeleffekten är 1 234,6 kW, sommargränsen är 1 200,5 kW",
                 id="thousands and half a kilowatt"),
    pytest.param({"value": -640, "limit_value": -500}, "sv",
                 "Kvarngatan 12: returtemperaturen är \u22126,4 °C, vintergränsen är \u22125 °C",
                 id="true minus"),
    pytest.param({"kind": "hourly_power", "value": 1_234_560}, "en",
                 "Kvarngatan 12: the hourly power is 1,234.6 kW, the winter limit is 4.5 kW",
                 id="English habits"),
    pytest.param({"event": "clear", "from_state": "acknowledged"}, "sv",
                 "Kvarngatan 12: returtemperaturen är åter på rätt sida om vintergränsen 45 °C",
                 id="cleared"),
    pytest.param({"event": "withdraw", "from_state": "acknowledged"}, "sv",
                 "Kvarngatan 12: alarmet om returtemperaturen är tillbakadraget", id="withdrawn"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "language", "title"), SENTENCES)
def test_titles(changes, language, title):
    assert compose.compose(order(**changes), language).title.replace(NBSP, " ") == title


@pytest.mark.parametrize(("at", "text"), [
    pytest.param(datetime(2026, 11, 6, 22, tzinfo=UTC), "6 november 2026 kl. 23.00 (normaltid)",
                 id="winter: civil time is normal time"),
    pytest.param(datetime(2026, 7, 5, 22, tzinfo=UTC),
                 "6 juli 2026 kl. 00.00 svensk sommartid (5 juli 2026 kl. 23.00 normaltid)",
                 id="summer: two clocks, two dates"),
])  # fmt: skip
def test_moments_name_their_clock(at, text):
    assert wording.moment(at, "sv") == text


def test_coarse_registers_say_their_window():
    assert "medel över 6 timmar" in compose.compose(order(window_h=6), "sv").body


def test_cooling_is_watched_from_below():
    cold = order(commodity=2, kind="return_temperature")
    assert "för kallt" in compose.compose(cold, "sv").body
    ended = order(commodity=2, event="clear", from_state="acknowledged",
                  until=datetime(2026, 11, 8, tzinfo=UTC))  # fmt: skip
    assert "varade i 1 dygn 2 h, som lägst 57,1" in compose.compose(ended, "sv").body


def test_mail_survives_the_wire():
    sent = compose.mail(
        order(facility_name="Åkern <b>\r\nBcc: x@example.com"),
        sender="fjarrvakt@example.com",
        public_url="https://mina.example.com/",
        date=datetime(2026, 11, 6, 22, 5, tzinfo=UTC),
    )
    raw = sent.as_bytes()
    assert raw.isascii()
    message = message_from_bytes(raw, policy=default)
    assert message["Message-ID"] == "<delivery-17@mina.example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Unsubscribe"] == "<https://mina.example.com/facilities/12#rules>"
    assert message["Bcc"] is None
    assert message["Subject"].startswith("Åkern")
    text, html = (part.get_content() for part in message.iter_parts())
    assert "https://mina.example.com/facilities/12" in text
    assert "&lt;b&gt;" in html
    assert "<b>" not in html


def test_both_languages_say_everything():
    assert wording.WORDS["sv"].keys() == wording.WORDS["en"].keys()
    for key, text in wording.WORDS["sv"].items():
        fields = {part.split("}")[0] for part in text.split("{")[1:]}
        assert fields == {p.split("}")[0] for p in wording.WORDS["en"][key].split("{")[1:]}, key
