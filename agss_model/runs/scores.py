"""The table of scores: one row per frame and object."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agss_model.errors import OutputError
from agss_model.files import write_bytes
from agss_model.tracking.results import FrameResult

_COMPLETE = ",-\n"  # after the number of a frame, behind its rows in a log
HEADER = ("frame", "object", "score", "lost", "reasons", "human", "area")


@dataclass(frozen=True)
class Row:
    """One object in one frame.

    Attributes:
        frame: number, from 0.
        object_id: the object.
        score: in [0, 1].
        lost: it could not be found.
        reasons: why the score is low.
        human: the mask was given, not predicted.
        area: pixels.
    """

    frame: int
    object_id: int
    score: float
    lost: bool
    reasons: tuple[str, ...]
    human: bool
    area: int

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of `HEADER`."""
        flags = str(int(self.lost)), "; ".join(self.reasons), str(int(self.human))
        return str(self.frame), str(self.object_id), f"{self.score:.4f}", *flags, str(self.area)


def rows_of(result: FrameResult) -> list[Row]:
    """The rows of one frame, by ascending id."""
    top = max(result.object_ids, default=0) + 1
    areas = np.bincount(result.label_map.ravel(), minlength=top)
    return [
        Row(
            frame=result.frame_index,
            object_id=object_id,
            score=result.scores[object_id],
            lost=object_id in result.lost,
            reasons=result.reasons.get(object_id, ()),
            human=object_id in result.human,
            area=int(areas[object_id]),
        )
        for object_id in result.object_ids
    ]


def read_rows(path: Path) -> Iterator[Row]:
    """Rows of a table written by this package; a last line cut off by a crash is passed over.

    Raises:
        OutputError: it is no text.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            yield from filter(None, map(_row, csv.reader(file)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise OutputError(f"{path} is no table of scores ({error}); move it elsewhere, and track again") from error


def _row(cells: list[str]) -> Row | None:
    if len(cells) != len(HEADER) or cells[0] == HEADER[0]:
        return None
    try:
        frame, object_id, score, lost, reasons, human, area = cells
        words = tuple(reasons.split("; ")) if reasons else ()
        return Row(int(frame), int(object_id), float(score), lost == "1", words, human == "1", int(area))
    except ValueError:
        return None


def append_log(path: Path, frame: int, rows: Iterable[Row]) -> None:
    """Add the rows of a frame to a log, and then that it is complete; errors of the file system come as they are."""
    with path.open("a", newline="", encoding="utf-8") as file:
        file.write(_log_lines(frame, rows))


def read_log(path: Path) -> dict[int, list[Row]]:
    """Rows by frame, of frames that are complete in a log; a frame without objects has none."""
    waiting: dict[int, list[Row]] = {}
    found: dict[int, list[Row]] = {}
    for row in read_rows(path):
        waiting.setdefault(row.frame, []).append(row)
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        complete = {int(line[: -len(_COMPLETE)]) for line in file if line.endswith(_COMPLETE)}
    for frame in complete:
        found[frame] = list({row.object_id: row for row in waiting.get(frame, [])}.values())
    return found


def write_log(path: Path, frames: Mapping[int, Iterable[Row]]) -> None:
    """Write a log anew.

    Raises:
        OutputError: it cannot be written.
    """
    write_bytes(path, "".join(_log_lines(frame, rows) for frame, rows in frames.items()).encode())


def _log_lines(frame: int, rows: Iterable[Row]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(row.cells() for row in rows)
    return f"{text.getvalue()}{frame}{_COMPLETE}"


def table(rows: Iterable[Row]) -> bytes:
    """A whole table, as `read_rows` reads it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(row.cells() for row in rows)
    return text.getvalue().encode()


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write a whole table.

    Raises:
        OutputError: it cannot be written.
    """
    write_bytes(path, table(rows))
