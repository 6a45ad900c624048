"""Masks as FiftyOne labels and back, pixel by pixel.

A mask is stored cropped to its box, and FiftyOne cuts the box's corners off to whole pixels when it draws one. Pushing
the corner inward by a ten-millionth of the frame (`INWARD`) makes both its reading and ours exact. Read is by one rule
for every source: a pixel of the frame takes the value of the mask at the pixel's centre. Masks that were brushed in
the App at the resolution of a screen, in boxes between pixels, come out at the resolution of the frame that way.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import fiftyone as fo
import numpy as np

from agss_model.errors import MaskError
from agss_model.masks.cvat_shapes import shape_to_mask
from agss_model.masks.labels import BoolMask
from agss_model.masks.polygons import Polygon, polygons_to_mask

Label: TypeAlias = fo.Detection | fo.Polyline
INWARD = 1e-7
"""Added to x and y of every box, in parts of the frame."""


def encode_mask(mask: BoolMask) -> tuple[list[float], BoolMask] | None:
    """A mask as the `bounding_box` and `mask` of a `fiftyone.Detection`.

    Args:
        mask: (H, W) bool.

    Returns:
        `[x, y, width, height]` in parts of the frame and the (h, w) bool mask inside; None where no pixel is set, as
        FiftyOne has no form for an empty mask.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    height, width = mask.shape
    box = [left / width + INWARD, top / height + INWARD, (right - left) / width, (bottom - top) / height]
    return box, np.ascontiguousarray(mask[top:bottom, left:right])


def decode_label(label: Label, width: int, height: int) -> BoolMask:
    """The pixels of a label: of its mask, else of its polygons, else of its box.

    Args:
        label: a detection with or without mask, or a polyline that is closed or filled. Several shapes of one
            polyline cut each other out, as FiftyOne draws them.
        width: of the frame, pixels.
        height: of the frame, pixels.

    Returns:
        (height, width) bool; empty where nothing of the label lies in the frame.

    Raises:
        MaskError: a polyline that is only a line, a box or points that are no numbers, or a mask that cannot be read.
    """
    if isinstance(label, fo.Polyline):
        return _polygons(label, width, height)
    box = label.bounding_box
    if not box or len(box) != 4 or not np.isfinite(box).all():
        raise MaskError(f"label {label.id} has the box {box}; it needs four numbers, x, y, width and height")
    mask = _mask_of(label)
    if mask is None:
        x, y, w, h = box
        corners = [x * width, y * height, (x + w) * width, (y + h) * height]
        return shape_to_mask("rectangle", corners, width=width, height=height)
    return place_mask(mask, box, width, height)


def has_region(label: Label) -> bool:
    """Whether more is known than a box."""
    return isinstance(label, fo.Polyline) or bool(label.has_mask)


def is_keyframe(label: Label) -> bool | None:
    """The attribute `keyframe` as stored; None where it is not."""
    return label.get_field("keyframe") if label.has_field("keyframe") else None


def fingerprint(label: fo.Detection) -> str:
    """The mark `tracked` of a label that a run writes, so that it shows when somebody edits it.

    The part before the point changes with the box, the mask, the class, and when the label is made a keyframe; the part
    after it with the mask and the class only. Behind a colon follow the numbers of the box.
    """
    whole, inside = _prints(label)
    box = ",".join(f"{number:.9f}" for number in label.bounding_box)
    return f"{whole}{'k' if is_keyframe(label) else ''}.{inside}:{box}"


def is_untouched(label: Label) -> bool:
    """Whether a run wrote this label and nobody has changed its box, mask or class since, or made it a keyframe."""
    mark = _mark(label)
    if mark is None:
        return False
    known = mark.partition(":")[0]  # marks once had no box, and first one part
    return known == (fingerprint(label).partition(":")[0] if "." in known else _prints(label)[0])


def is_only_moved(label: Label) -> bool:
    """Whether nothing but the box can have changed since a run wrote this label; true of labels of no run."""
    mark = _mark(label)
    return mark is None or mark.partition(":")[0].split(".")[1:] == [_prints(label)[1]]


def box_of_run(label: Label) -> list[float] | None:
    """The box that a run wrote; None for labels of no run, or of one that did not note it."""
    numbers = (_mark(label) or "").partition(":")[2]
    return [float(number) for number in numbers.split(",")] if numbers else None


def _mark(label: Label) -> str | None:
    return label.get_field("tracked") if isinstance(label, fo.Detection) and label.has_field("tracked") else None


def _prints(label: fo.Detection) -> tuple[str, str]:
    box = np.asarray(label.bounding_box, np.float64).round(9).tobytes()
    inside = str(label.label).encode()
    if (mask := _mask_of(label)) is not None:
        inside += np.packbits(np.asarray(mask) > 0).tobytes()
    return f"{zlib.crc32(box + inside):08x}", f"{zlib.crc32(inside):08x}"


def _mask_of(label: fo.Detection) -> np.ndarray[Any, Any] | None:
    try:
        stored = label.get_mask()
    except Exception as error:  # whatever reads the image, the user needs the file's name
        raise MaskError(f"the mask {label.mask_path} of label {label.id} cannot be read: {error}") from error
    if stored is None:
        return None
    mask: np.ndarray[Any, Any] = np.asarray(stored)
    if mask.ndim == 3:
        mask = mask.max(axis=2)
    if mask.ndim != 2 or mask.size == 0:
        raise MaskError(f"the mask of label {label.id} has shape {mask.shape}; it must be (height, width)")
    return mask


def _polygons(label: fo.Polyline, width: int, height: int) -> BoolMask:
    if not (label.closed or label.filled):
        raise MaskError(f"polyline {label.id} is an open line, which has no inside; set closed or filled on it")
    return fill_rings(label.points or [], width, height)


def place_mask(mask: np.ndarray[Any, Any], box: Sequence[float], width: int, height: int) -> BoolMask:
    """A mask that is cropped to a box, in its place.

    Args:
        mask: (h, w) of any resolution; what is above 0 belongs to the object.
        box: x, y, width and height in parts of the frame.
        width: of the frame, pixels.
        height: of the frame, pixels.

    Returns:
        (height, width) bool.
    """
    rows, under_rows = _samples(box[1], box[3], height, mask.shape[0])
    columns, under_columns = _samples(box[0], box[2], width, mask.shape[1])
    out = np.zeros((height, width), dtype=np.bool_)
    out[rows, columns] = mask[under_rows[:, None], under_columns[None, :]] > 0
    return out


def fill_rings(rings: Iterable[Sequence[Sequence[float]]], width: int, height: int) -> BoolMask:
    """Closed shapes that cut each other out, as FiftyOne draws those of one polyline.

    Args:
        rings: of (x, y) in parts of the frame.
        width: of the frame, pixels.
        height: of the frame, pixels.

    Returns:
        (height, width) bool.

    Raises:
        MaskError: a ring has fewer than three points, or one that is not finite.
    """
    out = np.zeros((height, width), dtype=np.bool_)
    for ring in rings:
        flat = (np.asarray(ring, np.float64) * (width, height)).ravel()
        out ^= polygons_to_mask([Polygon.from_flat(flat.tolist())], width=width, height=height)
    return out


def _samples(start: float, length: float, size: int, cells: int) -> tuple[slice, np.ndarray[Any, np.dtype[np.intp]]]:
    """Pixels of the frame with their centre inside, and the cell of the mask that lies under each."""
    first, last = start * size, (start + length) * size
    low = int(np.clip(np.ceil(first - 0.5), 0, size))
    high = int(np.clip(np.ceil(last - 0.5), low, size))
    centres = np.arange(low, high) + 0.5
    span = max(last - first, 1e-12)
    return slice(low, high), ((centres - first) / span * cells).astype(np.intp).clip(0, cells - 1)
