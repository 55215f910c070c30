"""Argon2 in threads, a few at a time: one hash takes 64 MiB and a quarter of a second."""

import asyncio
from typing import Final

import argon2

SEMAPHORE: Final = 2


class Passwords:
    """Checks passwords without blocking the loop, and without telling whether an account exists."""

    def __init__(self, hasher: argon2.PasswordHasher | None = None) -> None:
        self._hasher = hasher or argon2.PasswordHasher()
        self._semaphore = asyncio.Semaphore(SEMAPHORE)
        self._nobody: str | None = None

    async def check(self, password_hash: str | None, password: str) -> tuple[bool, str | None]:
        """(right or wrong, a fresh hash when the stored one was made with older parameters).

        `password_hash` None: no such account; takes as long as a wrong password.
        """
        async with self._semaphore:
            return await asyncio.to_thread(self._check, password_hash, password)

    def _check(self, password_hash: str | None, password: str) -> tuple[bool, str | None]:
        if password_hash is None:
            self._nobody = self._nobody or self._hasher.hash("nobody")
        try:
            self._hasher.verify(password_hash or self._nobody or "", password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False, None
        if password_hash is None:
            return False, None
        stale = self._hasher.check_needs_rehash(password_hash)
        return True, self._hasher.hash(password) if stale else None


def hash_password(password: str) -> str:
    """A hash to store, with today's parameters."""
    return argon2.PasswordHasher().hash(password)
