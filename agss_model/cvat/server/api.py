"""Annotations as CVAT's server answers `GET /api/tasks/ID/annotations`, made into the same records as the XML.

Frames are those of the task. Nothing here needs cvat-sdk: the reply comes as plain values. What a machine made and
nobody touched is no human's work, see `agss_model.cvat.authorship`; in a track that is so for each keyframe.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from agss_model.cvat.authorship import Names, author, in_order, keyframe_authors
from agss_model.cvat.checks import checked_shape
from agss_model.cvat.exports.meta import Task, recorded
from agss_model.cvat.identity import LooseShape, Piece
from agss_model.cvat.polygons.pairing import paired
from agss_model.cvat.records import SHAPE_KINDS, Appearance, CvatShape, Problem, VideoAnnotations
from agss_model.errors import AgssError, MediaError


def from_cvat_api(
    reply: Mapping[str, Any],
    task: Task,
    names: Names,
    *,
    deleted: Iterable[int] = (),
) -> VideoAnnotations:
    """Make records of a server's reply.

    Polygons between two keyframes of a track are interpolated point by point where both have the same number of
    points, as CVAT does then; otherwise these frames are left out and counted.

    Args:
        reply: with `shapes` and `tracks`.
        task: sizes and frame numbers; its `segments` are the jobs.
        names: of labels and attributes.
        deleted: frames that were deleted from the task; the server still returns their shapes.

    Raises:
        MediaError: the reply is not of that form, or a shape is damaged; the message names shape or track, and frame.
    """
    gone = frozenset(deleted)
    reader = _Reply(task, names)
    for entry in _list(reply, "shapes"):
        reader.shape(entry)
    for entry in _list(reply, "tracks"):
        reader.track(entry)
    dropped = sum(shape.frame in gone for shape in reader.loose)
    after = [Problem("deleted", f"{dropped} shapes are on deleted frames and were left out")] if dropped else []
    return recorded(task, reader.pieces, reader.loose, deleted=gone, before=reader.problems(), after=after)


class _Reply:
    def __init__(self, task: Task, names: Names) -> None:
        self.task, self.names = task, names
        self.pieces: list[Piece] = []
        self.loose: list[LooseShape] = []
        self._ignored: Counter[str] = Counter()
        self._found: list[Problem] = []

    def shape(self, entry: Mapping[str, Any]) -> None:
        what = f"shape {entry.get('id', '?')}"
        label = self._label(entry, what)
        shape = self._checked(entry, what)
        if shape is not None:
            self.loose.append(
                LooseShape(self._frame(entry, what), label, _group(entry, what), shape, self._human(entry))
            )

    def track(self, entry: Mapping[str, Any]) -> None:
        what = f"track {entry.get('id', '?')}"
        label, group = self._label(entry, what), _group(entry, what)
        for part in _list(entry, "shapes"):
            self._frame(part, what)
        authors = keyframe_authors(dict(entry), self.names)
        drawn: dict[int, Appearance] = {}
        for part in in_order(dict(entry)):
            frame = self._frame(part, what)
            shape = None if part.get("outside") else self._checked(part, what)
            if shape is not None or part.get("outside"):
                drawn[frame] = Appearance((shape,) if shape else (), authors[frame] == "person")
        if not drawn:
            return
        appearances = self._filled(drawn, what)
        visible = [index for index, appearance in appearances.items() if not appearance.outside]
        if len(visible) == 1 and group == 0 and drawn[visible[0]].shapes[0].kind == "mask":
            self.loose.append(
                LooseShape(visible[0], label, group, drawn[visible[0]].shapes[0], drawn[visible[0]].human)
            )
        elif visible:
            self.pieces.append(Piece(label, group, appearances))

    def problems(self) -> list[Problem]:
        """What was left out, and why."""
        return self._found + [
            Problem("ignored", f"{count} shapes of kind {kind!r} have no mask and were left out")
            for kind, count in sorted(self._ignored.items())
        ]

    def _human(self, entry: Mapping[str, Any]) -> bool:
        return author(dict(entry), self.names) == "person"

    def _label(self, entry: Mapping[str, Any], what: str) -> str:
        number = entry.get("label_id")
        if not isinstance(number, int) or number not in self.names.labels:
            raise MediaError(f"{what} of task {self.task.name!r} has label_id {number!r}, which the task does not have")
        return self.names.labels[number]

    def _frame(self, entry: Mapping[str, Any], what: str) -> int:
        frame = entry.get("frame")
        if isinstance(frame, bool) or not isinstance(frame, int) or not 0 <= frame < self.task.frame_count:
            raise MediaError(
                f"{what} of task {self.task.name!r} is on frame {frame!r}; "
                f"the task has frames 0 to {self.task.frame_count - 1}"
            )
        return frame

    def _checked(self, entry: Mapping[str, Any], what: str) -> CvatShape | None:
        kind = str(entry.get("type"))
        if kind not in SHAPE_KINDS:
            self._ignored[kind] += 1
            return None
        frame = self._frame(entry, what)
        z_order = entry.get("z_order", 0)
        sizes = {"width": self.task.width, "height": self.task.height, "z_order": int(z_order or 0)}
        try:
            shape = checked_shape(kind, entry.get("points", ()), **sizes)
        except AgssError as error:
            raise MediaError(f"{what} of task {self.task.name!r}, frame {frame}: {error}") from error
        if shape is None:
            self._found.append(Problem("empty mask", f"frame {frame}: the mask of {what} has no pixel"))
        return shape

    def _filled(self, drawn: dict[int, Appearance], what: str) -> dict[int, Appearance]:
        """Keyframes with what lies between; after the last keyframe a track goes on unchanged to its segment's end."""
        filled = dict(drawn)
        order = sorted(drawn)
        lost = 0
        for left, right in zip(order, [*order[1:], self._end_after(order[-1]) + 1], strict=True):
            for index in range(left + 1, right):
                between = _between(drawn[left], drawn.get(right, drawn[left]), (index - left) / (right - left))
                if between is None:
                    lost += 1
                elif not drawn[left].outside:
                    filled[index] = between
        if lost:
            text = f"{what}: {lost} frames between keyframes whose points cannot be paired were left out"
            self._found.append(Problem("interpolation", text))
        return filled

    def _end_after(self, frame: int) -> int:
        ends = [stop for start, stop in self.task.segments if start <= frame <= stop]
        return max(ends, default=self.task.frame_count - 1)


def _between(one: Appearance, two: Appearance, share: float) -> Appearance | None:
    """A polygon on the way from one keyframe to the next; None where CVAT would not move each point to its like."""
    if one.outside or two.outside or one is two:
        return Appearance(one.shapes, one.human, interpolated=True)
    first, second = one.shapes[0], two.shapes[0]
    if (
        first.kind != "polygon"
        or second.kind != "polygon"
        or not paired(first.points.reshape(-1, 2), second.points.reshape(-1, 2))
    ):
        return None
    points = first.points + share * (second.points - first.points)
    shape = CvatShape("polygon", np.asarray(points), first.z_order)
    return Appearance((shape,), one.human and two.human, interpolated=True)


def _list(reply: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    found = reply.get(key, ()) if isinstance(reply, Mapping) else None
    if not isinstance(found, (list, tuple)) or not all(isinstance(entry, Mapping) for entry in found):
        raise MediaError(f"the server's reply has no list of {key}; is this CVAT 2.40 or newer?")
    return found


def _group(entry: Mapping[str, Any], what: str) -> int:
    group = entry.get("group") or 0
    if isinstance(group, bool) or not isinstance(group, int) or group < 0:
        raise MediaError(f"{what} has group {group!r}; it must be a whole number from 0 on")
    return group
