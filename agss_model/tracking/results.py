"""The one record that tracker, files, CVAT, FiftyOne and evaluation exchange for a frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from agss_model.masks.labels import LabelMap


@dataclass(frozen=True)
class FrameResult:
    """All objects in one frame.

    Attributes:
        frame_index: number of the frame in its clip, from 0.
        object_ids: every object that is being tracked, ascending, present or lost.
        label_map: (H, W) uint8, or uint16 when an id is above 255; 0 is background.
        scores: for each object how far its mask (or absence) can be trusted, in [0, 1].
        lost: objects that could not be found; they have no pixel.
        reasons: for each object why its score is low, in the words of `tracking.quality`; empty when nothing is.
        human: objects whose mask in this frame was given, not predicted.
    """

    frame_index: int
    object_ids: tuple[int, ...]
    label_map: LabelMap
    scores: dict[int, float]
    lost: frozenset[int] = frozenset()
    reasons: dict[int, tuple[str, ...]] = field(default_factory=dict)
    human: frozenset[int] = frozenset()


def id_type(ids: Iterable[int]) -> type[np.uint8 | np.uint16]:
    """The smallest type of a label map that holds these ids."""
    return np.uint8 if max(ids, default=0) <= 255 else np.uint16
