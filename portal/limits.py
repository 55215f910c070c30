"""Which limit held when: limits with validity times cut by the seasons. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from config.settings import Season as SeasonSetting
from engine.seasons import Season, season_of
from engine.types import SeasonCalendar
from notify.wording import NORMAL
from portal.series import day_start
from portal.times import Interval
from store.portal_alarms import LimitSpan


@dataclass(frozen=True, kw_only=True)
class LimitInForce:
    """One limit in [start, end). `limit` in 0.01 °C or W."""

    kind: str
    start: datetime
    end: datetime
    season: str
    limit: int


def calendars(settings: Sequence[SeasonSetting]) -> list[SeasonCalendar]:
    """The settings' seasons as the engine knows them."""
    return [
        SeasonCalendar(
            valid_from=one.valid_from,
            winter_from=_month_day(one.winter_from),
            summer_from=_month_day(one.summer_from),
        )
        for one in settings
    ]


def _month_day(text: str) -> tuple[int, int]:
    month, _, day = text.partition("-")
    return int(month), int(day)


def season_name(at: datetime, seasons: Sequence[SeasonCalendar]) -> str:
    """`winter` or `summer` at an instant."""
    return season_of(at.astimezone(NORMAL).date(), seasons).name.lower()


def season_changes(within: Interval, seasons: Sequence[SeasonCalendar]) -> list[datetime]:
    """The instants inside the interval at which the season changes."""
    day, end = within.first_day, within.end_day
    changes = []
    season = season_of(day, seasons)
    while (day := day + timedelta(days=1)) < end:
        if season_of(day, seasons) is not season:
            season = season_of(day, seasons)
            changes.append(day_start(day).astimezone(UTC))
    return changes


def in_force(
    spans: Sequence[LimitSpan], within: Interval, seasons: Sequence[SeasonCalendar]
) -> list[LimitInForce]:
    """Every limit that held in the interval, by kind and time; a limit switched off is a gap."""
    changes = season_changes(within, seasons)
    out = []
    for index, span in enumerate(spans):
        following = spans[index + 1] if index + 1 < len(spans) else None
        same_kind = following is not None and following.kind == span.kind
        start = max(span.valid_from, within.start)
        end = min(following.valid_from, within.end) if following and same_kind else within.end
        if not span.enabled or start >= end:
            continue
        edges = [start, *(at for at in changes if start < at < end), end]
        for left, right in pairwise(edges):
            season = season_of(left.astimezone(NORMAL).date(), seasons)
            limit = span.winter_limit if season is Season.WINTER else span.summer_limit
            out.append(
                LimitInForce(
                    kind=span.kind, start=left, end=right, season=season.name.lower(), limit=limit
                )
            )
    return out


def season_dates(today: date, seasons: Sequence[SeasonCalendar]) -> SeasonCalendar:
    """The calendar valid today."""
    return max((one for one in seasons if one.valid_from <= today), key=lambda one: one.valid_from)
