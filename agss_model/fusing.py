"""One result from two directions of tracking."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from agss_model.masks.labels import LabelMap
from agss_model.masks.packed import PackedMap
from agss_model.tracking.quality import DISAGREE
from agss_model.tracking.results import FrameResult, id_type

SHARPNESS = 6
"""Power of the score in the weight of a side, against nearness as it is: a score of 0.8 outweighs one of 0.6 five
times over. Mean IoU between two keyframes is level from 6 to 12."""


class ObjectKeyframes:
    """Where each object was drawn, or said to be absent."""

    def __init__(self, drawn: Mapping[int, frozenset[int]], absent: Mapping[int, frozenset[int]]) -> None:
        self._drawn = drawn
        self._told: dict[int, list[int]] = {}
        for number in sorted(drawn.keys() | absent.keys()):
            for object_id in drawn.get(number, frozenset()) | absent.get(number, frozenset()):
                self._told.setdefault(object_id, []).append(number)

    def progress(self, number: int) -> dict[int, float]:
        """Place of a frame between the two keyframes around it, for each object drawn on both sides, in [0, 1)."""
        between: dict[int, float] = {}
        for object_id, frames in self._told.items():
            place = bisect_right(frames, number)
            around = frames[place - 1 : place + 1] if place else []
            if len(around) == 2 and all(object_id in self._drawn.get(frame, frozenset()) for frame in around):
                before, after = around
                between[object_id] = (number - before) / (after - before)
        return between


class PackedResult:
    """A result with its label map compressed."""

    def __init__(self, result: FrameResult) -> None:
        self._label_map = PackedMap(result.label_map)
        self.rest = replace(result, label_map=np.zeros((0, 0), np.uint8))

    def unpack(self) -> FrameResult:
        """The result as it was."""
        return replace(self.rest, label_map=self._label_map.unpack())


def without(result: FrameResult, gone: frozenset[int]) -> FrameResult:
    """A result without the objects that are not in the clip at its frame."""
    gone &= frozenset(result.object_ids)
    if not gone:
        return result
    label_map = result.label_map.copy()
    label_map[np.isin(label_map, list(gone))] = 0
    ids = tuple(object_id for object_id in result.object_ids if object_id not in gone)
    return replace(
        result,
        object_ids=ids,
        label_map=label_map,
        scores={i: score for i, score in result.scores.items() if i not in gone},
        lost=result.lost - gone,
        reasons={i: words for i, words in result.reasons.items() if i not in gone},
        human=result.human - gone,
    )


def fuse(forward: FrameResult, backward: FrameResult, progress: float | Mapping[int, float]) -> FrameResult:
    """One result from two directions.

    How far each side is to be believed about an object is shared out between them, by score and nearness to its own
    keyframe. Where they disagree about a pixel, the object wins that is more probably there: a side that has lost one
    object has little to say of the pixels that the other sees it on, however sure it is of another object there.
    Exchanging the directions and `progress` with 1 - `progress` gives the same result but where both weigh the same.

    Args:
        forward: from the keyframe before.
        backward: from the keyframe after, of the same frame.
        progress: place between the keyframes, in (0, 1); or of each object, as each has its own keyframes. An object
            left out was drawn on one side only, and that side alone knows it.
    """
    ids = tuple(sorted(set(forward.object_ids) | set(backward.object_ids)))
    one: LabelMap = forward.label_map.astype(id_type(ids))
    two: LabelMap = backward.label_map.astype(id_type(ids))
    places = progress if isinstance(progress, Mapping) else dict.fromkeys(ids, progress)
    weight_one = _weights(forward, ids, {i: 1 - place for i, place in places.items()})
    weight_two = _weights(backward, ids, places)
    total = np.maximum(weight_one + weight_two, np.finfo(np.float64).tiny)
    share_one, share_two = weight_one / total, weight_two / total
    # A side that says "background" speaks with the share it has of the object that the other side sees.
    says_one = share_one[np.where(one > 0, one, two)]
    says_two = share_two[np.where(two > 0, two, one)]
    label_map: LabelMap = np.where(one == two, one, np.where(says_one >= says_two, one, two))
    return _fused_result(forward, backward, ids, label_map, (share_one, share_two))


def _weights(result: FrameResult, ids: tuple[int, ...], nearness: Mapping[int, float]) -> npt.NDArray[np.float64]:
    """Weight by object id; an object this side does not know weighs nothing, a lost one little."""
    table = np.zeros(max(ids, default=0) + 1)
    for object_id in result.object_ids:
        trust = 0.05 + 0.95 * result.scores.get(object_id, 0.0)
        table[object_id] = nearness.get(object_id, 1.0) * trust**SHARPNESS
    return table


def _fused_result(
    forward: FrameResult,
    backward: FrameResult,
    ids: tuple[int, ...],
    label_map: LabelMap,
    weights: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
) -> FrameResult:
    scores: dict[int, float] = {}
    reasons: dict[int, tuple[str, ...]] = {}
    for object_id in ids:
        both = object_id in forward.object_ids and object_id in backward.object_ids
        better = forward if weights[0][object_id] >= weights[1][object_id] else backward
        overlap = _overlap(forward.label_map == object_id, backward.label_map == object_id) if both else 1.0
        scores[object_id] = round(better.scores.get(object_id, 0.0) * (0.7 + 0.3 * overlap), 4)
        words = better.reasons.get(object_id, ())
        reasons[object_id] = (*words, DISAGREE) if overlap < 0.5 else words
    shown = set(np.unique(label_map).tolist())
    return FrameResult(
        frame_index=forward.frame_index,
        object_ids=ids,
        label_map=label_map,
        scores=scores,
        lost=frozenset(i for i in ids if i not in shown),
        reasons=reasons,
        human=forward.human | backward.human,
    )


def _overlap(one: npt.NDArray[np.bool_], two: npt.NDArray[np.bool_]) -> float:
    union = int((one | two).sum())
    return int((one & two).sum()) / union if union else 1.0
