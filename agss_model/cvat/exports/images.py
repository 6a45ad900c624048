"""The images of a "CVAT for images 1.1" export, one after the other.

This form says neither what belongs to a track nor what was drawn and what was computed between keyframes. Shapes of one
label and group are one object, others are joined by overlap; polygons of videos count as interpolated, and that is
reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agss_model.cvat.checks import HUMAN_SOURCES
from agss_model.cvat.exports.meta import Task
from agss_model.cvat.exports.tracks import MAX_SHAPES, TaskContent, group_of, owner_of, shape_of, video_of, whole
from agss_model.cvat.identity import LooseShape
from agss_model.cvat.records import SHAPE_KINDS, Problem, VideoAnnotations
from agss_model.errors import AgssError, MediaError


class ImageReader:
    """Collects images into videos.

    Args:
        tasks: what the head of the file names.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = [TaskContent(task) for task in tasks]
        self._owner = self._tasks[0]
        self._frame = self._shapes = 0
        self._computed: dict[int, int] = {}

    def begin(self, attributes: Mapping[str, str], line: int) -> None:
        """An image begins.

        Raises:
            MediaError: its number is none of the task's, or its size differs from the first one's.
        """
        del line
        number = whole(attributes, "id")
        self._owner = owner_of(self._tasks, attributes.get("task_id"), f"image {number}")
        task = self._owner.task
        self._frame = number - task.first
        if not 0 <= self._frame < task.frame_count:
            raise MediaError(f"image {number} is none of task {task.name!r}, which has {task.frame_count} frames")
        size = whole(attributes, "width"), whole(attributes, "height")
        if size != (task.width, task.height):
            raise MediaError(
                f"image {self._frame} of task {task.name!r} has {size[0]}x{size[1]} pixels and an earlier one "
                f"{task.width}x{task.height}; images of several sizes are no video. Export tasks one by one"
            )

    def shape(self, kind: str, attributes: Mapping[str, str]) -> None:
        """A shape of the image.

        Raises:
            AgssError: it is damaged.
        """
        owner = self._owner
        if kind not in SHAPE_KINDS:
            owner.ignored[kind] += 1
            return
        self._shapes += 1
        if self._shapes > MAX_SHAPES:
            raise MediaError(f"has more than {MAX_SHAPES} shapes; export the tasks one by one")
        what = f"<{kind}> of image {self._frame}"
        if not attributes.get("label"):
            raise MediaError(f"{what} has no label")
        try:
            group, shape = group_of(attributes, "it"), shape_of(kind, attributes, owner.task)
        except AgssError as error:
            raise MediaError(f"{what}: {error}") from error
        if shape is None:
            owner.problems.append(Problem("empty mask", f"frame {self._frame}: the mask has no pixel"))
            return
        computed = kind == "polygon" and owner.task.mode != "annotation"
        place = self._tasks.index(owner)
        self._computed[place] = self._computed.get(place, 0) + computed
        human = attributes.get("source", "manual") in HUMAN_SOURCES
        owner.loose.append(LooseShape(self._frame, attributes["label"], group, shape, human, computed))

    def end(self) -> None:
        """The image is complete."""

    def videos(self) -> list[VideoAnnotations]:
        """What was read, one record for each task."""
        for place, count in self._computed.items():
            if count:
                text = (
                    f"{count} polygons count as interpolated, because 'CVAT for images 1.1' does not say which were "
                    "drawn; export as 'CVAT for video 1.1' to know"
                )
                self._tasks[place].problems.append(Problem("interpolation", text))
        return [video_of(task) for task in self._tasks]
