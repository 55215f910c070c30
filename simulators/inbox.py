"""A mail server that keeps what it is given, so that a demo's mails can be read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class _Keeper:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(  # noqa: N802  # aiosmtpd's name for it
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        number = sum(1 for _ in self._folder.glob("*.eml")) + 1
        content = envelope.content
        assert isinstance(content, bytes)  # noqa: S101  # decode_data is off
        (self._folder / f"{number:06}.eml").write_bytes(content)
        return "250 kept"


@contextmanager
def inbox(folder: Path, port: int) -> Iterator[None]:
    """An SMTP server on this loopback port that writes every mail as a file into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    controller = Controller(_Keeper(folder), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield
    finally:
        controller.stop()
