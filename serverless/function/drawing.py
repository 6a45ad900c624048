"""What people drew, as masks that do not overlap."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agss_model.masks import shape_to_mask
from agss_model.masks.boxes import object_in_box
from agss_model.masks.labels import BoolMask
from serverless.function.contract import MAX_OBJECT_PIXELS, Shape, TooLargeError, UnusableError

LEAST_LEFT = 0.1
"""Share of an object that must stay visible under smaller ones; otherwise it keeps all its pixels."""


def drawn(frame: npt.NDArray[np.uint8], shapes: Sequence[Shape]) -> list[BoolMask]:
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
    pixels = frame.shape[0] * frame.shape[1]
    if pixels * len(shapes) > MAX_OBJECT_PIXELS:
        most = MAX_OBJECT_PIXELS // pixels
        raise TooLargeError(f"{len(shapes)} objects at once on so large a frame; start {most} at a time.")
    masks = [_pixels(frame, shape) for shape in shapes]
    areas = [int(mask.sum()) for mask in masks]
    owner = np.zeros(frame.shape[:2], np.uint16)
    for k in sorted(range(len(masks)), key=lambda k: (-areas[k], zlib.crc32(masks[k].tobytes()))):
        owner[masks[k]] = k + 1
    for k, area in enumerate(areas):
        visible = owner == k + 1
        if int(visible.sum()) >= LEAST_LEFT * area:
            masks[k] = visible
    return masks


def _pixels(frame: npt.NDArray[np.uint8], shape: Shape) -> BoolMask:
    height, width = frame.shape[:2]
    mask = shape_to_mask(shape.type, shape.points, width=width, height=height)
    if not mask.any():
        raise UnusableError(f"A {shape.type} covers no pixel of the {width}x{height} frame; draw it on this frame.")
    return object_in_box(frame, mask) if shape.type == "rectangle" else mask
