"""The shapes of answers, for the OpenAPI document; the answers themselves are made by orjson.

A test holds every answer against its model.
"""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.types import AlarmKind

Column = list[float | None]
Commodity = Literal["heat", "cooling"]
SeasonName = Literal["winter", "summer"]
Channel = Literal["portal", "mail"]


class Body(BaseModel):
    """An answer; no field is there that is not described."""

    model_config = ConfigDict(extra="forbid")


class LatestBody(Body):
    """The newest stored hour."""

    commodity: Commodity
    start_at: datetime = Field(description="start of the hour, UTC")
    power_kw: float | None
    supply_temp_c: float | None = Field(description="volume-weighted over the hour")
    return_temp_c: float | None = Field(description="volume-weighted over the hour")
    cooling_k: float | None
    quality: str


class FacilityBody(Body):
    """One facility."""

    facility_id: int
    name: str
    address: str
    metering_point: str | None
    building_type: str | None
    built_year: int | None
    heated_area_m2: int | None
    customer: str
    customer_number: str
    commodities: list[Commodity]
    level: Literal["admin", "full", "read"]
    alarms_unacknowledged: int
    alarms_active: int
    latest: list[LatestBody]


class FacilitiesBody(Body):
    """A page of facilities, those with alarms first."""

    facilities: list[FacilityBody]
    next_offset: int | None


class MeterBody(Body):
    """A meter and when it sat in the facility; null: always, or still."""

    meter_id: int
    meter: str
    commodity: Commodity
    profile: str | None
    energy_register: str
    sign: int
    installed_at: datetime | None
    removed_at: datetime | None
    energy_step_kwh: float = Field(description="what one count means; 0: not known")
    volume_step_m3: float


class MetersBody(Body):
    """A facility's meters over time."""

    facility_id: int
    meters: list[MeterBody]


class ReadingsBody(Body):
    """A meter's raw registers, one entry per time measured."""

    facility_id: int
    meter_id: int
    from_: datetime = Field(alias="from")
    to: datetime
    t: list[datetime] = Field(description="time measured, UTC")
    received_at: list[datetime]
    registers: dict[str, Column] = Field(description="in the units under `unit`")
    unit: dict[str, str]
    exact: dict[str, list[int | None]] = Field(
        description="the stored integers: J, ml, ml·°C, W, l/h, 0.01 °C, h; up to 2^63"
    )
    quality: dict[str, list[str]] = Field(
        description="why a register is null: ok (not sent), meter_error, out_of_range, invalid"
    )
    status: list[int] = Field(description="the telegram's status byte")


class HoursBody(Body):
    """Hours of normal time as columns; `t` has no holes, a gap is null."""

    facility_id: int
    commodity: Commodity
    from_: datetime = Field(alias="from")
    to: datetime
    step: Literal["hour"]
    t: list[int] = Field(description="start of each hour, seconds since 1970, UTC")
    series: dict[str, Column]
    unit: dict[str, str]
    quality: list[str | None] = Field(
        description="M measured, I interpolated, P preliminary, B calculated, X rejected, "
        "C corrected; null: nothing stored"
    )


class DaysBody(Body):
    """Metering days (24 h of normal time) as columns."""

    facility_id: int
    commodity: Commodity
    from_: date = Field(alias="from")
    to: date
    step: Literal["day"]
    day: list[date]
    series: dict[str, Column]
    unit: dict[str, str]
    quality: list[str | None]
    complete: list[bool] = Field(description="all 24 hours have a value")


class MonthsBody(Body):
    """Months of metering days: sums first, then divided."""

    facility_id: int
    commodity: Commodity
    from_: date = Field(alias="from")
    to: date
    step: Literal["month"]
    month: list[date] = Field(description="first day of the month")
    series: dict[str, Column]
    unit: dict[str, str]


class LimitBody(Body):
    """A limit that held in [from, to)."""

    kind: AlarmKind
    from_: datetime = Field(alias="from")
    to: datetime
    season: SeasonName
    limit: float
    unit: Literal["°C", "kW"]


class LimitsBody(Body):
    """Which limit held when."""

    facility_id: int
    commodity: Commodity
    limits: list[LimitBody]


class AlarmBody(Body):
    """One raising of one alarm: condition (since, until) and state apart."""

    occurrence_id: int
    facility_id: int
    facility: str
    commodity: Commodity
    kind: AlarmKind
    since: datetime
    until: datetime | None = Field(description="when the condition ended; null: it holds")
    season: SeasonName
    limit: float
    raised_value: float
    extreme_value: float
    unit: Literal["°C", "kW"]
    window_h: int = Field(description="hours the value was taken over")
    state: str
    state_at: datetime
    acknowledged_by: str | None


class AlarmsBody(Body):
    """Occurrences, newest first."""

    alarms: list[AlarmBody]


class TransitionBody(Body):
    """One step of an occurrence's life."""

    transition_id: int
    event: str
    from_state: str
    to_state: str
    source_at: datetime = Field(description="time of the readings")
    decided_at: datetime
    actor: str
    reason: str
    value: float | None


class AlarmDetailBody(AlarmBody):
    """An occurrence with its history."""

    transitions: list[TransitionBody]


class RuleBody(Body):
    """A rule and the limit in force; nulls: never set."""

    commodity: Commodity
    kind: AlarmKind
    unit: Literal["°C", "kW"]
    lower: bool = Field(description="a lower limit: return temperatures of cooling")
    enabled: bool
    winter_limit: float | None
    summer_limit: float | None
    channels: list[str]
    valid_from: datetime | None
    set_by: str | None


class RulesBody(Body):
    """All rules a facility can have, set or not."""

    facility_id: int
    season: SeasonName = Field(description="whose limits hold now")
    rules: list[RuleBody]


class RuleChange(Body):
    """New limits and channels; valid from the next reading."""

    enabled: bool = True
    winter_limit: float = Field(description="°C or kW by kind", examples=[45.0])
    summer_limit: float = Field(description="°C or kW by kind", examples=[56.0])
    channels: list[Channel] = Field(examples=[["portal", "mail"]])


class Acknowledgement(Body):
    """What a person says when acknowledging."""

    comment: str = Field("", max_length=500)


class NoticeBody(Body):
    """What you were told."""

    notice_id: int
    facility_id: int
    facility: str
    created_at: datetime
    read_at: datetime | None
    title: str
    body: str


class NoticesBody(Body):
    """Your notices, newest first."""

    notices: list[NoticeBody]
    unread: int


class FindingBody(Body):
    """A reading the engine doubts; it stays stored, its interval is flagged."""

    finding_id: int
    facility_id: int
    facility: str
    meter: str
    kind: str
    at: datetime
    detail: str
    found_at: datetime


class FindingsBody(Body):
    """Findings, newest first."""

    findings: list[FindingBody]


class TelegramBody(Body):
    """A telegram that is not among the readings, and why."""

    telegram_id: int
    received_at: datetime
    source: str
    address: str
    meter: str | None
    at: datetime | None
    outcome: Literal["quarantined", "waiting", "duplicate", "stored"]
    reason: str | None
    detail: str | None
    payload_hex: str = Field(description="the first 512 bytes")
    payload_bytes: int


class TelegramsBody(Body):
    """Telegrams, newest first."""

    telegrams: list[TelegramBody]


class UnclaimedBody(Body):
    """A meter that is heard but belongs to nobody yet."""

    meter: str
    identity: int
    telegrams: int
    first_at: datetime
    last_at: datetime
    reason: str | None
    sources: list[str]


class UnclaimedMetersBody(Body):
    """Unclaimed meters, most recently heard first."""

    meters: list[UnclaimedBody]


class SessionBody(Body):
    """Who you are here."""

    user_id: int
    name: str
    language: str
    csrf_token: str = Field(description="goes into X-CSRF-Token of every unsafe request")
    is_staff: bool
    facilities: int


class ProblemBody(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str


def described(model: type[BaseModel], *statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: its body, and the problems it may answer with."""
    problem = {"model": ProblemBody, "content": {"application/problem+json": {}}}
    out: dict[int | str, dict[str, Any]] = {200: {"model": model}}
    return out | dict.fromkeys((401, *statuses), problem)
