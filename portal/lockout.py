"""Slows down guessing: too many failures for one account or from one address, and logins wait.

In memory of one process. It counts failures, so that nobody is locked out by logging in often.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

ACCOUNT_FAILURES: Final = 5
ADDRESS_FAILURES: Final = 30
WINDOW_S: Final = 15 * 60.0
REMEMBERED: Final = 10_000


class Lockout:
    """Failures of the last quarter of an hour by key; `clock` counts seconds, never backwards."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def wait_s(self, account: str, address: str) -> float:
        """Seconds until the next try is allowed; 0: now."""
        return max(
            self._wait_s(f"account:{account}", ACCOUNT_FAILURES),
            self._wait_s(f"address:{address}", ADDRESS_FAILURES),
        )

    def failed(self, account: str, address: str) -> None:
        """Count a failure against both."""
        for key in (f"account:{account}", f"address:{address}"):
            self._failures.setdefault(key, []).append(self._clock())
            self._failures.move_to_end(key)
        while len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, account: str) -> None:
        """Forget the account's failures; the address keeps its own."""
        self._failures.pop(f"account:{account}", None)

    def _wait_s(self, key: str, allowed: int) -> float:
        since = self._clock() - WINDOW_S
        recent = [at for at in self._failures.get(key, ()) if at > since]
        if recent:
            self._failures[key] = recent
        else:
            self._failures.pop(key, None)
        return recent[-allowed] - since if len(recent) >= allowed else 0.0
