"""The portal's words: one catalogue a language, keys alike (a test compares them)."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Final

import orjson
from fastapi import Request

from notify.wording import language_of

OFFERED: Final = {"sv": "Svenska", "en": "English"}

Translate = Callable[..., str]


@cache
def catalogue(language: str) -> dict[str, str]:
    """Every text of a language by key."""
    text = files("portal").joinpath("language", f"{language}.json").read_bytes()
    return dict(orjson.loads(text))


def translator(language: str) -> Translate:
    """`t(key, **values)` in one language. Raises KeyError for an unknown key."""
    words = catalogue(language)

    def translate(key: str, /, **values: object) -> str:
        return words[key].format(**values) if values else words[key]

    return translate


def language_for(request: Request) -> str:
    """Asked for in the address, else the person's own, else Swedish."""
    asked = request.query_params.get("lang")
    if asked in OFFERED:
        return asked
    visitor = getattr(request.state, "visitor", None)
    return language_of(visitor.visit.language if visitor is not None else None)
