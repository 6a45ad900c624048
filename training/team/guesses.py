"""What the first weights make of a clip's frames that nobody drew on, where they are sure of it.

Learned from beside clips that are made of the human frames, it keeps what the weights can do already: how objects of
this clip come nearer, turn and move, which no clip made of one frame shows.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from agss_model.clips import propagate
from agss_model.masks.labels import LabelMap
from agss_model.network.base import AGSSVOS
from agss_model.tracking.results import FrameResult
from agss_model.video.source import FrameSource
from training.annotations.prepare import scaled
from training.data.sparse import VideoInMemory

SURE = 0.8
"""Expected IoU from which a tracked mask is taken for true."""
TRACKED = 120
"""Frames that are tracked for it, at most, around all human frames together."""
EVERY = 2
"""One of so many of them is kept."""
SMALLEST = 50
"""Pixels that a frame must show of objects that are sure."""


def guess(source: FrameSource, label_maps: Mapping[int, LabelMap], network: AGSSVOS, side: int) -> list[VideoInMemory]:
    """The surroundings of each human frame, with the masks that are sure; those with none are left out.

    Args:
        source: the clip.
        label_maps: (H, W) by frame number, drawn by a human.
        network: that tracks, in eval mode.
        side: longest side of the pictures that are kept, pixels.

    Raises:
        MediaError: a frame cannot be read.
    """
    reach = TRACKED // (2 * len(label_maps))
    scale = min(1.0, side / max(source.size))
    videos = []
    for human, label_map in label_maps.items():
        pictures = {human: scaled(source.read(human), scale, cv2.INTER_AREA)}
        maps = {human: scaled(label_map, scale, cv2.INTER_NEAREST)}
        known: dict[int, frozenset[int]] = {}
        start, stop = max(0, human - reach), min(len(source), human + reach + 1)
        for result in propagate(source, {human: label_map}, network, start=start, stop=stop):
            number = result.frame_index
            if number != human and (number - human) % EVERY == 0 and (sure := _sure(result)):
                pictures[number] = scaled(source.read(number), scale, cv2.INTER_AREA)
                maps[number] = scaled(result.label_map, scale, cv2.INTER_NEAREST)
                known[number] = sure
        if known:
            videos.append(VideoInMemory("the clip as it was tracked", pictures, maps, known))
    return videos


def _sure(result: FrameResult) -> frozenset[int]:
    """Objects whose masks can be believed; none where hardly anything is seen of them."""
    sure = frozenset(i for i, score in result.scores.items() if score >= SURE)
    return sure if np.isin(result.label_map, list(sure)).sum() >= SMALLEST else frozenset()
