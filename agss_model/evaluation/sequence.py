"""Scores of a sequence: means over frames per object, then over objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from agss_model.errors import MaskError, MediaError
from agss_model.evaluation.layouts import Sequence
from agss_model.evaluation.measures import boundary_f, region_similarity
from agss_model.masks.labels import LabelMap, validate_label_map


@dataclass(frozen=True)
class ObjectScore:
    """Means of one object over its scored frames: J and F in [0, 1], JF = (J + F) / 2."""

    J: float
    F: float
    frames: int

    @property
    def JF(self) -> float:
        """J&F."""
        return (self.J + self.F) / 2


@dataclass(frozen=True)
class SequenceScore:
    """Scores of one sequence; J, F and JF are means over its objects."""

    name: str
    objects: Mapping[int, ObjectScore]

    @property
    def J(self) -> float:
        """Mean region similarity."""
        return float(np.mean([score.J for score in self.objects.values()]))

    @property
    def F(self) -> float:
        """Mean boundary measure."""
        return float(np.mean([score.F for score in self.objects.values()]))

    @property
    def JF(self) -> float:
        """J&F."""
        return (self.J + self.F) / 2


class SequenceScorer:
    """Takes the label maps of a sequence one by one, so that none needs to be kept.

    An object is scored on the annotated frames after its first one, and not on the last frame of a DAVIS sequence
    (`Sequence.scored_frames`). An object without such frames gets no score.
    """

    def __init__(self, sequence: Sequence) -> None:
        """Prepare for the objects of `sequence`."""
        self._sequence = sequence
        self._expected = {object_id: sequence.scored_frames(object_id) for object_id in sequence.ids}
        self._values: dict[int, dict[int, tuple[float, float]]] = {object_id: {} for object_id in sequence.ids}
        self._nowhere: set[tuple[int, int]] = set()

    def add(self, index: int, prediction: LabelMap) -> None:
        """Score frame `index`; frames without truth, and the given first masks, are passed over.

        Args:
            index: frame number in the sequence.
            prediction: (H, W) label map of the size of the truth.

        Raises:
            MaskError: not a label map of that size.
        """
        wanted = [object_id for object_id, frames in self._expected.items() if index in frames]
        if not wanted:
            return
        truth, void = self._sequence.truth_and_void(index)
        validate_label_map(prediction, shape=(truth.shape[0], truth.shape[1]))
        for object_id in wanted:
            ours, theirs = prediction == object_id, truth == object_id
            if not (ours | theirs).any():
                self._nowhere.add((object_id, index))
            self._values[object_id][index] = region_similarity(ours, theirs, void), boundary_f(ours, theirs, void=void)

    def ious(self) -> dict[tuple[int, int], float]:
        """J by object id and frame number, where it is there or was found; other frames tell nothing."""
        return {
            (object_id, index): j
            for object_id, values in self._values.items()
            for index, (j, _) in values.items()
            if (object_id, index) not in self._nowhere
        }

    def result(self) -> SequenceScore:
        """The scores.

        Raises:
            MaskError: a frame that must be scored was not added.
            MediaError: the sequence has no frame to score.
        """
        objects: dict[int, ObjectScore] = {}
        for object_id, values in self._values.items():
            if missing := self._expected[object_id] - values.keys():
                raise MaskError(
                    f"sequence {self._sequence.name}: {len(missing)} frames of object {object_id} have no prediction, "
                    f"the first is frame {min(missing)}; predict every frame (an empty label map is fine)"
                )
            if values:
                j, f = np.mean(list(values.values()), axis=0)
                objects[object_id] = ObjectScore(float(j), float(f), len(values))
        if not objects:
            raise MediaError(
                f"sequence {self._sequence.name} has no frame to score: there must be annotations after the first one "
                "(in DAVIS, the last frame is not scored)"
            )
        return SequenceScore(self._sequence.name, objects)


def evaluate_sequence(predictions: Mapping[int, LabelMap], sequence: Sequence) -> SequenceScore:
    """Score the label maps of a sequence, by frame number.

    Raises:
        MaskError: a frame that must be scored is missing, or is not a label map of the right size.
        MediaError: the sequence has no frame to score, or an annotation cannot be read.
    """
    scorer = SequenceScorer(sequence)
    for index in sorted(predictions):
        scorer.add(index, predictions[index])
    return scorer.result()


def mean_score(scores: Iterable[SequenceScore]) -> ObjectScore:
    """Means over all objects of all sequences, each object counting the same (as DAVIS and YouTube-VOS report).

    Raises:
        MediaError: no scores.
    """
    objects = [score for sequence in scores for score in sequence.objects.values()]
    if not objects:
        raise MediaError("there are no scores to average; evaluate at least one sequence")
    return ObjectScore(
        float(np.mean([score.J for score in objects])),
        float(np.mean([score.F for score in objects])),
        sum(score.frames for score in objects),
    )
