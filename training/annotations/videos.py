"""A team's annotated videos, wherever they are kept, in one form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agss_model.cvat import Include, Problem
from agss_model.errors import MediaError
from agss_model.masks.labels import LabelMap
from agss_model.video import FrameSource
from agss_model.video.source import Image, IndexedFrames


class Truth(Protocol):
    """What is known about a video; `VideoAnnotations` is one."""

    @property
    def width(self) -> int:
        """Width of a frame, pixels."""

    @property
    def height(self) -> int:
        """Height of a frame, pixels."""

    @property
    def frame_count(self) -> int:
        """Frames of the video."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Found while reading."""

    def frames(self, include: Include = "human") -> tuple[int, ...]:
        """Frames in which at least one object is known, ascending."""

    def known(self, index: int, include: Include = "human") -> tuple[int, ...]:
        """Objects whose whereabouts, or absence, a frame tells."""

    def label_map(self, index: int, include: Include = "human") -> LabelMap:
        """(height, width) label map of a frame."""


@dataclass(frozen=True)
class TeamVideo:
    """One video with annotations.

    Attributes:
        name: unique among the videos of a run, and usable as a folder name.
        origin: where it comes from, as people write it.
        truth: annotations by frame of the task.
        open: opens the frames, counted as in `truth`.
        labels: names of objects by id.
        deleted: frames that must not be used.
    """

    name: str
    origin: str
    truth: Truth
    open: Callable[[], FrameSource]
    labels: Mapping[int, str] = field(default_factory=dict)
    deleted: frozenset[int] = frozenset()


class TaskFrames(IndexedFrames):
    """Frames of a task, counted as its annotations count them, out of the video the task was made from.

    Args:
        source: the whole video; it is closed with this one.
        start: frame 0 of the task.
        step: distance of the task's frames.
        count: frames of the task.

    Raises:
        MediaError: the video is too short, and therefore another one.
    """

    def __init__(self, source: FrameSource, *, start: int, step: int, count: int) -> None:
        last = start + (count - 1) * step
        if last >= len(source):
            raise MediaError(
                f"{source.name} has frames 0 to {len(source) - 1}, but its annotations go to frame {last}; "
                "give the video that was annotated, whole"
            )
        self._source, self._start, self._step, self._count = source, start, step, count
        self.name, self.size, self.fps = source.name, source.size, source.fps

    def __len__(self) -> int:
        """Frames of the task."""
        return self._count

    def read(self, index: int) -> Image:
        """See `FrameSource.read`."""
        return self._source.read(self._start + self._check(index) * self._step)

    def close(self) -> None:
        """See `FrameSource.close`."""
        self._source.close()

    def _frames_of(self, numbers: range) -> Iterator[Image]:
        if not numbers:
            return iter(())
        first, last = (self._start + number * self._step for number in (numbers[0], numbers[-1]))
        step = numbers.step * self._step
        stop = last + (1 if step > 0 else -1)
        return self._source.frames(first, stop if stop >= 0 else None, step)


def check_size(video: str, frames: FrameSource, truth: Truth) -> None:
    """Refuse frames that the masks were not drawn on.

    Raises:
        MediaError: the sizes differ.
    """
    if frames.size != (truth.width, truth.height):
        raise MediaError(
            f"{video}: frames are {frames.size[0]}x{frames.size[1]}, but the annotations were made for "
            f"{truth.width}x{truth.height}; give the video that was annotated, at its own size"
        )
