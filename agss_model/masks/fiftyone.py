"""The pixels of FiftyOne's labels, without FiftyOne: boxes and points in parts of the frame.

One rule for every source: a pixel of the frame takes the value of the mask at the pixel's centre. Masks that were
brushed in the App at the resolution of a screen, in boxes between pixels, come out at the resolution of the frame that
way.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from agss_model.masks.labels import BoolMask
from agss_model.masks.polygons import Polygon, polygons_to_mask


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


def label_print(box: Sequence[float], mask: np.ndarray[Any, Any] | None, name: str) -> str:
    """What a tracked label carries as `tracked`, so that it shows when somebody edits its box, mask or class.

    Args:
        box: x, y, width and height in parts of the frame.
        mask: (h, w), cropped to the box, None where the label has none.
        name: its class.
    """
    data = np.asarray(box, np.float64).round(9).tobytes() + name.encode()
    if mask is not None:
        data += np.packbits(np.asarray(mask) > 0).tobytes()
    return f"{zlib.crc32(data):08x}"


def _samples(start: float, extent: float, size: int, cells: int) -> tuple[slice, np.ndarray[Any, np.dtype[np.intp]]]:
    """Pixels of the frame with their centre inside, and the cell of the mask that lies under each."""
    first, last = start * size, (start + extent) * size
    low = int(np.clip(np.ceil(first - 0.5), 0, size))
    high = int(np.clip(np.ceil(last - 0.5), low, size))
    centres = np.arange(low, high) + 0.5
    span = max(last - first, 1e-12)
    return slice(low, high), ((centres - first) / span * cells).astype(np.intp).clip(0, cells - 1)
