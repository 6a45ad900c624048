"""Photographs to make clips of, out of a clip's own frames: the objects, and the scene without them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from agss_model.masks.labels import BoolMask, LabelMap
from agss_model.video.source import Image
from training.data.stills import StillPool, few_ids, pool_of

SMALLEST = 0.0003
"""Share of a frame from which on an object is cut out; a clip's own small objects matter."""
FILLED_SIDE = 320
"""Longest side at which holes are filled: what comes in need be plausible, not sharp."""
MARGIN = 9
"""Pixels, at that side, around an object that are filled too: shadows, and boundaries drawn a little inside."""


def pool_of_frames(pictures: Sequence[Image], label_maps: Sequence[LabelMap], size: int) -> StillPool:
    """Frames as they are, and once more with their objects painted over.

    Args:
        pictures: each (H, W, 3) uint8 RGB.
        label_maps: each (H, W), at least one object in one of them.
        size: longest side in pixels.
    """
    masks = [few_ids(label_map) for label_map in label_maps]
    empty = [filled(picture, mask > 0) for picture, mask in zip(pictures, masks, strict=True)]
    nothing = [np.zeros_like(mask) for mask in masks]
    return pool_of([*pictures, *empty], [*masks, *nothing], "frame", size, SMALLEST)


def filled(picture: Image, hole: BoolMask) -> Image:
    """A picture whose hole is painted over from its surroundings.

    Args:
        picture: (H, W, 3) uint8 RGB.
        hole: (H, W) bool.
    """
    height, width = hole.shape
    scale = min(1.0, FILLED_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    wide = cv2.resize(hole.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    wide = cv2.dilate(wide, np.ones((MARGIN, MARGIN), np.uint8))
    painted = cv2.resize(cv2.inpaint(small, wide, 5, cv2.INPAINT_TELEA), (width, height))
    inside = cv2.resize(wide, (width, height), interpolation=cv2.INTER_NEAREST)[:, :, None] > 0
    return np.where(inside, painted, picture)
