"""JSON bodies by orjson: dataclasses, numpy columns (NaN becomes null), UTC with Z."""

from typing import Any, Final

import orjson
from starlette.responses import Response

OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z


class Json(Response):
    """An answer whose content is anything orjson takes."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes."""
        return orjson.dumps(content, option=OPTIONS)
