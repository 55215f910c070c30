"""What a notice and a mail say. Pure: rows in, text and message out."""

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from typing import Final
from urllib.parse import urlsplit

from notify import wording
from notify.expand import News, news
from store.notify import Happening, MailOrder

_SEVEN_BIT: Final = SMTP.clone(cte_type="7bit")
"""Every relay takes it; bodies are quoted-printable."""

_HTML: Final = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title></head>
<body style="font-family: sans-serif; color: #15242b; line-height: 1.5">
<h1 style="font-size: 20px">{title}</h1>
{paragraphs}
<p><a href="{link}" style="color: #0a5566">{open_short}</a></p>
<p style="font-size: 13px; color: #47575e">{footer}</p>
</body></html>
"""


@dataclass(frozen=True)
class Text:
    """A title and the sentences under it."""

    title: str
    lines: tuple[str, ...]

    @property
    def body(self) -> str:
        """The sentences as one paragraph."""
        return " ".join(self.lines)


def link(public_url: str, facility_id: int) -> str:
    """The facility's page."""
    return f"{public_url.rstrip('/')}/facilities/{facility_id}"


def compose(happening: Happening, language: str) -> Text:
    """What happened, since when, how it was worked out, what to do. In `sv` or `en`."""
    tongue = wording.language_of(language)
    what = news(happening.event, happening.from_state)
    value = happening.value if happening.value is not None else happening.raised_value
    title = wording.title(
        happening, what, facility=happening.facility_name, value=value, language=tongue
    )
    if what is News.CLEARED:
        return Text(title, (_ended(happening, tongue),))
    if what is News.WITHDRAWN:
        return Text(title, (wording.WORDS[tongue]["withdrawn_why"],))
    since = wording.WORDS[tongue]["since"].format(moment=wording.moment(happening.since, tongue))
    return Text(title, (since, wording.basis(happening, tongue), wording.advice(happening, tongue)))


def _ended(happening: Happening, language: str) -> str:
    words = wording.WORDS[language]
    end = happening.until or happening.source_at
    lowest = wording.is_lower_limit(happening.kind, happening.commodity)
    return words["until"].format(
        moment=wording.moment(end, language),
        duration=wording.duration(happening.since, end, language),
        extreme_word=words["lowest" if lowest else "highest"],
        extreme=wording.quantity(happening.kind, happening.extreme_value, language),
    )


def message_id(delivery_id: int, public_url: str) -> str:
    """The same for every try of one delivery, so that a second copy is known as one."""
    return f"<delivery-{delivery_id}@{urlsplit(public_url).hostname or 'localhost'}>"


def mail(order: MailOrder, *, sender: str, public_url: str, date: datetime) -> EmailMessage:
    """The mail of one delivery: text and HTML, marked automatic, with the way to switch it off."""
    text = compose(order, order.language)
    language = wording.language_of(order.language)
    words = wording.WORDS[language]
    page = link(public_url, order.facility_id)
    message = EmailMessage(policy=_SEVEN_BIT)
    message["Message-ID"] = message_id(order.delivery_id, public_url)
    message["Date"] = format_datetime(date)
    message["From"] = sender
    message["To"] = order.email
    message["Subject"] = text.title.replace("\r", " ").replace("\n", " ")
    message["Auto-Submitted"] = "auto-generated"
    message["List-Unsubscribe"] = f"<{page}#rules>"
    message["Content-Language"] = language
    opening = words["open"].format(link=page)
    message.set_content("\n\n".join([text.title, *text.lines, opening, "-- \n" + words["footer"]]))
    paragraphs = "\n".join(f"<p>{escape(line)}</p>" for line in text.lines)
    message.add_alternative(
        _HTML.format(
            language=language,
            title=escape(text.title),
            paragraphs=paragraphs,
            link=escape(page),
            open_short=escape(words["open_short"]),
            footer=escape(words["footer"]),
        ),
        subtype="html",
    )
    return message
