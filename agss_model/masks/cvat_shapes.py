"""CVAT shapes of the kinds a tracker answers in, to masks and back: mask, polygon, rectangle."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from agss_model.errors import MaskError
from agss_model.masks.labels import BoolMask
from agss_model.masks.polygons import Polygon, mask_to_polygons, polygons_to_mask
from agss_model.masks.rle import decode_cvat_mask, encode_cvat_mask

ShapeType = Literal["mask", "polygon", "rectangle"]
SHAPE_TYPES: tuple[ShapeType, ...] = get_args(ShapeType)
"""What function, job command and button take and give; another one is added here and in `CODECS` below."""


@dataclass(frozen=True)
class ShapeCodec:
    """How shapes of one type are read and written.

    Attributes:
        to_mask: from points, width, height and whether to cut what reaches beyond, see `shape_to_mask`.
        to_points: from a mask with at least one pixel and a tolerance, see `mask_to_shape`.
        written: in words, what an object gets that is written in it.
    """

    to_mask: Callable[[Sequence[float], int, int, bool], BoolMask]
    to_points: Callable[[BoolMask, float], list[float]]
    written: str


def codec_of(name: str) -> ShapeCodec:
    """The codec of a type of shapes, by CVAT's name for it.

    Raises:
        MaskError: it is none of `SHAPE_TYPES`.
    """
    if name not in CODECS:
        raise MaskError(f"a shape of type {name!r} cannot be tracked; use {', '.join(SHAPE_TYPES)}")
    return CODECS[name]


def shape_to_mask(kind: str, points: Sequence[float], *, width: int, height: int, clip: bool = False) -> BoolMask:
    """Pixels that a shape covers.

    Args:
        kind: one of `SHAPE_TYPES`.
        points: as CVAT sends them: run lengths and a box, `x0, y0, x1, y1, ...`, or `left, top, right, bottom`.
        width: of the image, in pixels.
        height: of the image, in pixels.
        clip: cut a mask whose box reaches beyond the image, instead of refusing it. Polygons and rectangles are
            always cut.

    Returns:
        (height, width) bool; empty when nothing of the shape lies in the image.

    Raises:
        MaskError: another type, or points that break its rules.
    """
    return codec_of(kind).to_mask(points, width, height, clip)


def mask_to_shape(kind: str, mask: BoolMask, *, tolerance: float = 1.0) -> list[float]:
    """Points of a shape for a mask.

    Args:
        kind: one of `SHAPE_TYPES`. A mask is exact; a polygon is the outline of the largest part, without holes; a
            rectangle is the box around all parts.
        mask: (H, W) bool with at least one pixel.
        tolerance: of the polygon's outline, see `mask_to_polygons`.

    Raises:
        MaskError: no pixel, or another type.
    """
    to_points = codec_of(kind).to_points
    if not mask.any():
        raise MaskError("an empty mask cannot be a shape; send no shape for this object instead")
    return to_points(mask, tolerance)


def largest_part(mask: BoolMask, tolerance: float = 0.0) -> Polygon:
    """Outline of the 4-connected part whose outer ring encloses most; the first of equals.

    Raises:
        MaskError: no pixel is set.
    """
    polygons = mask_to_polygons(mask, tolerance)
    if not polygons:
        raise MaskError("an empty mask has no outline; leave the object out instead")
    return max(polygons, key=enclosed_area)


def enclosed_area(polygon: Polygon) -> float:
    """Area within the outer ring, in pixels, holes included."""
    x, y = polygon.outer.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _box_around(mask: BoolMask) -> list[float]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)]


def _box_mask(points: Sequence[float], width: int, height: int) -> BoolMask:
    try:
        left, top, right, bottom = (float(value) for value in points)
    except (TypeError, ValueError) as error:
        raise MaskError("a rectangle needs four numbers: left, top, right, bottom") from error
    if not all(map(math.isfinite, (left, top, right, bottom))):
        raise MaskError("a rectangle's numbers must be finite")
    left, right = sorted((left, right))
    top, bottom = sorted((top, bottom))
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[_centres(top, bottom, height), _centres(left, right, width)] = True
    return mask


def _centres(low: float, high: float, size: int) -> slice:
    """Pixels whose centres lie between; the one in the middle where that is none."""
    if high <= 0 or low >= size or low == high:
        return slice(0, 0)
    first = math.ceil(max(low, 0) - 0.5)
    last = math.ceil(min(high, size) - 0.5)
    middle = min(int(max(low + high, 0) / 2), size - 1)
    return slice(first, last) if first < last else slice(middle, middle + 1)


CODECS: dict[str, ShapeCodec] = {
    "mask": ShapeCodec(
        lambda points, width, height, clip: decode_cvat_mask(points, width=width, height=height, clip=clip),
        lambda mask, _: [float(value) for value in encode_cvat_mask(mask)],
        "masks",
    ),
    "polygon": ShapeCodec(
        lambda points, width, height, _: polygons_to_mask([Polygon.from_flat(points)], width=width, height=height),
        lambda mask, tolerance: largest_part(mask, tolerance).to_flat(),
        "polygon tracks",
    ),
    "rectangle": ShapeCodec(
        lambda points, width, height, _: _box_mask(points, width, height),
        lambda mask, _: _box_around(mask),
        "tracks of boxes",
    ),
}
"""All of `SHAPE_TYPES`."""
