"""The objects of a frame that stand out from everything else, with their outlines (GrabCut)."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from agss_model.masks.labels import LabelMap
from agss_model.video.source import Image
from training.pseudo_labels.salience import Map

SURE, LIKELY, UNLIKELY = 0.8, 0.5, 0.15
"""Salience from which a pixel is the object's whatever its colour, rather is, and up to which it is not."""
LEAST, MOST = 0.012, 0.6
"""Share of the frame that an object covers."""
OBJECTS = 3
ROUNDS = 3


class SalientObjects(NamedTuple):
    """What stands out in a frame.

    Attributes:
        label_map: (H, W) uint8, the largest part is object 1.
        clarity: how much more salient the objects are than the rest, up to 1.
    """

    label_map: LabelMap
    clarity: float


def stand_out(picture: Image, salience: Map) -> SalientObjects | None:
    """Up to three objects; None where nothing stands out, or everything.

    Args:
        picture: (H, W, 3) uint8 RGB.
        salience: (H, W) float32 in [0, 1].
    """
    marks = np.full(salience.shape, cv2.GC_BGD, np.uint8)
    for least, mark in ((UNLIKELY, cv2.GC_PR_BGD), (LIKELY, cv2.GC_PR_FGD), (SURE, cv2.GC_FGD)):
        marks[salience > least] = mark
    if (marks == cv2.GC_FGD).mean() < LEAST or not (marks == cv2.GC_BGD).any():
        return None
    cv2.setRNGSeed(0)  # GrabCut starts from random clusters
    empty = np.zeros((1, 65))
    bgr = np.ascontiguousarray(picture[:, :, ::-1])
    cv2.grabCut(bgr, marks, (0, 0, 1, 1), empty, empty.copy(), ROUNDS, cv2.GC_INIT_WITH_MASK)
    solid = cv2.morphologyEx(marks & 1, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    solid = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    _, parts, stats, _ = cv2.connectedComponentsWithStats(solid)
    areas = stats[1:, cv2.CC_STAT_AREA]
    fitting = [int(i) for i in np.argsort(-areas) if LEAST <= areas[i] / solid.size <= MOST][:OBJECTS]
    if not fitting:
        return None
    label_map = np.zeros(solid.shape, np.uint8)
    for number, part in enumerate(fitting, 1):
        label_map[parts == part + 1] = number
    inside, outside = salience[label_map > 0].mean(), salience[label_map == 0].mean()
    return SalientObjects(label_map, float(inside - outside))
