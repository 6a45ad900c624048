"""Tracked away from a frame and back to it: where both ways agree, a mask is taken for true."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from agss_model.clips import follow
from agss_model.evaluation import region_similarity
from agss_model.masks.labels import LabelMap, object_ids
from agss_model.network.base import AGSSVOS
from agss_model.tracking.results import FrameResult
from agss_model.tracking.tracker import Tracker
from agss_model.video.source import FrameSource

AGREE = 0.85
"""IoU between both ways from which a mask is kept."""
SURE = 0.75
"""Expected IoU that it needs beside."""
SMALLEST = 60
"""Pixels."""
WHOLE = 0.9
"""Share of all that was tracked which must be kept: an object without label would be learned as background."""


def there_and_back(source: FrameSource, start: int, drawn: LabelMap, network: AGSSVOS) -> dict[int, LabelMap]:
    """The masks that both ways agree on, by frame number, ascending.

    Args:
        source: the clip.
        start: frame number of `drawn`.
        drawn: (H, W) with the objects to track; what comes back replaces it, too.
        network: that tracks, in eval mode.

    Raises:
        MediaError: a frame cannot be read.
    """
    kept: dict[int, LabelMap] = {}
    for numbers in (range(start, len(source)), range(start, -1, -1)):
        there = _tracked(source, drawn, network, numbers)
        arrived = there[numbers[-1]].label_map
        if len(numbers) < 2 or not arrived.any():
            continue
        back = _tracked(source, arrived, network, numbers[::-1])
        for number in numbers:
            agreed = agreeing(there[number], back[number].label_map, object_ids(drawn))
            if agreed is not None:
                kept[number] = agreed
    return dict(sorted(kept.items()))


def agreeing(there: FrameResult, back: LabelMap, ids: Sequence[int]) -> LabelMap | None:
    """Objects of a frame that both ways show alike; None where too much is left over.

    Args:
        there: result of the way there.
        back: (H, W) of the way back.
        ids: objects that were looked for.
    """
    agreed = np.zeros_like(there.label_map)
    for i in ids:
        mask = there.label_map == i
        sure = there.scores.get(i, 1.0) > SURE  # none where a mask was given
        if sure and mask.sum() >= SMALLEST and region_similarity(mask, back == i) > AGREE:
            agreed[mask] = i
    whole = (agreed > 0).sum() > WHOLE * (there.label_map > 0).sum()
    return agreed if agreed.any() and whole else None


def _tracked(source: FrameSource, given: LabelMap, network: AGSSVOS, numbers: range) -> dict[int, FrameResult]:
    read = {numbers[0]: partial(_same, given)}
    return {result.frame_index: result for result in follow(source, read, Tracker(network), numbers)}


def _same(label_map: LabelMap) -> LabelMap:
    return label_map
