"""How long to wait before trying a broken connection again."""

import random


class Backoff:
    """Doubling waits from `first_s` to `most_s`, each cut by chance to 50-100 %.

    The jitter keeps a thousand clients from returning at the same instant after an outage.
    """

    def __init__(self, first_s: float = 1.0, most_s: float = 60.0) -> None:
        self.first_s = first_s
        self.most_s = most_s
        self._failures = 0

    def next_s(self) -> float:
        """The wait after one more failure. [s]"""
        whole_s = min(self.most_s, self.first_s * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return whole_s * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, guards no secret

    def reset(self) -> None:
        """The connection worked: begin with `first_s` again."""
        self._failures = 0
