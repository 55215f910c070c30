"""How alarms, numbers and moments are written for people, in Swedish and English.

Pure; the portal writes its alarm sentences with it too, so that page, notice and mail say the same.
"""

from datetime import UTC, datetime, timedelta, timezone
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from notify.expand import News

CIVIL: Final = ZoneInfo("Europe/Stockholm")
NORMAL: Final = timezone(timedelta(hours=1))
"""Normal time, UTC+1 all year: what metering goes by."""

LANGUAGES: Final = ("sv", "en")
NBSP: Final = "\u00a0"
MINUS: Final = "\u2212"

TEMPERATURES: Final = frozenset({"return_temperature", "energy_weighted_return"})
"""Kinds whose values are 0.01 °C; the others are W."""

COOLING: Final = 2

MONTHS: Final = {
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
    "en": "January February March April May June July August September October November December",
}

WORDS: Final[dict[str, dict[str, str]]] = {
    "sv": {
        "at": "kl.",
        "normal_time": "normaltid",
        "summer_time": "svensk sommartid",
        "return_temperature": "Returtemperaturen",
        "daily_power": "Dygnsmedeleffekten",
        "hourly_power": "Timeffekten",
        "energy_weighted_return": "Månadens energiviktade returtemperatur",
        "winter": "vintergränsen",
        "summer": "sommargränsen",
        "raised": "{facility}: {what} är {value}, {limit_name} är {limit}",
        "cleared": "{facility}: {what} är åter på rätt sida om {limit_name} {limit}",
        "withdrawn": "{facility}: alarmet om {what} är tillbakadraget",
        "since": "Sedan {moment}.",
        "until": "Sedan {moment}. Alarmet varade i {duration}, {extreme_word} {extreme}.",
        "highest": "som högst",
        "lowest": "som lägst",
        "withdrawn_why": "Ett sent eller rättat mätvärde ändrade underlaget. Med det har gränsen "
        "inte passerats, och du behöver inte göra något.",
        "window_hours": "Värdet är medel över {hours} timmar, för mätaren räknar i stora steg.",
        "basis_return_temperature": "Värdet är timmedel, viktat med flödet.",
        "basis_daily_power": "Värdet är dygnets energi delad med 24 timmar (dygn i normaltid).",
        "basis_hourly_power": "Värdet är en timmes energi delad med en timme.",
        "basis_energy_weighted_return": "Värdet gäller månaden hittills; timmar med mycket energi "
        "väger mest.",
        "do_return_temperature": "Kontrollera att styrventilen stänger helt och att förbigången är "
        "stängd.",
        "do_daily_power": "Jämför med vädret och förra veckan, och kontrollera tidsprogram och "
        "temperaturkurva.",
        "do_hourly_power": "Se efter om flera stora förbrukare startade samtidigt, till exempel "
        "ventilation och varmvatten.",
        "do_energy_weighted_return": "Titta på timmarna med hög effekt och kontrollera "
        "styrventilen. Månadens värde kan påverka avgiften.",
        "do_cooling_return": "Vattnet går tillbaka för kallt. Kontrollera att ventiler stänger och "
        "att flödet inte är för stort.",
        "days_hours": "{days} dygn {hours} h",
        "days": "{days} dygn",
        "hours": "{hours} h",
        "open": "Visa anläggningen: {link}",
        "open_short": "Visa anläggningen",
        "footer": "Du får det här mejlet för att du har valt mejl för alarmet. Ändra det under "
        "Bevakningar på anläggningens sida.",
        "why": "Så räknades det",
        "what_to_do": "Gör så här",
    },
    "en": {
        "at": "at",
        "normal_time": "normal time, UTC+1",
        "summer_time": "Swedish summer time",
        "return_temperature": "The return temperature",
        "daily_power": "The daily mean power",
        "hourly_power": "The hourly power",
        "energy_weighted_return": "The month's energy-weighted return temperature",
        "winter": "the winter limit",
        "summer": "the summer limit",
        "raised": "{facility}: {what} is {value}, {limit_name} is {limit}",
        "cleared": "{facility}: {what} is back on the right side of {limit_name} {limit}",
        "withdrawn": "{facility}: the alarm about {what} is withdrawn",
        "since": "Since {moment}.",
        "until": "Since {moment}. The alarm lasted {duration}, {extreme_word} {extreme}.",
        "highest": "at most",
        "lowest": "at least",
        "withdrawn_why": "A late or corrected reading changed what it was based on. With it the "
        "limit was not passed, and you need not do anything.",
        "window_hours": "The value is a mean over {hours} hours, because the meter counts in large "
        "steps.",
        "basis_return_temperature": "The value is an hourly mean, weighted by flow.",
        "basis_daily_power": "The value is the day's energy divided by 24 hours (days in normal "
        "time).",
        "basis_hourly_power": "The value is one hour's energy divided by one hour.",
        "basis_energy_weighted_return": "The value is for the month so far; hours with much energy "
        "count most.",
        "do_return_temperature": "Check that the control valve closes fully and that the bypass is "
        "shut.",
        "do_daily_power": "Compare with the weather and last week, and check time programme and "
        "temperature curve.",
        "do_hourly_power": "See whether several large loads started together, such as ventilation "
        "and hot water.",
        "do_energy_weighted_return": "Look at the hours with high power and check the control "
        "valve. The month's value may change the charge.",
        "do_cooling_return": "The water goes back too cold. Check that valves close and that the "
        "flow is not too large.",
        "days_hours": "{days} d {hours} h",
        "days": "{days} d",
        "hours": "{hours} h",
        "open": "Open the facility: {link}",
        "open_short": "Open the facility",
        "footer": "You get this e-mail because you chose e-mail for the alarm. Change it under "
        "Watches on the facility's page.",
        "why": "How it was worked out",
        "what_to_do": "What to do",
    },
}


class Alarm(Protocol):
    """What a sentence about an alarm needs; rows of store and portal alike have it."""

    @property
    def kind(self) -> str:
        """One of the four kinds."""

    @property
    def commodity(self) -> int:
        """1 heat, 2 cooling."""

    @property
    def season(self) -> str:
        """Whose limit: winter or summer."""

    @property
    def limit_value(self) -> int:
        """The limit it was judged by. [0.01 °C or W]."""

    @property
    def window_h(self) -> int:
        """Hours the value was taken over."""


def language_of(wanted: str | None) -> str:
    """The language to write in: Swedish unless English is asked for."""
    return wanted if wanted in LANGUAGES else "sv"


def number(value: float, decimals: int, language: str) -> str:
    """A number by the language's habit, with no-break space for thousands and a true minus."""
    text = f"{abs(value):,.{decimals}f}"
    if language == "sv":
        text = text.replace(",", NBSP).replace(".", ",")
    zero = not text.strip("0.,")
    return f"{MINUS}{text}" if value < 0 and not zero else text


def quantity(kind: str, value: int, language: str) -> str:
    """An alarm's value with its unit. `value` in 0.01 °C or W."""
    if kind in TEMPERATURES:
        return f"{number(value / 100, 1, language)}{NBSP}°C"
    return f"{number(value / 1000, 1, language)}{NBSP}kW"


def limit(kind: str, value: int, language: str) -> str:
    """A limit with its unit, without a decimal that says nothing. `value` in 0.01 °C or W."""
    per_unit, unit = (100, "°C") if kind in TEMPERATURES else (1000, "kW")
    decimals = 0 if value % per_unit == 0 else 1 if value % (per_unit // 10) == 0 else 2
    return f"{number(value / per_unit, decimals, language)}{NBSP}{unit}"


def is_lower_limit(kind: str, commodity: int) -> bool:
    """Cooling's return temperatures are watched from below."""
    return commodity == COOLING and kind in TEMPERATURES


def moment(at: datetime, language: str) -> str:
    """Swedish civil time, and normal time beside it when the two differ."""
    civil = _stamp(at.astimezone(CIVIL), language)
    words = WORDS[language]
    if at.astimezone(CIVIL).utcoffset() == timedelta(hours=1):
        return f"{civil} ({words['normal_time']})"
    normal = _stamp(at.astimezone(NORMAL), language)
    return f"{civil} {words['summer_time']} ({normal} {words['normal_time']})"


def clock(at: datetime, language: str) -> str:
    """Hours and minutes: `09.00` or `09:00`."""
    return at.strftime("%H.%M" if language == "sv" else "%H:%M")


def _stamp(local: datetime, language: str) -> str:
    month = MONTHS[language].split()[local.month - 1]
    return f"{local.day} {month} {local.year} {WORDS[language]['at']} {clock(local, language)}"


def duration(since: datetime, until: datetime, language: str) -> str:
    """`5 dygn 10 h`, rounded to whole hours."""
    days, hours = divmod(round((until - since) / timedelta(hours=1)), 24)
    form = "hours" if not days else "days_hours" if hours else "days"
    return WORDS[language][form].format(days=days, hours=hours)


def title(alarm: Alarm, news: News, *, facility: str, value: int, language: str) -> str:
    """One sentence: what, value, limit."""
    words = WORDS[language]
    what = words[alarm.kind]
    return words[news.value].format(
        facility=facility,
        what=what[0].lower() + what[1:],
        value=quantity(alarm.kind, value, language),
        limit_name=words[alarm.season],
        limit=limit(alarm.kind, alarm.limit_value, language),
    )


def basis(alarm: Alarm, language: str) -> str:
    """How the judged value came about, with its window."""
    words = WORDS[language]
    text = words[f"basis_{alarm.kind}"]
    if alarm.window_h > 1 and alarm.kind in ("return_temperature", "hourly_power"):
        return words["window_hours"].format(hours=alarm.window_h)
    return text


def advice(alarm: Alarm, language: str) -> str:
    """What to do about it."""
    cold = is_lower_limit(alarm.kind, alarm.commodity)
    return WORDS[language]["do_cooling_return" if cold else f"do_{alarm.kind}"]


def utc(at: datetime) -> datetime:
    """The same moment in UTC."""
    return at.astimezone(UTC)
