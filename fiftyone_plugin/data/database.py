"""FiftyOne's database: what happens when it cannot be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pymongo.errors import PyMongoError

from agss_model.errors import AgssError

T = TypeVar("T")
FRAMES_AT_ONCE = 64
"""Frames whose labels are written together."""


class DatabaseError(AgssError):
    """FiftyOne's database refuses to be read or written."""


def guarded(action: Callable[[], T]) -> T:
    """Run something that writes to the database.

    Raises:
        DatabaseError: it is read-only, full or gone.
    """
    try:
        return action()
    except (PyMongoError, ValueError) as error:
        # FiftyOne turns what a bulk write reports into a ValueError.
        if not isinstance(error if isinstance(error, PyMongoError) else error.__cause__, PyMongoError):
            raise
        reason = str(error).split(", full error")[0]
        raise DatabaseError(
            f"FiftyOne's database cannot be written: {reason}. Check that it runs, that its disk has space, and that "
            "the user in FIFTYONE_DATABASE_URI may write; what was tracked before is kept, run again to continue."
        ) from error
