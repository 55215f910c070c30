"""Templates to pages."""

from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from fastapi import Request
from starlette.responses import HTMLResponse

from notify import wording
from portal.language import OFFERED, language_for, translator


@cache
def environment() -> jinja2.Environment:
    """Jinja2 with escaping on, and an error for every name nobody gave."""
    loader = jinja2.FileSystemLoader(str(files("portal").joinpath("templates")))
    made = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["nbsp"] = wording.NBSP
    return made


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """One page in the language of the request. Values override what every page gets."""
    language = language_for(request)
    context: dict[str, Any] = {
        "t": translator(language),
        "n": lambda value: wording.number(value, 0, language),
        "lang": language,
        "languages": OFFERED,
        "visitor": getattr(request.state, "visitor", None),
        "path": request.url.path,
        "place": "",
        "unread": 0,
    }
    text = environment().get_template(template).render(context | values)
    response = HTMLResponse(text, status)
    response.headers["Content-Language"] = language
    return response
