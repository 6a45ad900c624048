"""Masks as FiftyOne labels and back, pixel by pixel.

A mask is stored cropped to its box, and FiftyOne cuts the box's corners off to whole pixels when it draws one. Pushing
the corner inward by a ten-millionth of the frame (`INWARD`) makes both its reading and ours exact. Read is by one rule
for every source: a pixel of the frame takes the value of the mask at the pixel's centre. Masks that were brushed in
the App at the resolution of a screen, in boxes between pixels, come out at the resolution of the frame that way.
"""

from __future__ import annotations

from typing import Any

import fiftyone as fo
import numpy as np

from agss_model.errors import MaskError
from agss_model.masks.fiftyone import fill_rings, label_print, place_mask
from agss_model.masks.labels import BoolMask
from agss_model.masks.shapes import shape_to_mask

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


def decode_label(label: fo.Detection | fo.Polyline, width: int, height: int) -> BoolMask:
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


def has_region(label: fo.Detection | fo.Polyline) -> bool:
    """Whether more is known than a box."""
    return isinstance(label, fo.Polyline) or bool(label.has_mask)


def fingerprint(label: fo.Detection) -> str:
    """Changes when somebody edits the box, the mask or the class of a detection."""
    return label_print(label.bounding_box, _mask_of(label), str(label.label))


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
