"""The local record of a run on a CVAT job: how far it is, what it found, what it wrote."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from agss_model.bounded_json import read_json
from agss_model.errors import OutputError
from agss_model.files import remove_leftovers, replacing
from agss_model.runs.scores import Row

VERSION = 2


@dataclass(frozen=True)
class TrackedMask:
    """One object in one frame of a run.

    Attributes:
        row: scores; `row.frame` is the frame in CVAT, `row.object_id` the number of the target.
        points: CVAT mask points; None for a lost object, or one that a person drew in this frame.
    """

    row: Row
    points: list[int] | None


@dataclass
class JobProgress:
    """How far a run is.

    Attributes:
        part: parts of the route that are finished.
        steps: frames of the next part that are finished.
        size: bytes of the results that belong to these.
        start: bytes of the results that belong to finished parts.
    """

    part: int = 0
    steps: int = 0
    size: int = 0
    start: int = 0


@dataclass
class _Content:
    asked: dict[str, Any] = field(default_factory=dict)
    written: dict[str, list[int]] = field(default_factory=dict)
    progress: JobProgress = field(default_factory=JobProgress)
    finished: bool = False


class Ledger:
    """One folder per job; only one process may hold it.

    Attributes:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        """Open or create.

        Raises:
            OutputError: it cannot be written, is damaged, or another process holds it.
        """
        from filelock import FileLock, Timeout

        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / "lock")
            self._lock.acquire(timeout=0)
        except Timeout:
            raise OutputError(
                f"Another command is tracking this job (it holds {folder / 'lock'}); wait for it."
            ) from None
        except OSError as error:
            raise OutputError(f"{folder} cannot be written: {error.strerror}; name another with --state.") from error
        try:
            remove_leftovers(folder)
            self._content = self._read()
        except OutputError:
            self._lock.release()
            raise

    @property
    def written(self) -> dict[str, list[int]]:
        """First frame, last frame, label and group of what was written, by the name that `origin_of` gives."""
        return self._content.written

    @property
    def progress(self) -> JobProgress:
        """How far the run is."""
        return self._content.progress

    @property
    def tracker(self) -> Path:
        """Where the tracker keeps its state between two blocks."""
        return self.folder / "tracker.state"

    def begin(self, asked: dict[str, Any]) -> bool:
        """Continue the run that was asked for, or start it anew where anything differs or it was finished.

        Returns:
            Whether something of it is done already.
        """
        content = self._content
        if content.asked != asked or content.finished:
            content.asked, content.progress, content.finished = asked, JobProgress(), False
            self.tracker.unlink(missing_ok=True)
        with self._results.open("ab") as file:
            file.truncate(content.progress.size)
        self.save()
        return content.progress != JobProgress()

    def note(self, found: Iterable[TrackedMask]) -> None:
        """Append results; they count from the next `advance` on."""
        with self._results.open("a", encoding="utf-8") as file:
            for one in found:
                row = one.row
                cells = [row.frame, row.object_id, row.score, row.lost, row.reasons, row.human, row.area, one.points]
                file.write(json.dumps(cells, separators=(",", ":")) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def advance(self, part: int, steps: int) -> None:
        """Say how far the run is now; everything noted so far belongs to it."""
        before = self.progress
        size = self._results.stat().st_size
        self._content.progress = JobProgress(part, steps, size, before.start if part == before.part else size)
        self.save()

    def again(self) -> None:
        """Begin the unfinished part anew."""
        before = self.progress
        self._content.progress = JobProgress(before.part, 0, before.start, before.start)
        self.tracker.unlink(missing_ok=True)
        with self._results.open("ab") as file:
            file.truncate(before.start)
        self.save()

    def results(self) -> Iterator[TrackedMask]:
        """The results of this run so far."""
        with self._results.open(encoding="utf-8") as file:
            for line in file:
                frame, object_id, score, lost, reasons, human, area, points = json.loads(line)
                yield TrackedMask(Row(frame, object_id, score, lost, tuple(reasons), human, area), points)

    def finish(self) -> None:
        """The run is complete."""
        self._content.finished = True
        self.tracker.unlink(missing_ok=True)
        self.save()

    def save(self) -> None:
        """Write beside and rename.

        Raises:
            OutputError: it cannot be written.
        """
        content = self._content
        data = {
            "version": VERSION,
            "asked": content.asked,
            "written": content.written,
            "progress": vars(content.progress),
            "finished": content.finished,
        }
        try:
            with replacing(self.folder / "ledger.json") as part:
                part.write_text(json.dumps(data), encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"{self.folder} cannot be written: {error.strerror}; name another with --state."
            ) from error

    @property
    def _results(self) -> Path:
        return self.folder / "results.jsonl"

    def _read(self) -> _Content:
        path = self.folder / "ledger.json"
        if not path.exists():
            return _Content()
        try:
            data = read_json(path)
            if data["version"] != VERSION:
                raise ValueError(f"version {data['version']}")
            written = {str(k): _four(v) for k, v in data["written"].items()}
            progress = dict(data["progress"])
            progress.setdefault("part", progress.pop("leg", 0))  # what it was called before 0.2
            return _Content(data["asked"], written, JobProgress(**progress), bool(data["finished"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise OutputError(f"{path} is damaged ({error}); remove it, and the job is tracked anew.") from error

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()


def _four(numbers: list[int]) -> list[int]:
    first, last, label, group = map(int, numbers)
    return [first, last, label, group]


def default_folder(host: str, job: int) -> Path:
    """Where the record of a job is kept: with the user's other state, apart by server and job."""
    from platformdirs import user_state_path

    where = re.sub(r"[^A-Za-z0-9.-]", "_", urlsplit(host).netloc or host)
    return user_state_path("agss-vos") / "cvat" / where / f"job-{job}"
