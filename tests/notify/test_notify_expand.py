import pytest

from notify.expand import News, Reason, expand, news

CASES = [
    # who is named, who has access, channels, old readings -> told
    pytest.param([], [1, 2], ["portal", "mail"], False,
                 {(1, "mail"): Reason.GRANTED, (1, "portal"): Reason.GRANTED,
                  (2, "mail"): Reason.GRANTED, (2, "portal"): Reason.GRANTED},
                 id="nobody named: everybody with access"),
    pytest.param([2], [1, 2], ["mail"], False, {(2, "mail"): Reason.NAMED}, id="one named"),
    pytest.param([2], [1, 2], ["mail"], True, {(2, "portal"): Reason.OLD_READING},
                 id="old readings: a notice, no mail, even for a rule with mail only"),
    pytest.param([3], [1, 2], ["portal"], False, {}, id="named, but the grant has ended"),
    pytest.param([], [], ["portal"], False, {}, id="nobody has access"),
    pytest.param([], [1], ["sms"], False, {}, id="sms is not offered"),
    pytest.param([], [1], ["portal", "sms", "portal"], False, {(1, "portal"): Reason.GRANTED},
                 id="a channel named twice is told once"),
    pytest.param([], [1], [], False, {}, id="no channel"),
]  # fmt: skip


@pytest.mark.parametrize(("named", "granted", "channels", "old", "told"), CASES)
def test_who_is_told(named, granted, channels, old, told):
    decisions = expand(
        News.RAISED, portal_only=old, channels=channels, recipients=named, granted=granted
    )
    assert {(d.recipient, d.channel): d.reason for d in decisions if d.told} == told


def test_every_silence_has_its_reason():
    decisions = expand(
        News.RAISED, portal_only=False, channels=["sms", "mail"], recipients=[1, 9], granted=[1]
    )
    assert {(d.recipient, d.channel): d.reason for d in decisions} == {
        (1, "mail"): Reason.NAMED,
        (1, "sms"): Reason.NOT_OFFERED,
        (9, "mail"): Reason.NO_ACCESS,
        (9, "sms"): Reason.NO_ACCESS,
    }
    silent = expand(News.NONE, portal_only=False, channels=["mail"], recipients=[], granted=[1])
    assert [d.reason for d in silent] == [Reason.NOT_NEWS]


@pytest.mark.parametrize(("event", "from_state", "expected"), [
    pytest.param("raise", "pending", News.RAISED, id="raised after its delay"),
    pytest.param("clear", "unacknowledged", News.CLEARED, id="cleared, unseen"),
    pytest.param("clear", "acknowledged", News.CLEARED, id="cleared, seen"),
    pytest.param("acknowledge", "unacknowledged", News.NONE, id="a person's own act"),
    pytest.param("exceed", "normal", News.NONE, id="not yet"),
    pytest.param("withdraw", "unacknowledged", News.WITHDRAWN, id="late data"),
    pytest.param("withdraw", "pending", News.NONE, id="withdrawn before it was told"),
    pytest.param("escalate", "unacknowledged", News.NONE, id="of a later version"),
])  # fmt: skip
def test_what_is_news(event, from_state, expected):
    assert news(event, from_state) is expected
