"""Results into a field of Detections.

What a run writes into a frame:

- one `Detection` for each object that is there, with `index`, `instance`, `confidence` (the tracker's score),
  `keyframe` (a human drew it), `reasons` (why the score is low) and `tracked`, a fingerprint that no longer fits once
  somebody edits the label: then it counts as drawn by a human;
- on the `Detections` themselves `run`, the mark of everything the frame's masks depend on, by which a later run knows
  that nothing is to be done; and `lost_objects` and `jumped_objects`, the names of those that could not be found;
  `shown`, the instances of the labels, by which a later run sees that somebody deleted one: the object has ended there;
  and `ended`, the instances of those that a run found ended.

Labels of humans stay as they are; only an index, instance or confidence that they lack is filled in, and `keyframe`
set.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TypeVar

import fiftyone as fo
from fiftyone import ViewField as F
from fiftyone.core.collections import SampleCollection

from agss_model.errors import AgssError
from agss_model.tracking.quality import JUMP
from agss_model.tracking.results import FrameResult
from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.database import FRAMES_AT_ONCE, guarded
from fiftyone_plugin.data.fields import Field
from fiftyone_plugin.data.labels import INWARD, encode_mask, fingerprint
from fiftyone_plugin.data.saying import LabelContent
from fiftyone_plugin.data.values import labels_in, store
from fiftyone_plugin.track.objects import ClipObject
from fiftyone_plugin.track.prompts import HumanMask, Prompts

T = TypeVar("T")
SECONDS_AT_ONCE = 5.0


def to_detections(
    result: FrameResult,
    objects: Mapping[int, ClipObject],
    drawn: Mapping[int, HumanMask],
    said: Mapping[int, LabelContent] | None = None,
) -> fo.Detections:
    """A frame as FiftyOne's labels.

    Args:
        result: of the tracker.
        objects: by id.
        drawn: what humans drew in this frame, by id; it goes in exactly as drawn, also where objects overlap.
        said: what people said of objects on frames before, where that is not what they are called.
    """
    size = result.label_map.shape[::-1]
    found = []
    for object_id in result.object_ids:
        known = objects[object_id]
        if object_id in drawn:
            found.append(_drawn(drawn[object_id], known, size))
        elif (encoded := encode_mask(result.label_map == object_id)) is not None:
            box, mask = encoded
            label = fo.Detection(
                label=known.label, bounding_box=box, mask=mask, confidence=result.scores.get(object_id, 0.0)
            )
            label["reasons"] = list(result.reasons.get(object_id, ()))
            label["keyframe"] = False
            found.append(_linked(label, known, (said or {}).get(object_id)))
    value = fo.Detections(detections=found)
    lost = sorted(result.lost & objects.keys())
    value["lost_objects"] = [str(objects[i].name) for i in lost]
    value["jumped_objects"] = [str(objects[i].name) for i in lost if JUMP in result.reasons.get(i, ())]
    return value


def _drawn(drawn: HumanMask, known: ClipObject, size: tuple[int, int]) -> fo.Detection:
    top, bottom, left, right = drawn.box
    width, height = size
    box = [left / width + INWARD, top / height + INWARD, (right - left) / width, (bottom - top) / height]
    label = fo.Detection(label=drawn.label, bounding_box=box, mask=drawn.inside, confidence=1.0)
    label["reasons"] = []
    label["keyframe"] = True
    return _linked(label, known)


def _linked(label: fo.Detection, known: ClipObject, said: LabelContent | None = None) -> fo.Detection:
    label.index = known.index
    if said is not None:
        said.put(label)
    label["instance"] = fo.Instance(id=known.instance)
    label["tracked"] = fingerprint(label)
    return label


class LabelWriter:
    """Writes the frames of one clip, many at once."""

    def __init__(self, dataset: SampleCollection, clip: Clip, field: Field, prompts: Prompts) -> None:
        """Nothing is written yet.

        Args:
            dataset: without filters.
            clip: whose frames.
            field: the output field, declared.
            prompts: what humans drew.
        """
        self._dataset, self._clip, self._field, self._prompts = dataset, clip, field, prompts
        self._waiting: dict[int, fo.Detections] = {}
        self._since = time.monotonic()
        self.seconds = 0.0
        """Spent on labels and on the database."""
        self.frames = 0

    def put(self, result: FrameResult, run: str) -> None:
        """Hand over a frame, with the mark of its run."""
        began = time.perf_counter()
        drawn = self._prompts.drawn.get(result.frame_index, {})
        value = to_detections(result, self._prompts.objects, drawn, self._prompts.said(result.frame_index))
        value["run"] = run
        self._waiting[result.frame_index] = value
        self.seconds += time.perf_counter() - began
        if len(self._waiting) >= FRAMES_AT_ONCE or time.monotonic() - self._since > SECONDS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what waits.

        Raises:
            DatabaseError: the database refuses.
        """
        began = time.perf_counter()
        if self._waiting:
            guarded(self._write)
        self.seconds += time.perf_counter() - began
        self._since = time.monotonic()

    def _write(self) -> None:
        for number, current in self._current():
            self._keep_human(number, self._waiting[number], current)
        for number, value in self._waiting.items():
            value["shown"] = sorted({label.instance_id for label in value.detections} - {None})
            ended = self._prompts.ends.get(number, frozenset())
            value["ended"] = sorted(self._prompts.objects[i].instance for i in ended)
        store(self._dataset, self._clip, self._field, self._waiting)
        self.frames += len(self._waiting)
        self._waiting = {}

    def _current(self) -> list[tuple[int, fo.Detections]]:
        """What stands in these frames now: a human may have drawn meanwhile."""
        name = self._field.name
        if not self._clip.is_video:
            places = {self._clip.samples[number]: number for number in self._waiting}
            view = self._dataset.select(list(places)).select_fields(self._field.path)
            if len(view) < len(places):
                gone = next(iter(places.keys() - set(view.values("id"))))
                raise AgssError(f"the sample {gone} was deleted while it was being tracked.")
            return [(places[sample.id], sample[name]) for sample in view.iter_samples() if sample[name] is not None]
        view = self._dataset.select(self._clip.key).select_fields(self._field.path)
        view = view.match_frames(F("frame_number").is_in([number + 1 for number in self._waiting]), omit_empty=False)
        sample = next(iter(view.iter_samples()), None)
        if sample is None:
            raise AgssError(f"the sample {self._clip.key} was deleted while it was being tracked.")
        frames = sample.frames
        return [(number - 1, frame[name]) for number, frame in frames.items() if frame[name] is not None]

    def _keep_human(self, number: int, value: fo.Detections, current: fo.Detections) -> None:
        """Put labels of humans that are in the frame into its new value, in place of what was tracked."""
        ours = {drawn.label_id: i for i, drawn in self._prompts.drawn.get(number, {}).items() if drawn.in_output}
        human = [label for label in labels_in(current) if self._prompts.authors.drew(number, label)]
        for label in human:
            if label.id in ours:
                _fill(label, self._prompts.objects[ours[label.id]])
        taken = {label.instance_id for label in human} - {None}
        tracked = [label for label in value.detections if label.instance_id not in taken]
        value.detections = human + tracked


def _fill(label: fo.Detection, known: ClipObject) -> None:
    """What a human's label lacks to belong to its object; a label that was corrected loses what the tracker said."""
    corrected = getattr(label, "tracked", None) is not None
    if label.index is None:
        label.index = known.index
    if label.instance_id is None:
        label["instance"] = fo.Instance(id=known.instance)
    if corrected or label.confidence is None:
        label.confidence = 1.0
    if corrected:
        label["tracked"] = None
        label["reasons"] = []
    label["keyframe"] = True
