"""What people drew, as masks that do not overlap."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from agss_model.masks import shape_to_mask
from agss_model.masks.boxes import object_in_box
from agss_model.masks.labels import BoolMask
from serverless.function.contract import MAX_OBJECT_PIXELS, ShapeMessage, TooLargeError, UnusableError

LEAST_LEFT = 0.1
"""Share of an object that must stay visible under smaller ones; otherwise it keeps all its pixels."""


class Masks(Sequence[BoolMask]):
    """Masks of one frame, held in bits and unpacked one at a time: a hundred of them in 4K are 830 MB otherwise."""

    def __init__(self, masks: Iterable[BoolMask], shape: tuple[int, int]) -> None:
        self._shape = shape
        self._bits = [np.packbits(mask) for mask in masks]

    def __len__(self) -> int:
        """Number of masks."""
        return len(self._bits)

    @overload
    def __getitem__(self, place: int) -> BoolMask: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[BoolMask]: ...

    def __getitem__(self, place: int | slice) -> BoolMask | Sequence[BoolMask]:
        """(H, W) bool."""
        if isinstance(place, slice):
            return [self[k] for k in range(*place.indices(len(self)))]
        pixels = self._shape[0] * self._shape[1]
        return np.unpackbits(self._bits[place], count=pixels).view(np.bool_).reshape(self._shape)

    def put(self, place: int, mask: BoolMask) -> None:
        """Take another mask there."""
        self._bits[place] = np.packbits(mask)

    def digest(self, place: int) -> int:
        """Equal for equal masks."""
        return zlib.crc32(self._bits[place].tobytes())


def drawn(frame: npt.NDArray[np.uint8], shapes: Sequence[ShapeMessage]) -> Masks:
    """The pixels of each object, (H, W) bool with at least one.

    Small objects lie on top of large ones, which would hide them. The order of the shapes does not matter.

    Args:
        frame: (H, W, 3) uint8 RGB, on which the shapes were drawn; boxes are filled with what stands out in them.
        shapes: one for each object.

    Raises:
        TooLargeError: too many objects for so large a frame.
        UnusableError: a shape covers no pixel of the frame.
        MaskError: the numbers are no shape.
    """
    height, width = frame.shape[:2]
    if height * width * len(shapes) > MAX_OBJECT_PIXELS:
        most = MAX_OBJECT_PIXELS // (height * width)
        raise TooLargeError(f"{len(shapes)} objects at once on so large a frame; start {most} at a time.")
    masks = Masks((_pixels(frame, shape) for shape in shapes), (height, width))
    areas = [int(mask.sum()) for mask in masks]
    owner = np.zeros((height, width), np.uint16)
    for k in sorted(range(len(masks)), key=lambda k: (-areas[k], masks.digest(k))):
        owner[masks[k]] = k + 1
    for k, area in enumerate(areas):
        visible = owner == k + 1
        if int(visible.sum()) >= LEAST_LEFT * area:
            masks.put(k, visible)
    return masks


def _pixels(frame: npt.NDArray[np.uint8], shape: ShapeMessage) -> BoolMask:
    height, width = frame.shape[:2]
    mask = shape_to_mask(shape.type, shape.points, width=width, height=height)
    if not mask.any():
        raise UnusableError(f"A {shape.type} covers no pixel of the {width}x{height} frame; draw it on this frame.")
    return object_in_box(frame, mask) if shape.type == "rectangle" else mask
