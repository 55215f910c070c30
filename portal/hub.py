"""Who waits for news, and what wakes them: LISTEN, and one event per waiting stream.

`fjarrvakt_notice` (from notify) carries `user:notice`, `fjarrvakt_change` (from the engine and
people's acts) a facility. What was said while the connection was lost cannot be known: then all
wake and look for themselves.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final

import psycopg
import structlog

RECONNECT_S: Final = 2.0

log = structlog.get_logger()

Waiting = dict[int, set[asyncio.Event]]


class Hub:
    """Wakes the streams of this process. Everything runs on the app's one event loop."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._users: Waiting = {}
        self._facilities: Waiting = {}
        self._task: asyncio.Task[None] | None = None
        self.closing = False

    async def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Stop, and let every stream end."""
        self.closing = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._wake_all()

    @contextlib.contextmanager
    def user(self, user_id: int) -> Iterator[asyncio.Event]:
        """An event that is set when this person may have a new notice."""
        with _registered(self._users, user_id) as event:
            yield event

    @contextlib.contextmanager
    def facility(self, facility_id: int) -> Iterator[asyncio.Event]:
        """An event that is set when something about this facility may have changed."""
        with _registered(self._facilities, facility_id) as event:
            yield event

    async def _listen(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._dsn, autocommit=True, application_name="fjarrvakt-portal-listen"
                ) as conn:
                    await conn.execute("listen fjarrvakt_notice")
                    await conn.execute("listen fjarrvakt_change")
                    self._wake_all()
                    async for note in conn.notifies():
                        self._heard(note.channel, note.payload)
            except psycopg.Error as error:
                log.warning("portal.listen_lost", error=type(error).__name__, retry_s=RECONNECT_S)
                await asyncio.sleep(RECONNECT_S)

    def _heard(self, channel: str, payload: str) -> None:
        waiting = self._users if channel == "fjarrvakt_notice" else self._facilities
        key = payload.partition(":")[0]
        if key.isdecimal():
            for event in waiting.get(int(key), ()):
                event.set()

    def _wake_all(self) -> None:
        for waiting in (self._users, self._facilities):
            for events in waiting.values():
                for event in events:
                    event.set()


@contextlib.contextmanager
def _registered(waiting: Waiting, key: int) -> Iterator[asyncio.Event]:
    event = asyncio.Event()
    waiting.setdefault(key, set()).add(event)
    try:
        yield event
    finally:
        waiting[key].discard(event)
        if not waiting[key]:
            del waiting[key]
