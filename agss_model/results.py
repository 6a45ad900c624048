"""The one record that tracker, files, CVAT, FiftyOne and evaluation exchange for a frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from agss_model.masks.labels import BoolMask, LabelMap, object_ids
from agss_model.quality import Quality


@dataclass(frozen=True)
class FrameResult:
    """All objects in one frame.

    Attributes:
        frame_index: number of the frame in its clip, from 0.
        object_ids: every object that is being tracked, ascending, present or lost.
        label_map: (H, W) uint8, or uint16 when an id is above 255; 0 is background.
        scores: for each object how far its mask (or absence) can be trusted, in [0, 1].
        lost: objects that could not be found; they have no pixel.
        reasons: for each object why its score is low, in the words of `agss_model.quality`; empty when nothing is.
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


def predicted(index: int, ids: tuple[int, ...], label_map: LabelMap, quality: Quality) -> FrameResult:
    """A result as the network sees it; slot k of `quality` belongs to `ids[k]`."""
    quality = quality.on_cpu()
    scores, lost = quality.score.tolist(), quality.lost.tolist()
    shown = set(object_ids(label_map))
    return FrameResult(
        frame_index=index,
        object_ids=ids,
        label_map=label_map,
        scores={i: round(scores[slot], 4) for slot, i in enumerate(ids)},
        lost=frozenset(i for slot, i in enumerate(ids) if lost[slot] or i not in shown),
        reasons={i: quality.reasons(slot) for slot, i in enumerate(ids)},
    )


def annotated(
    tracked: FrameResult | None,
    masks: Mapping[int, BoolMask],
    index: int,
    ids: tuple[int, ...],
    size: tuple[int, int],
) -> FrameResult:
    """A result in which the given masks stand exactly as given, over what was tracked.

    Args:
        tracked: of the same frame, None where nothing was.
        masks: for each object id (H, W) bool.
        index: number of the frame.
        ids: every object.
        size: (H, W).
    """
    dtype = id_type(ids)
    label_map: LabelMap = np.zeros(size, dtype=dtype) if tracked is None else tracked.label_map.astype(dtype)
    label_map[np.isin(label_map, list(masks))] = 0
    for object_id, mask in masks.items():
        label_map[mask] = object_id
    shown = set(object_ids(label_map))
    scores = tracked.scores if tracked else {}
    reasons = tracked.reasons if tracked else {}
    return FrameResult(
        frame_index=index,
        object_ids=ids,
        label_map=label_map,
        scores={i: 1.0 if i in masks else scores.get(i, 0.0) for i in ids},
        lost=frozenset(i for i in ids if i not in shown),
        reasons={i: () if i in masks else reasons.get(i, ()) for i in ids},
        human=frozenset(masks) | (tracked.human if tracked else frozenset()),
    )
