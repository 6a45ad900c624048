"""One result from two directions of tracking."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from agss_model.masks.labels import LabelMap
from agss_model.quality import DISAGREE
from agss_model.results import FrameResult, id_type


def fuse(forward: FrameResult, backward: FrameResult, progress: float | Mapping[int, float]) -> FrameResult:
    """One result from two directions.

    Where they disagree about a pixel, each speaks with the weight of its score for the object concerned times its
    nearness to its own keyframe. Exchanging the directions and `progress` with 1 - `progress` gives the same result
    but where both weigh the same.

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
    # A side that says "background" speaks with the weight it has for the object that the other side sees.
    says_one = weight_one[np.where(one > 0, one, two)]
    says_two = weight_two[np.where(two > 0, two, one)]
    label_map: LabelMap = np.where(one == two, one, np.where(says_one >= says_two, one, two))
    return _fused_result(forward, backward, ids, label_map, (weight_one, weight_two))


def _weights(result: FrameResult, ids: tuple[int, ...], nearness: Mapping[int, float]) -> npt.NDArray[np.float64]:
    """Weight by object id; an object this side does not know weighs nothing, a lost one little."""
    table = np.zeros(max(ids, default=0) + 1)
    for object_id in result.object_ids:
        table[object_id] = nearness.get(object_id, 1.0) * (0.05 + 0.95 * result.scores.get(object_id, 0.0))
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
        scores[object_id] = round(better.scores.get(object_id, 0.0) * (0.4 + 0.6 * overlap), 4)
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
