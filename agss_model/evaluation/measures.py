"""Region similarity J and boundary measure F of one object in one frame.

Both follow "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation" (CVPR 2016) and the
conventions of the DAVIS benchmark: two empty masks agree fully, and void pixels count as background in both masks.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from agss_model.errors import MaskError
from agss_model.masks.labels import BoolMask


def region_similarity(prediction: BoolMask, truth: BoolMask, void: BoolMask | None = None) -> float:
    """J: intersection over union, in [0, 1]; 1 when both masks are empty.

    Args:
        prediction: (H, W) bool.
        truth: (H, W) bool.
        void: (H, W) bool, pixels to leave out; none by default.

    Raises:
        MaskError: not bool masks of one size.
    """
    prediction, truth = _without_void(prediction, truth, void)
    union = np.count_nonzero(prediction | truth)
    return np.count_nonzero(prediction & truth) / union if union else 1.0


def boundary_f(prediction: BoolMask, truth: BoolMask, tolerance: float = 0.008, void: BoolMask | None = None) -> float:
    """F: harmonic mean of boundary precision and recall, in [0, 1].

    A boundary pixel matches when the other mask has a boundary pixel within ceil(tolerance * diagonal) pixels. A
    mask without boundary pixels scores 1 against another such mask, and 0 against one with a boundary.

    Args:
        prediction: (H, W) bool.
        truth: (H, W) bool.
        tolerance: distance as a fraction of the image's diagonal, above 0.
        void: (H, W) bool, pixels to leave out; none by default.

    Raises:
        MaskError: not bool masks of one size, or a tolerance that is not above 0.
    """
    if not tolerance > 0:
        raise MaskError(f"the boundary tolerance is {tolerance}; it must be above 0")
    prediction, truth = _without_void(prediction, truth, void)
    radius = math.ceil(tolerance * math.hypot(*truth.shape))
    window = _window(prediction | truth, margin=radius + 1)
    ours, theirs = boundary_map(prediction[window]), boundary_map(truth[window])
    our_count, their_count = np.count_nonzero(ours), np.count_nonzero(theirs)
    if our_count == 0 or their_count == 0:
        return float(our_count == their_count)
    precision = np.count_nonzero(ours & _grown(theirs, radius)) / our_count
    recall = np.count_nonzero(theirs & _grown(ours, radius)) / their_count
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary_map(mask: BoolMask) -> BoolMask:
    """Pixels that differ from their right, lower or lower right neighbour, as (H, W) bool.

    Neighbours beyond the last row or column count as equal, so the corner pixel there is never a boundary.
    """
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    right, below, across = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return np.asarray((mask != right) | (mask != below) | (mask != across), dtype=np.bool_)


def _without_void(prediction: BoolMask, truth: BoolMask, void: BoolMask | None) -> tuple[BoolMask, BoolMask]:
    for what, mask in (("prediction", prediction), ("truth", truth), ("void", void)):
        if mask is None:
            continue
        if mask.dtype != np.bool_ or mask.ndim != 2 or mask.shape != truth.shape or mask.size == 0:
            raise MaskError(f"the {what} is {mask.dtype} {mask.shape}; use (height, width) bool masks of one size")
    return (prediction, truth) if void is None else (prediction & ~void, truth & ~void)


def _window(mask: BoolMask, margin: int) -> tuple[slice, slice]:
    """The bounding box and a margin, cut at the image: everything beyond is background without boundaries."""
    sides = []
    for axis in (0, 1):
        used = np.flatnonzero(mask.any(axis=1 - axis))
        low, high = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 1)
        sides.append(slice(max(0, low - margin), high + margin))
    return sides[0], sides[1]


def _grown(boundary: BoolMask, radius: int) -> BoolMask:
    offsets = np.arange(-radius, radius + 1)
    disc = (offsets[:, None] ** 2 + offsets[None, :] ** 2 <= radius**2).astype(np.uint8)
    grown: BoolMask = cv2.dilate(boundary.astype(np.uint8), disc) > 0
    return grown
