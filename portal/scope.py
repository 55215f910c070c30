"""What one person may see and do: resolved once per request, asked everywhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from portal.problems import Problem, not_found


class Level(StrEnum):
    """What a grant allows, from most to least."""

    ADMIN = "admin"
    FULL = "full"
    READ = "read"


@dataclass(frozen=True)
class AccessScope:
    """The facilities a person may see with the level of each.

    `is_staff` is provisional: whoever administers any customer counts as staff (docs/api.md).
    """

    levels: Mapping[int, Level]
    is_staff: bool = False

    @property
    def facility_ids(self) -> list[int]:
        """Every facility the person may see."""
        return list(self.levels)

    def level(self, facility_id: int) -> Level:
        """The person's level there.

        Raises Problem 404 when there is no such facility, or none for this person.
        """
        level = self.levels.get(facility_id)
        if level is None:
            raise not_found()
        return level

    def may_change(self, facility_id: int) -> bool:
        """Whether they may set limits and acknowledge there. Raises Problem 404 as `level`."""
        return self.level(facility_id) is not Level.READ

    def need_change(self, facility_id: int) -> None:
        """Raise Problem 403 unless the person may change things there (404 as `level`)."""
        if not self.may_change(facility_id):
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "Your level there is read; limits and alarms need full or admin.",
            )

    def need_staff(self) -> None:
        """Raise Problem 404 unless they are staff: what is for staff does not exist for others."""
        if not self.is_staff:
            raise not_found()
