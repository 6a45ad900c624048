"""How well weights track videos with known truth, and how often an annotator would have to correct them.

Corrections are simulated (`agss_model.evaluation.corrections.needed`): the clip is tracked from the first mask of each
object; in every annotated frame where an object is below the wanted IoU its true mask is given as a new reference,
which counts as one correction, and tracking goes on from there. So every annotated frame ends above the wanted IoU.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from agss_model.clips import follow
from agss_model.errors import MediaError
from agss_model.evaluation import Sequence, boundary_f, open_dataset
from agss_model.evaluation.corrections import ious_of, needed
from agss_model.masks.labels import BoolMask, LabelMap, object_ids
from agss_model.network.base import AGSSVOS
from agss_model.tracking.tracker import Tracker
from agss_model.video import FrameSource
from agss_model.video.images import ImageFrames
from training.annotations.folders import layout_of
from training.data.known import Known, read_known

WANTED_IOU = 0.8


@dataclass(frozen=True)
class Case:
    """A video to be measured on.

    Attributes:
        name: of the video.
        open: opens the frames.
        first_masks: by frame number a function that gives the label map of the objects that enter there.
        truth: from a frame number to label map, void pixels and the ids that are known there.
        judged: for each object the frames in which it is judged.
        numbers: of the frames in the video that they were taken from; empty where they are the same.
    """

    name: str
    open: Callable[[], FrameSource]
    first_masks: Mapping[int, Callable[[], LabelMap]]
    truth: Callable[[int], tuple[LabelMap, BoolMask, frozenset[int]]]
    judged: Mapping[int, frozenset[int]]
    numbers: tuple[int, ...] = ()

    def number(self, index: int) -> int:
        """Number of a frame in the video as people know it."""
        return self.numbers[index] if self.numbers else index

    @property
    def last(self) -> int:
        """The last frame that is judged."""
        return max(max(frames) for frames in self.judged.values() if frames)


@dataclass(frozen=True)
class Result:
    """What was measured on one video.

    Attributes:
        name: of the video.
        J: mean region similarity over objects.
        F: mean boundary measure over objects.
        objects: that were judged.
        judged: pairs of object and frame that were judged.
        given: (frame, object) of the corrections that keep every judged frame above the wanted IoU.
        ious: by object and judged frame, without corrections.
        predictions: compressed label maps of the judged frames, without corrections.
    """

    name: str
    J: float
    F: float
    objects: int
    judged: int
    given: tuple[tuple[int, int], ...]
    ious: Mapping[tuple[int, int], float]
    predictions: Mapping[int, bytes]

    @property
    def corrections(self) -> int:
        """How many corrections are needed."""
        return len(self.given)

    @property
    def frames(self) -> dict[int, float]:
        """For each judged frame the lowest IoU of an object in it."""
        lowest: dict[int, float] = {}
        for (_, frame), iou in self.ious.items():
            lowest[frame] = min(iou, lowest.get(frame, iou))
        return lowest

    @property
    def JF(self) -> float:
        """J&F."""
        return (self.J + self.F) / 2

    def prediction(self, frame: int, like: LabelMap) -> LabelMap:
        """The label map of a judged frame, of the size of the truth."""
        flat = np.frombuffer(zlib.decompress(self.predictions[frame]), np.uint16)
        return flat.reshape(like.shape)


def open_cases(root: Path) -> list[Case]:
    """Videos of a folder in DAVIS' or YouTube-VOS' layout that have something to judge.

    Raises:
        MediaError: the folder is incomplete, or no video has truth after an object's first mask.
    """
    known = read_known(root)
    found = [_case(sequence, known.get(sequence.name, {})) for sequence in open_dataset(root, layout_of(root))]
    cases = [case for case in found if any(case.judged.values())]
    if not cases:
        raise MediaError(f"{root} has no video with truth after the first mask of an object; nothing can be measured")
    return cases


def _case(sequence: Sequence, known: Known) -> Case:
    def told(index: int) -> frozenset[int]:
        return known.get(sequence.frames[index].stem, frozenset(sequence.ids))

    def truth(index: int) -> tuple[LabelMap, BoolMask, frozenset[int]]:
        return *sequence.truth_and_void(index), told(index)

    judged = {
        object_id: frozenset(index for index in sequence.scored_frames(object_id) if object_id in told(index))
        for object_id in sequence.ids
    }
    stems = [path.stem for path in sequence.frames]
    return Case(
        name=sequence.name,
        open=lambda: ImageFrames(sequence.frames, name=sequence.name),
        first_masks=sequence.first_masks,
        truth=truth,
        judged=judged,
        numbers=tuple(map(int, stems)) if all(stem.isdecimal() for stem in stems) else (),
    )


def demo_case() -> Case:
    """The shipped clip: seven pedestrians, judged by the masks of its last frame."""
    from agss_model import demo_clip
    from agss_model.masks.files import read_label_map
    from agss_model.video import open_source

    first, last = read_label_map(demo_clip.FIRST), read_label_map(demo_clip.LAST)
    with open_source(demo_clip.VIDEO) as frames:
        end = len(frames) - 1
    ids = object_ids(first)
    return Case(
        name="demo clip",
        open=lambda: open_source(demo_clip.VIDEO),
        first_masks={0: lambda: first},
        truth=lambda index: (last, np.zeros(last.shape, np.bool_), frozenset(ids)),
        judged={object_id: frozenset({end}) for object_id in ids},
    )


def measure(case: Case, network: AGSSVOS, *, wanted: float = WANTED_IOU) -> Result:
    """Track a video with and without corrections.

    Args:
        case: the video.
        network: in eval mode, on the device to be used.
        wanted: IoU that every judged frame must reach.

    Raises:
        MediaError: frames or truth cannot be read.
    """
    values: dict[int, list[tuple[float, float]]] = {object_id: [] for object_id in case.judged}
    ious: dict[tuple[int, int], float] = {}
    predictions: dict[int, bytes] = {}
    with case.open() as source:
        numbers = range(min(case.first_masks), case.last + 1)
        for result in follow(source, case.first_masks, Tracker(network), numbers):
            index = result.frame_index
            scores = _scores(case, index, result.label_map)
            for object_id, value in scores.items():
                values[object_id].append(value)
                ious[object_id, index] = value[0]
            if scores:
                predictions[index] = zlib.compress(result.label_map.astype(np.uint16).tobytes(), 1)
    means = np.array([np.mean(found, 0) for found in values.values() if found])
    good = all(j >= wanted for j in ious.values())
    return Result(
        name=case.name,
        J=float(means[:, 0].mean()),
        F=float(means[:, 1].mean()),
        objects=len(means),
        judged=sum(map(len, values.values())),
        given=() if good else corrections(case, network, wanted=wanted),
        ious=ious,
        predictions=predictions,
    )


def corrections(case: Case, network: AGSSVOS, *, wanted: float = WANTED_IOU) -> tuple[tuple[int, int], ...]:
    """Frames and objects of the true masks that have to be given after the first ones.

    Args:
        case: the video.
        network: in eval mode.
        wanted: IoU that every judged frame must reach.
    """
    numbers = range(min(case.first_masks), case.last + 1)
    with case.open() as source:
        frames = zip(numbers, source.frames(numbers.start, numbers.stop), strict=True)
        judge, truth = partial(_ious, case), lambda index: case.truth(index)[0]
        return needed(frames, case.first_masks, Tracker(network), judge, truth, wanted)


def _scores(case: Case, index: int, prediction: LabelMap) -> dict[int, tuple[float, float]]:
    """J and F of every object that is judged in a frame."""
    found = _ious(case, index, prediction)
    if not found:
        return {}
    truth, void, _ = case.truth(index)
    return {i: (j, boundary_f(prediction == i, truth == i, void=void)) for i, j in found.items()}


def _ious(case: Case, index: int, prediction: LabelMap) -> dict[int, float]:
    judged = [object_id for object_id, frames in case.judged.items() if index in frames]
    if not judged:
        return {}
    truth, void, _ = case.truth(index)
    if truth.shape != prediction.shape:
        raise MediaError(
            f"{case.name}, frame {index}: the mask is {truth.shape[1]}x{truth.shape[0]}, the frame "
            f"{prediction.shape[1]}x{prediction.shape[0]}; export masks at the size of the frames"
        )
    return ious_of(prediction, truth, void, judged)
