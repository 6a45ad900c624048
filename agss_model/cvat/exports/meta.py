"""The head of a CVAT export: tasks, their sizes and frame numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agss_model.cvat.identity import LooseShape, Piece, sort_out, without_frames
from agss_model.cvat.records import Problem, VideoAnnotations
from agss_model.errors import MediaError
from agss_model.pictures import MAX_SIDE

MAX_FRAMES = 50_000_000
_OWNERS = ("task", "job")
_STEP = re.compile(r"\s*step\s*=\s*([0-9]{1,9})\s*")


@dataclass(frozen=True)
class Task:
    """A task, or the part of it that one job holds.

    Attributes:
        number: CVAT's id, None where it is not said.
        name: of the task.
        width: of a frame, pixels.
        height: of a frame, pixels.
        frame_count: frames of the task.
        start_frame: of the source video.
        frame_step: in the source video.
        source: file name of the video.
        segments: first and last frame of every job.
        mode: "interpolation" for a video, "annotation" for single images, empty where it is not said.
        first: number of its first frame as CVAT shows it, above 0 for a job that begins later.
    """

    number: int | None
    name: str
    width: int
    height: int
    frame_count: int
    start_frame: int = 0
    frame_step: int = 1
    source: str = ""
    segments: tuple[tuple[int, int], ...] = ()
    mode: str = ""
    first: int = 0

    def index(self, source_frame: int) -> int:
        """The task's frame that a frame of the source video is.

        Raises:
            MediaError: it is none of them.
        """
        index, rest = divmod(source_frame - self.start_frame, self.frame_step)
        if rest or not 0 <= index < self.frame_count:
            last = self.start_frame + (self.frame_count - 1) * self.frame_step
            raise MediaError(
                f"frame {source_frame} is none of task {self.name!r}, which has frames {self.start_frame} to {last} "
                f"in steps of {self.frame_step}"
            )
        return index


def recorded(
    task: Task,
    pieces: Iterable[Piece],
    loose: Iterable[LooseShape],
    *,
    deleted: frozenset[int] = frozenset(),
    before: Iterable[Problem] = (),
    after: Iterable[Problem] = (),
) -> VideoAnnotations:
    """The record of a task, after its shapes have been sorted into objects.

    Args:
        task: whose annotations these are.
        pieces: tracks and parts of tracks.
        loose: single shapes.
        deleted: frames that were deleted from the task; what is on them is left out.
        before: problems that are listed before those of sorting.
        after: problems that are listed after them.
    """
    objects, found = sort_out(
        [without_frames(piece, deleted) for piece in pieces],
        [shape for shape in loose if shape.frame not in deleted],
        width=task.width,
        height=task.height,
        segments=task.segments,
    )
    return VideoAnnotations(
        name=task.name,
        width=task.width,
        height=task.height,
        frame_count=task.frame_count,
        objects=objects,
        start_frame=task.start_frame,
        frame_step=task.frame_step,
        source=task.source,
        deleted=deleted,
        problems=(*before, *found, *after),
    )


@dataclass
class TaskMeta:
    """Collects texts while the head is read."""

    _found: list[dict[str, str]] = field(default_factory=list)
    _segments: list[list[dict[str, str]]] = field(default_factory=list)

    def open(self, place: tuple[str, ...]) -> None:
        """An element begins."""
        if place[:2] != ("annotations", "meta"):
            return
        if place[-1] in _OWNERS and len(place) in (3, 5):
            self._found.append({})
            self._segments.append([])
        elif place[-1] == "segment" and self._segments:
            self._segments[-1].append({})

    def close(self, place: tuple[str, ...], text: str) -> None:
        """An element ends; its text is kept by its name below the task."""
        if place[:2] != ("annotations", "meta") or not self._found:
            return
        # Exports of jobs tell the size beside the job, those of tasks inside.
        owner = max((row for row, name in enumerate(place) if name in _OWNERS), default=1)
        below = place[owner + 1 :]
        if below[:2] == ("segments", "segment") and len(below) == 3:
            self._segments[-1][-1][below[2]] = text
        elif len(below) == 1:
            self._found[-1].setdefault(below[0], text)
        elif len(below) == 2 and below[0] == "original_size":
            self._found[-1].setdefault(f"original_size/{below[1]}", text)

    def tasks(self, size: Mapping[str, str] | None = None) -> list[Task]:
        """What the head says.

        Args:
            size: `width` and `height` of the first image, for tasks whose head says none.

        Raises:
            MediaError: there is none, or a number is missing or out of range.
        """
        if not self._found:
            raise MediaError("has no <task> or <job> in its <meta>; export as 'CVAT for video 1.1'")
        sizes = {f"original_size/{side}": size[side] for side in ("width", "height") if side in size} if size else {}
        return [_task(sizes | texts, parts) for texts, parts in zip(self._found, self._segments, strict=True)]


def _task(texts: Mapping[str, str], parts: list[dict[str, str]]) -> Task:
    name = texts.get("name") or f"task {texts.get('id', '')}".strip()
    step = 1
    if rule := texts.get("frame_filter", "").strip():
        found = _STEP.fullmatch(rule)
        if not found or int(found[1]) < 1:
            raise MediaError(f"task {name!r} has frame_filter {rule!r}; 'step=N' with N from 1 on can be read")
        step = int(found[1])
    start = _whole(texts, "start_frame", name, 0, MAX_FRAMES, default=0)
    count = _whole(texts, "size", name, 1, MAX_FRAMES)
    segments = sorted(
        (_whole(part, "start", name, 0, MAX_FRAMES), _whole(part, "stop", name, 0, MAX_FRAMES)) for part in parts
    )
    first = segments[0][0] if segments else 0
    return Task(
        number=int(texts["id"]) if texts.get("id", "").isdecimal() else None,
        name=name,
        width=_whole(texts, "original_size/width", name, 1, MAX_SIDE),
        height=_whole(texts, "original_size/height", name, 1, MAX_SIDE),
        frame_count=count,
        start_frame=start,
        frame_step=step,
        source=texts.get("source", ""),
        segments=tuple((begin - first, end - first) for begin, end in segments),
        mode=texts.get("mode", ""),
        first=first,
    )


def _whole(texts: Mapping[str, str], key: str, name: str, low: int, high: int, default: int | None = None) -> int:
    text = texts.get(key, "")
    if not text and default is not None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        shown = f"is {text!r}" if text else "is missing"
        advice = (
            ". Export tasks of images as 'CVAT for images 1.1', which says it" if "size/" in key and not text else ""
        )
        raise MediaError(f"{key} of task {name!r} {shown}; it must be a whole number from {low} to {high}{advice}")
    return int(text)
