"""Forward and back again: how much of a human mask is found again after tracking away from it and back.

It needs no truth but the mask itself, and it is real footage: what synthetic clips teach wrongly shows here. So it
decides how much of what was learned is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from agss_model.clips import follow
from agss_model.engines import use_engine
from agss_model.engines.loading import pick_device
from agss_model.evaluation import region_similarity
from agss_model.masks.labels import LabelMap, object_ids
from agss_model.network.base import AGSSVOS
from agss_model.tracking.tracker import Tracker
from agss_model.video.source import FrameSource
from agss_model.weights.registry import load_model
from training.team.adapted import HALF

Trips = tuple[float, float, float]
"""IoU with the first weights, with half of the change, and with all of it."""
CLEARLY = 0.6
"""Share of the error that may be left for all of the change to be used, where only synthetic clips speak for it. Half
of it is used where either comes back no worse, and has cost no clip more than 0.6 points of J&F."""
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


def share_of(trips: Trips, *, sure: bool) -> float:
    """Of the change that is used: 1, 0.5 or 0.

    Args:
        trips: what came back.
        sure: a human frame that was held out speaks for the change already.
    """
    first, half, last = (1 - iou for iou in trips)
    if last <= first * (1.0 if sure else CLEARLY):
        return 1.0
    return HALF if min(half, last) <= first else 0.0


def ready(weights: str) -> AGSSVOS:
    """The network of these weights, to track with on this machine."""
    network = load_model(weights, pick_device("auto"))
    use_engine(network, "auto")
    return network
