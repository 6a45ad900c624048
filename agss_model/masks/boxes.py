"""From a box around an object to the object.

Which filling tracks best, on the first frames of ten DAVIS-2016 sequences, boxes off by up to 4 pixels a side: overlap
of the filling with the object, then, over the 12 frames that follow from it, of masks and of the boxes around them.

    filling                                      first mask   masks   boxes
    the box itself                                  0.409     0.497   0.676
    its ellipse                                     0.455     0.572   0.755
    GrabCut, the ellipse where it fails             0.571     0.636   0.759
    (the object's true mask, for comparison         1         0.854   0.805)
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from agss_model.masks.labels import BoolMask

WORKING_SIDE = 160
"""Longest side of the box, in pixels, at which its content is told apart."""
ROUNDS = 3
LEAST_PIXELS = 32
"""Inside and outside of the box, to learn colours from."""
LEAST_SHARE = 0.2
LEAST_OVERLAP = 0.5


def object_in_box(frame: npt.NDArray[np.uint8], box: BoolMask) -> BoolMask:
    """The pixels of a box that look unlike its surroundings (GrabCut), or its ellipse where that finds nothing good.

    Args:
        frame: (H, W, 3) uint8 RGB.
        box: (H, W) bool, a filled rectangle with at least one pixel.

    Returns:
        (H, W) bool inside the box, with at least one pixel; the same for the same input.
    """
    rows, columns = np.flatnonzero(box.any(1)), np.flatnonzero(box.any(0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    height, width = bottom - top, right - left
    y0, x0 = max(0, top - height // 2 - 4), max(0, left - width // 2 - 4)
    y1, x1 = min(box.shape[0], bottom + height // 2 + 4), min(box.shape[1], right + width // 2 + 4)
    found = np.zeros_like(box)
    found[y0:y1, x0:x1] = _stands_out(frame[y0:y1, x0:x1], box[y0:y1, x0:x1], max(height, width))
    found &= box
    inside = found[top:bottom, left:right]
    reached = np.count_nonzero(inside.any(1)) * np.count_nonzero(inside.any(0))
    if inside.sum() >= LEAST_SHARE * inside.size and reached >= LEAST_OVERLAP * inside.size:
        return found
    found[:] = False
    found[top:bottom, left:right] = _ellipse(height, width)
    return found


def _stands_out(frame: npt.NDArray[np.uint8], box: BoolMask, side: int) -> BoolMask:
    """Pixels of the box that GrabCut calls foreground; none where it cannot tell."""
    scale = min(1.0, WORKING_SIDE / side)
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    small = cv2.resize(frame[:, :, ::-1], size, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(box.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    if min(inside.sum(), (~inside).sum()) < LEAST_PIXELS:
        return np.zeros_like(box)
    marks = np.where(inside, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    cv2.setRNGSeed(0)  # GrabCut starts from random clusters
    empty = np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(small), marks, (0, 0, 1, 1), empty, empty.copy(), ROUNDS, cv2.GC_INIT_WITH_MASK)
    share = cv2.resize((marks & 1).astype(np.float32), box.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(share.reshape(box.shape) > 0.5, np.bool_)


def _ellipse(height: int, width: int) -> BoolMask:
    """The largest ellipse in a box, (height, width) bool; at least its middle."""
    y, x = np.mgrid[:height, :width]
    distance = ((y + 0.5) / height * 2 - 1) ** 2 + ((x + 0.5) / width * 2 - 1) ** 2
    ellipse: BoolMask = distance <= max(1.0, float(distance.min()))
    return ellipse
