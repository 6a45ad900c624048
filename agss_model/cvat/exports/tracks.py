"""The tracks of a CVAT export, one after the other."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from agss_model.cvat.authorship import Names, keyframe_authors
from agss_model.cvat.checks import HUMAN_SOURCES, checked_shape, numbers_in
from agss_model.cvat.exports.meta import Task, recorded
from agss_model.cvat.identity import LooseShape, Piece
from agss_model.cvat.records import SHAPE_KINDS, Appearance, CvatShape, Problem, VideoAnnotations
from agss_model.errors import AgssError, MaskError, MediaError

MAX_SHAPES = 5_000_000


@dataclass
class TaskContent:
    """What was read of a task."""

    task: Task
    pieces: list[Piece] = field(default_factory=list)
    loose: list[LooseShape] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)


@dataclass
class _Track:
    """The track being read."""

    owner: TaskContent
    number: str
    label: str
    group: int
    source: str
    line: int
    appearances: dict[int, Appearance] = field(default_factory=dict)
    keyframes: list[dict[str, Any]] = field(default_factory=list)  # polygons, as the API would give them

    @property
    def human(self) -> bool:
        """What its source says of all of it."""
        return self.source in HUMAN_SOURCES

    def __str__(self) -> str:
        return f"track {self.number} ({self.label})"


class TrackReader:
    """Collects tracks into videos.

    Args:
        tasks: what the head of the file names.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = [TaskContent(task) for task in tasks]
        self._track: _Track | None = None
        self._shapes = 0

    def begin(self, attributes: Mapping[str, str], line: int) -> None:
        """A track begins.

        Raises:
            MediaError: label or group are missing or damaged, or its task is not in the file.
        """
        number = attributes.get("id", "?")
        if not attributes.get("label"):
            raise MediaError(f"track {number} has no label")
        group = group_of(attributes, f"track {number}")
        owner = owner_of(self._tasks, attributes.get("task_id"), f"track {number}")
        source = attributes.get("source", "manual")
        self._track = _Track(owner, number, attributes["label"], group, source, line)

    def shape(self, kind: str, attributes: Mapping[str, str]) -> None:
        """A shape of the track.

        Raises:
            AgssError: it is damaged, or of a frame the task does not have.
        """
        track = self._track
        if track is None or kind == "attribute":
            return
        if kind not in SHAPE_KINDS:
            track.owner.ignored[kind] += 1
            return
        self._shapes += 1
        if self._shapes > MAX_SHAPES:
            raise MediaError(f"has more than {MAX_SHAPES} shapes; export the tasks one by one")
        try:
            index = track.owner.task.index(whole(attributes, "frame"))
            drawn = _flag(attributes, "keyframe", default=True)
            outside = _flag(attributes, "outside", default=False)
            shape = None if outside else shape_of(kind, attributes, track.owner.task)
        except AgssError as error:
            raise MediaError(f"{track}, <{kind}> of frame {attributes.get('frame', '?')}: {error}") from error
        if shape is None and not outside:
            track.owner.problems.append(Problem("empty mask", f"frame {index}: the mask of {track} has no pixel"))
            return
        if kind == "polygon" and drawn:
            track.keyframes.append(_keyframe(index + track.owner.task.first, attributes, outside))
        before = track.appearances.get(index)
        if before is not None and not before.outside and outside:
            return
        parts = (*(before.shapes if before else ()), *((shape,) if shape else ()))
        track.appearances[index] = Appearance(parts, track.human, interpolated=not drawn)

    def end(self) -> None:
        """The track is complete: an object's track, or a single shape with its outside copy."""
        track, self._track = self._track, None
        if track is None:
            return
        visible = [index for index, appearance in track.appearances.items() if not appearance.outside]
        if len(visible) == 1:
            found = track.appearances[visible[0]]
            track.owner.loose += [
                LooseShape(visible[0], track.label, track.group, shape, found.human) for shape in found.shapes
            ]
        elif visible:
            track.owner.pieces.append(Piece(track.label, track.group, _judged(track)))

    def videos(self) -> list[VideoAnnotations]:
        """What was read, one record for each task."""
        return [video_of(task) for task in self._tasks]


def owner_of(tasks: Sequence[TaskContent], task_id: str | None, what: str) -> TaskContent:
    """The task that something in the file belongs to.

    Raises:
        MediaError: it is not in the file.
    """
    if len(tasks) == 1:
        return tasks[0]
    for task in tasks:
        if task_id is not None and str(task.task.number) == task_id:
            return task
    numbers = ", ".join(str(task.task.number) for task in tasks)
    raise MediaError(f"{what} belongs to task {task_id!r}, which is none of the file's ({numbers})")


def group_of(attributes: Mapping[str, str], what: str) -> int:
    """The group, 0 for none.

    Raises:
        MediaError: it is no whole number.
    """
    group = attributes.get("group_id", "0")
    if not re.fullmatch(r"[0-9]{1,9}", group):
        raise MediaError(f"{what} has group_id {group!r}; it must be a whole number")
    return int(group)


def _keyframe(frame: int, attributes: Mapping[str, str], outside: bool) -> dict[str, Any]:
    """A keyframe as the server has it, of the frame of that number in the whole task, which its signature covers."""
    points = numbers_in(attributes.get("points", ""), "points").tolist()
    flags = {"occluded": attributes.get("occluded") == "1", "outside": outside}
    return {"frame": frame, "type": "polygon", "points": points, "z_order": int(attributes.get("z_order", 0)), **flags}


def _judged(track: _Track) -> dict[int, Appearance]:
    """Appearances by who made the keyframes, which signatures tell; where there are none, the source of the track does.

    The numbers of attributes are not in an export, so tracks whose label has attributes go by their source.
    """
    item = {"label_id": track.label, "group": track.group, "source": track.source, "shapes": track.keyframes}
    authors = keyframe_authors(item, Names())
    if "ours" not in authors.values():
        return track.appearances
    human = {frame - track.owner.task.first: by == "person" for frame, by in authors.items()}
    order = sorted(human)
    judged: dict[int, Appearance] = {}
    for index, found in track.appearances.items():
        around = [order[bisect_right(order, index) - 1 :][:1], order[bisect_left(order, index) :][:1]]
        sides = [human[frame] for part in around for frame in part]
        judged[index] = replace(found, human=bool(sides) and all(sides))
    return judged


def video_of(collected: TaskContent) -> VideoAnnotations:
    """The record of a task."""
    ignored = [
        Problem("ignored", f"{count} shapes of kind <{kind}> have no mask and were left out")
        for kind, count in sorted(collected.ignored.items())
    ]
    return recorded(collected.task, collected.pieces, collected.loose, before=collected.problems, after=ignored)


def shape_of(kind: str, attributes: Mapping[str, str], task: Task) -> CvatShape | None:
    """A shape as XML writes it; None for a mask of background only."""
    z_order = attributes.get("z_order", "0")
    if not re.fullmatch(r"-?[0-9]{1,9}", z_order):
        raise MaskError(f"z_order is {z_order!r}, not a whole number")
    sizes = {"width": task.width, "height": task.height, "z_order": int(z_order)}
    if kind != "mask":
        return checked_shape(kind, numbers_in(attributes.get("points", ""), "points"), **sizes)
    left, top, width, height = (whole(attributes, key) for key in ("left", "top", "width", "height"))
    runs = numbers_in(attributes.get("rle", ""), "rle")
    box = np.array([left, top, left + width - 1, top + height - 1], dtype=np.float64)
    return checked_shape(kind, np.concatenate([runs, box]), **sizes)


def whole(attributes: Mapping[str, str], key: str) -> int:
    """A whole number of an element.

    Raises:
        MediaError: missing, or something else.
    """
    text = attributes.get(key, "")
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise MediaError(f"{key} is {text!r}, not a whole number" if text else f"{key} is missing")
    return int(text)


def _flag(attributes: Mapping[str, str], key: str, *, default: bool) -> bool:
    text = attributes.get(key, "1" if default else "0")
    if text not in ("0", "1"):
        raise MediaError(f"{key} is {text!r}, not 0 or 1")
    return text == "1"
