"""`fjarrvakt demo`: a whole simulated utility through the real path, for people and for CI."""

from fjarrvakt.demo.main import main

__all__ = ["main"]
