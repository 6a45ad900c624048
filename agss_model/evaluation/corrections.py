"""Simulated annotators, who draw the truth: how much better tracking gets with each correction, and how many it needs.

`curve`: the whole clip is tracked, one frame is corrected, the clip is tracked again. `needed`: somebody watches while
it is tracked and corrects each object as soon as its mask is too bad.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from agss_model.evaluation.layouts import Sequence
from agss_model.evaluation.measures import region_similarity
from agss_model.masks.labels import BoolMask, LabelMap, to_masks
from agss_model.review import look_first, worth_of
from agss_model.runs.scores import Row, rows_of
from agss_model.tracking.results import FrameResult

if TYPE_CHECKING:
    from agss_model.tracking.tracker import Tracker

Strategy = Literal["list", "worst", "evenly"]
STRATEGIES: tuple[Strategy, ...] = ("list", "worst", "evenly")
"""Who chooses the frame: the review list (the scores, where it is empty), somebody who knows the truth, or a ruler."""

Track = Callable[[Mapping[int, Callable[[], LabelMap]]], Iterable[FrameResult]]
"""Tracks a whole sequence from the masks given, by frame number."""


@dataclass(frozen=True)
class TrackedSequence:
    """One pass over a sequence.

    Attributes:
        rows: what the tracker said.
        ious: by object and frame, where it can be judged.
    """

    rows: list[Row]
    ious: dict[tuple[int, int], float]

    @property
    def mean(self) -> float:
        """Mean IoU over all objects and frames that are judged; what a person gave counts too."""
        return float(np.mean(list(self.ious.values())))

    def frames(self) -> dict[int, float]:
        """Mean IoU of every frame that is judged."""
        found: dict[int, list[float]] = {}
        for (_, frame), iou in self.ious.items():
            found.setdefault(frame, []).append(iou)
        return {frame: float(np.mean(ious)) for frame, ious in found.items()}


def curve(sequence: Sequence, track: Track, strategy: Strategy, count: int) -> list[float]:
    """Mean IoU without corrections and after each one.

    A correction is the truth of one frame, all objects of it; the sequence is then tracked anew. It ends early where
    every frame is given.

    Args:
        sequence: with truth.
        track: how it is tracked.
        strategy: who chooses.
        count: corrections.
    """
    given: dict[int, Callable[[], LabelMap]] = dict(sequence.first_masks)
    found = _tracked(sequence, track, given)
    values = [found.mean]
    for number in range(count):
        frame = _choice(found, sequence.annotations.keys() - given.keys(), strategy, (number + 1) / (count + 1))
        if frame is None:
            break
        given[frame] = partial(_truth, sequence, frame)
        found = _tracked(sequence, track, given)
        values.append(found.mean)
    return values


def needed(
    frames: Iterable[tuple[int, npt.NDArray[np.uint8]]],
    first_masks: Mapping[int, Callable[[], LabelMap]],
    tracker: Tracker,
    judge: Callable[[int, LabelMap], Mapping[int, float]],
    truth: Callable[[int], LabelMap],
    wanted: float,
) -> tuple[tuple[int, int], ...]:
    """Corrections that keep every judged mask above an IoU: where one falls below, its truth is a new reference.

    Args:
        frames: numbers with (H, W, 3) uint8 RGB, in order.
        first_masks: by frame number, as for `Track`.
        tracker: a new one.
        judge: IoU by object of what was tracked, from frame number and label map; only of objects judged there.
        truth: label map of a frame.
        wanted: that IoU.

    Returns:
        (frame number, object id), in order.
    """
    given: list[tuple[int, int]] = []
    for index, frame in frames:
        entering = to_masks(first_masks[index]()) if index in first_masks else {}
        if not entering and not tracker.object_ids:
            continue
        result = tracker.add(frame, entering, index) if entering else tracker.step(frame, index)
        if wrong := sorted(i for i, iou in judge(index, result.label_map).items() if iou < wanted):
            labels = truth(index)
            tracker.add(frame, {object_id: labels == object_id for object_id in wrong}, index)
            given += [(index, object_id) for object_id in wrong]
    return tuple(given)


def ious_of(prediction: LabelMap, truth: LabelMap, void: BoolMask, ids: Iterable[int]) -> dict[int, float]:
    """IoU by object of an (H, W) label map, but for the pixels that are void."""
    return {object_id: region_similarity(prediction == object_id, truth == object_id, void) for object_id in ids}


def _truth(sequence: Sequence, frame: int) -> LabelMap:
    return sequence.truth_and_void(frame)[0]


def _tracked(sequence: Sequence, track: Track, given: Mapping[int, Callable[[], LabelMap]]) -> TrackedSequence:
    scored = {object_id: sequence.scored_frames(object_id) for object_id in sequence.ids}
    rows, ious = list[Row](), dict[tuple[int, int], float]()
    for result in track(given):
        rows += rows_of(result)
        wanted = [object_id for object_id, frames in scored.items() if result.frame_index in frames]
        if not wanted:
            continue
        truth, void = sequence.truth_and_void(result.frame_index)
        for object_id, found in ious_of(result.label_map, truth, void, wanted).items():
            ious[object_id, result.frame_index] = found
    return TrackedSequence(rows, ious)


def _choice(found: TrackedSequence, free: Collection[int], strategy: Strategy, place: float) -> int | None:
    """The frame to correct next, None where there is none to choose.

    Args:
        found: by the last pass.
        free: frames with a truth that is not given yet.
        strategy: who chooses.
        place: of this correction among all, in (0, 1).
    """
    judged = {frame: iou for frame, iou in found.frames().items() if frame in free}
    if not judged:
        return None
    if strategy == "worst":
        return min(judged, key=lambda frame: (judged[frame], frame))
    if strategy == "evenly":
        order = sorted(found.frames())
        wanted = order[0] + place * (order[-1] - order[0])
        return min(judged, key=lambda frame: (abs(frame - wanted), frame))
    worth = worth_of(found.rows)
    named = [stretch.best_frame for stretch in look_first(found.rows, limit=None)]
    named += sorted(judged.keys() & worth.keys(), key=lambda frame: -worth[frame])  # what the scores doubt most beside
    return next((frame for frame in named if frame in free), None)
