"""Values of a mask file that are no objects: a border that means "not judged", and edges that a program smoothed."""

from __future__ import annotations

import cv2
import numpy as np

from agss_model.masks.labels import BoolMask, LabelMap

VOID = 255
BORDER = 11
"""Widest border around objects in pixels; PASCAL VOC's is 5 wide, 10 where two objects meet."""
_FEW = 5  # values at edges; drawn objects as thin as that, and with a neighbour on either side, are rarer


def void_border(label_map: LabelMap) -> BoolMask | None:
    """Where 255 is a border around other objects, as PASCAL VOC and its heirs draw it, rather than an object.

    Args:
        label_map: (H, W) uint8.

    Returns:
        (H, W) bool, or None where 255 is absent, alone, or an object: wider than a border, or away from others.
    """
    border = label_map == VOID
    others = (label_map > 0) & ~border
    if label_map.dtype != np.uint8 or not border.any() or not others.any():
        return None
    kernel = np.ones((BORDER, BORDER), np.uint8)
    near = cv2.dilate(others.view(np.uint8), np.ones((2 * BORDER + 1,) * 2, np.uint8)) > 0
    wide = cv2.erode(border.view(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0).any()
    return border if bool((near | ~border).all()) and not wide else None


def ground_value(label_map: LabelMap) -> int | None:
    """The value along the whole border of the picture that covers most of it, where that is not 0: the background?

    Args:
        label_map: (H, W) uint8 or uint16.
    """
    value = int(label_map[0, 0])
    border = (label_map[0], label_map[-1], label_map[:, 0], label_map[:, -1])
    ground = all((line == value).all() for line in border) and 2 * np.count_nonzero(label_map == value) > label_map.size
    return value if value and ground and (label_map != value).any() else None


def smoothed_values(label_map: LabelMap) -> list[int]:
    """Values that occur at edges only and lie between those on both sides: what smoothing makes of an object's outline.

    Args:
        label_map: (H, W) uint8 or uint16.

    Returns:
        The values, ascending; empty where there are too few to tell.
    """
    kernel = np.ones((3, 3), np.uint8)  # beyond the border of the image the values go on
    low, high = (np.asarray(look(label_map, kernel)).reshape(label_map.shape) for look in (cv2.erode, cv2.dilate))
    solid = np.unique(label_map[low == high])
    edges = np.setdiff1d(np.unique(label_map), solid)
    if len(edges) < _FEW or 2 * np.count_nonzero(np.isin(label_map, solid)) < label_map.size:
        return []
    between = (low < label_map) & (label_map < high)
    every = np.bincount(label_map.ravel())
    counts = np.bincount(label_map[between], minlength=len(every))
    found = [int(value) for value in edges if 2 * counts[value] >= every[value]]
    return found if len(found) >= max(_FEW, 0.8 * len(edges)) else []  # small objects lie elsewhere as well
