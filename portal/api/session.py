"""Who you are here."""

from fastapi import APIRouter

from portal.api import bodies
from portal.api.answer import Json
from portal.context import Person

router = APIRouter(prefix="/session", tags=["session"])


@router.get("", responses=bodies.described(bodies.SessionBody))
async def get_session(person: Person) -> Json:
    """Your name and language, and the token unsafe requests need."""
    return Json(
        {
            "user_id": person.user_id,
            "name": person.visit.name,
            "language": person.visit.language,
            "csrf_token": person.visit.csrf_token,
            "is_staff": person.scope.is_staff,
            "facilities": len(person.scope.levels),
        }
    )
