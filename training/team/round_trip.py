"""Forward and back again: how much of a human mask is found again after tracking away from it and back.

It needs no truth but the mask itself, and it is real footage: what synthetic clips teach wrongly shows here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from agss_model.clips import follow
from agss_model.evaluation import region_similarity
from agss_model.masks.labels import LabelMap, object_ids
from agss_model.network.base import AGSSVOS
from agss_model.tracker import Tracker
from agss_model.video.source import FrameSource

FRAMES = 24
"""Frames of the way there."""
FURTHEST = 3
"""Frames of the clip from one of them to the next, at most: far enough to see change, near enough to be followed."""


def round_trip(source: FrameSource, label_maps: Mapping[int, LabelMap], network: AGSSVOS) -> float:
    """Mean IoU over objects between a human mask and what is left of it after the way there and back.

    Args:
        source: the clip.
        label_maps: (H, W) by frame number, drawn by a human; the first one with room beside it is taken.
        network: in eval mode.

    Raises:
        MediaError: a frame cannot be read.
    """
    start = min(number for number, label_map in label_maps.items() if label_map.any())
    there = _way(start, len(source))
    truth = label_maps[start]
    arrived = truth
    for numbers in (there, there[::-1]):
        given = {numbers[0]: partial(_same, arrived)}
        for result in follow(source, given, Tracker(network), numbers):
            arrived = result.label_map
        if not arrived.any():
            return 0.0
    return float(np.mean([region_similarity(arrived == i, truth == i) for i in object_ids(truth)]))


def _same(label_map: LabelMap) -> LabelMap:
    return label_map


def _way(start: int, count: int) -> range:
    """To the side with more room, in steps that reach as far as may be."""
    after, before = count - 1 - start, start
    step = max(1, min(FURTHEST, max(after, before) // FRAMES))
    if after >= before:
        return range(start, min(count, start + FRAMES * step + 1), step)
    return range(start, max(-1, start - FRAMES * step - 1), -step)
