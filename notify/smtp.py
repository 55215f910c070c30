"""One try of one mail over SMTP, and what became of it. No retries here: that is the worker's."""

from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Final

import aiosmtplib

from config.settings import Notify

TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class Sent:
    """The server took it (250), with its words."""

    answer: str


@dataclass(frozen=True)
class Retry:
    """Not now. `uncertain`: the text went out, its answer was not read, so a copy may exist."""

    error: str
    uncertain: bool = False


@dataclass(frozen=True)
class Refused:
    """The server says it will never take it (5xx)."""

    error: str


@dataclass(frozen=True)
class Lost:
    """The claim was lost before the text went out: somebody else sends it."""


Outcome = Sent | Retry | Refused | Lost


def make_client(settings: Notify) -> aiosmtplib.SMTP:
    """A client for the configured server, not yet connected."""
    return aiosmtplib.SMTP(
        hostname=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username or None,
        password=settings.smtp_password.get_secret_value() or None,
        start_tls=settings.smtp_starttls,
        timeout=TIMEOUT_S,
    )


async def attempt(
    client: aiosmtplib.SMTP, sender: str, message: EmailMessage, begin: Callable[[], bool]
) -> Outcome:
    """Give one mail to a connected client.

    `begin` is called when sender and recipient are accepted, right before the text goes out; it
    records that, and says False when the claim was lost.
    """
    recipient = str(message["To"])
    refused = await _address(client, sender, recipient)
    if refused is not None:
        return refused
    if not begin():
        await _reset(client)
        return Lost()
    try:
        answer = await client.data(message.as_bytes())
    except aiosmtplib.SMTPDataError as error:
        return _by_code(error.code, error.message, recipient)
    except (aiosmtplib.SMTPException, OSError) as error:
        client.close()
        return Retry(_clean(error, recipient), uncertain=True)
    return Sent(f"{answer.code} {answer.message}"[:500])


async def _address(client: aiosmtplib.SMTP, sender: str, recipient: str) -> Outcome | None:
    """Name sender and recipient; None when the server takes both."""
    try:
        await client.mail(sender)
        await client.rcpt(recipient)
    except aiosmtplib.SMTPResponseException as error:
        await _reset(client)
        return _by_code(error.code, error.message, recipient)
    except UnicodeEncodeError:
        await _reset(client)
        return Refused("the address is not ASCII, and the server was not asked for SMTPUTF8")
    except (aiosmtplib.SMTPException, OSError) as error:
        client.close()
        return Retry(_clean(error, recipient))
    return None


async def _reset(client: aiosmtplib.SMTP) -> None:
    try:
        await client.rset()
    except (aiosmtplib.SMTPException, OSError):
        client.close()  # the next mail connects again


def _by_code(code: int, answer: str, recipient: str) -> Outcome:
    text = f"{code} {answer}".replace(recipient, "<recipient>")[:500]
    # -1 is the library's code for an answer it could not read.
    return Refused(text) if 500 <= code <= 599 else Retry(text)


def _clean(error: Exception, recipient: str) -> str:
    return f"{type(error).__name__}: {error}".replace(recipient, "<recipient>")[:500]
