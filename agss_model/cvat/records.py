"""Annotations of one video, wherever they were drawn: objects that keep their identity, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from agss_model.errors import MaskError, MediaError
from agss_model.masks.cvat_shapes import shape_to_mask
from agss_model.masks.labels import BoolMask, LabelMap, validate_object_id
from agss_model.tracking.results import id_type

ShapeKind = Literal["mask", "polygon"]
SHAPE_KINDS: tuple[ShapeKind, ...] = get_args(ShapeKind)
"""What is read of an export or a task; others are counted and left out. What is tracked: `masks.cvat_shapes`."""
Include = Literal["human", "interpolated", "all"]
"""What counts as truth: what a human drew or corrected; also what was interpolated in between; also predictions."""


@dataclass(frozen=True, eq=False)
class CvatShape:
    """A region of a frame in CVAT's form, expanded only when asked for.

    Attributes:
        kind: "mask": run lengths, then left, top, right, bottom; "polygon": x and y in turn, filled by the rule of
            `agss_model.masks.polygons` (a pixel belongs to it if its centre does).
        points: (K,) float64.
        z_order: where regions overlap the highest shows.
    """

    kind: ShapeKind
    points: npt.NDArray[np.float64]
    z_order: int = 0

    def mask(self, width: int, height: int) -> BoolMask:
        """The region as (height, width) bool.

        Raises:
            MaskError: the numbers are no such shape, or do not fit the image.
        """
        return shape_to_mask(self.kind, self.points, width=width, height=height)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Appearance:
    """What is said about an object in one frame.

    Attributes:
        shapes: its parts; none says that it is not in the frame.
        human: a human drew or corrected it, or the keyframes it was interpolated between.
        interpolated: computed between two keyframes.
    """

    shapes: tuple[CvatShape, ...] = ()
    human: bool = True
    interpolated: bool = False

    @property
    def outside(self) -> bool:
        """Whether the object is said not to be in the frame."""
        return not self.shapes

    def counts(self, include: Include) -> bool:
        """Whether it is truth under a rule."""
        return include == "all" or (self.human and (include == "interpolated" or not self.interpolated))


@dataclass(frozen=True)
class AnnotatedObject:
    """One object through a video.

    Attributes:
        id: positive, unique in its video.
        label: what it is called.
        appearances: by frame index; nothing is known about frames that are missing.
    """

    id: int
    label: str
    appearances: Mapping[int, Appearance]


@dataclass(frozen=True)
class Problem:
    """Something an annotator should look at.

    Attributes:
        kind: short name, such as "identity", "empty mask", "gap".
        text: one sentence that names frame and object.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class VideoAnnotations:
    """All annotations of one video. Frames are counted from 0 as the annotation tool shows them.

    Attributes:
        name: of the video or task.
        width: of a frame, pixels.
        height: of a frame, pixels.
        frame_count: frames that can be annotated.
        objects: ascending by id.
        start_frame: number of frame 0 in the source video.
        frame_step: distance of neighbouring frames in the source video.
        source: file name of the video, empty where it is not known.
        deleted: frames that must not be used.
        problems: found while reading.
    """

    name: str
    width: int
    height: int
    frame_count: int
    objects: tuple[AnnotatedObject, ...]
    start_frame: int = 0
    frame_step: int = 1
    source: str = ""
    deleted: frozenset[int] = frozenset()
    problems: tuple[Problem, ...] = ()

    def __post_init__(self) -> None:
        for entry in self.objects:
            validate_object_id(entry.id)
        if len({entry.id for entry in self.objects}) < len(self.objects):
            raise MaskError(f"{self.name}: two objects have the same id; ids name objects and must differ")

    def source_frame(self, index: int) -> int:
        """Number of a frame in the source video."""
        return self.start_frame + index * self.frame_step

    def frames(self, include: Include = "human") -> tuple[int, ...]:
        """Frames in which at least one object is known, ascending."""
        known = {
            index
            for entry in self.objects
            for index, appearance in entry.appearances.items()
            if appearance.counts(include)
        }
        return tuple(sorted(known - self.deleted))

    def known(self, index: int, include: Include = "human") -> tuple[int, ...]:
        """Ids of the objects of which a frame says where they are, or that they are not there."""
        return tuple(
            entry.id
            for entry in self.objects
            if (appearance := entry.appearances.get(index)) is not None and appearance.counts(include)
        )

    def label_map(self, index: int, include: Include = "human") -> LabelMap:
        """The truth of a frame; objects of which nothing is known there are background (see `known`).

        Where objects overlap the higher `z_order` shows, then masks over polygons, then the higher id.

        Returns:
            (height, width) uint8, or uint16 when the video has an id above 255.

        Raises:
            MaskError: a shape is damaged; the message names object and frame.
            MediaError: the frame is not one of the video's.
        """
        if not 0 <= index < self.frame_count:
            raise MediaError(f"frame {index} is outside {self.name}, which has frames 0 to {self.frame_count - 1}")
        labels: LabelMap = np.zeros((self.height, self.width), id_type([entry.id for entry in self.objects]))
        parts = [
            (shape.z_order, entry.id, shape)
            for entry in self.objects
            if (appearance := entry.appearances.get(index)) is not None and appearance.counts(include)
            for shape in appearance.shapes
        ]
        for _, object_id, shape in sorted(parts, key=lambda part: (part[0], part[2].kind == "mask")):
            labels[self._expanded(shape, index, object_id)] = object_id
        return labels

    def mask(self, object_id: int, index: int, include: Include = "human") -> BoolMask:
        """One object's whole mask, also where another object shows in the label map; (height, width) bool.

        Raises:
            MaskError: the video has no such object, or a shape is damaged.
        """
        entry = next((entry for entry in self.objects if entry.id == object_id), None)
        if entry is None:
            raise MaskError(f"{self.name} has no object {object_id}; there are {[entry.id for entry in self.objects]}")
        appearance = entry.appearances.get(index)
        mask = np.zeros((self.height, self.width), dtype=np.bool_)
        for shape in appearance.shapes if appearance and appearance.counts(include) else ():
            mask |= self._expanded(shape, index, object_id)
        return mask

    def _expanded(self, shape: CvatShape, index: int, object_id: int) -> BoolMask:
        try:
            return shape.mask(self.width, self.height)
        except MaskError as error:
            raise MaskError(f"{self.name}, frame {index}, object {object_id}: {error}") from error
