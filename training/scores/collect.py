"""Run the tracker over all lessons and keep a table of each; tables that exist are not made again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from agss_model.engines.loading import Engine
from agss_model.errors import AgssError
from agss_model.files import explained
from training.scores.lessons import LessonSource
from training.scores.record import Table, run_freely


def collect(
    parts: Iterable[LessonSource], engine: Engine, folder: Path, say: Callable[[str], None], *, most: int = 0
) -> int:
    """Fill a folder with tables, one file a lesson.

    Args:
        parts: the lessons.
        engine: what to track with; a folder belongs to one.
        folder: made if missing.
        say: gets a line for each lesson.
        most: tables at most, 0 for one of each lesson.

    Returns:
        Tables there are now.

    Raises:
        MediaError: a table that is there is damaged.
        OutputError: the folder cannot be written.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for part in parts:
        if most and count >= most:
            break
        path = folder / f"{part.name}.npz"
        if not path.is_file() or Table.load(path) is None:
            try:
                table = run_freely(part.open(), engine)
            except AgssError as error:  # one clip of many
                say(f"{part.name}: left out, {error}")
                continue
            table.save(path)
            say(f"{part.name}: {len(table.iou)} masks")
        count += 1
    return count
