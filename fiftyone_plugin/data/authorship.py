"""Who made a label: the one answer for tracking, evaluation, review, export, the panel and training.

A person made a label that is a keyframe, and every other label but two kinds:

- *untouched* ones: a tracking run wrote them (`tracked`) and nobody has changed them since;
- *filled* ones: FiftyOne's App wrote them. Who draws or moves an object in its Annotate mode makes a keyframe, and the
  App copies the label onto the frames after it and interpolates to the keyframe before it, with `keyframe=False`. Such
  a label lies exactly where the keyframes of its track put it; a label that lies elsewhere is somebody's. Of a tracked
  mask the App may change some numbers of the box only, while the others stay as the run wrote them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

import fiftyone as fo
import numpy as np
import numpy.typing as npt
from fiftyone.core.collections import SampleCollection

from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.columns import read_columns
from fiftyone_plugin.data.fields import Field
from fiftyone_plugin.data.labels import Label, box_of_run, is_keyframe, is_only_moved, is_untouched

SAME = 1e-6
"""Parts of the frame within which two outlines are the same."""
Track = tuple[str, ...]
Outline = npt.NDArray[np.float64]


PLACE = ("keyframe", "instance._id", "label", "index", "bounding_box")
"""Attributes of a detection by which `Authors.fills` tells whether the App made it."""


class Authors:
    """Who made the labels of one field in one clip."""

    def __init__(self, labels: Iterable[tuple[int, tuple[Any, ...]]]) -> None:
        """Remember the keyframes.

        Args:
            labels: of the whole clip: the frame, from 0, and the attributes `PLACE`; of polylines the points in place
                of the box.
        """
        found: dict[Track, dict[int, Outline]] = {}
        for frame, (keyframe, instance, name, index, place) in labels:
            if keyframe:
                found.setdefault(_track(instance, name, index), {})[frame] = _outline(place)
        self._keyframes = {track: sorted(outlines.items(), key=itemgetter(0)) for track, outlines in found.items()}

    @classmethod
    def read(cls, collection: SampleCollection, clip: Clip, field: Field) -> Authors:
        """Read the authors of a field, without its masks; `collection` holds the whole clip, without filters."""
        place = "points" if field.kind(collection) in (fo.Polylines, fo.Polyline) else "bounding_box"
        columns = read_columns(collection, clip.whole, field, (*PLACE[:-1], place), ())
        return cls((number, label) for number, labels, _ in columns for label in labels)

    @classmethod
    def of(cls, labels: Iterable[tuple[int, Label]]) -> Authors:
        """The authors of labels that were read already, with their frames."""
        return cls((frame, _place(label)) for frame, label in labels)

    def fills(self, frame: int, *place: object, run: list[float] | None = None) -> bool:
        """Whether the App put a label where it is, going by the keyframes of its track.

        Args:
            frame: from 0.
            place: the attributes `PLACE`.
            run: the box that a tracking run gave it, whose numbers may stand beside those of the keyframes.
        """
        keyframe, instance, name, index, where = place
        keyframes = self._keyframes.get(_track(instance, name, index), [])
        if keyframe is not False or not keyframes:
            return False
        after = bisect_left(keyframes, frame, key=itemgetter(0))
        around = keyframes[max(after - 1, 0) : after + 1]
        expected = [outline for _, outline in around]
        if len(around) == 2 and around[0][1].shape == around[1][1].shape:
            (low, before), (high, behind) = around
            expected.append(before + (behind - before) * ((frame - low) / (high - low)))
        outline = _outline(where)
        tracked = outline + np.inf if run is None else _outline(run)
        return any(
            one.shape == outline.shape and bool(np.all(_same(one, outline) | _same(tracked, outline)))
            for one in expected
        )

    def filled(self, frame: int, label: Label) -> bool:
        """Whether the App put this label where it is; it leaves the mask of a label alone when it moves its box."""
        there = self.fills(frame, *_place(label), run=box_of_run(label))
        return there and is_only_moved(label) and not is_untouched(label)

    def drew(self, frame: int, label: Label) -> bool:
        """Whether a person drew or changed this label here; what a run copied from another field was not drawn here."""
        return not (self.filled(frame, label) or is_untouched(label))

    def amended(self, frame: int, label: Label) -> bool:
        """Whether a person drew this label among tracks, which may come from other programs, without marks."""
        ours = label.has_field("tracked") and label.get_field("tracked") is not None
        return bool(is_keyframe(label)) or (ours and self.drew(frame, label))

    def by_person(self, frame: int, label: Label) -> bool:
        """Whether what the label shows is a person's work, drawn here or in the field it was tracked from."""
        return bool(is_keyframe(label)) or self.drew(frame, label)


NOBODY = Authors(())
"""The authors of a field without keyframes."""


def _place(label: Label) -> tuple[Any, ...]:
    where = label.points if isinstance(label, fo.Polyline) else label.bounding_box
    return is_keyframe(label), label.instance_id, label.label, label.index, where


def _track(instance: object, name: object, index: object) -> Track:
    return ("instance", str(instance)) if instance else ("index", str(name), str(index))


def _same(one: Outline, other: Outline) -> npt.NDArray[np.bool_]:
    return np.isclose(one, other, rtol=0, atol=SAME)


def _outline(place: object) -> Outline:
    """Numbers one after the other, however they are nested."""
    if not isinstance(place, list | tuple):
        return np.zeros(0) if place is None else np.asarray([place], np.float64)
    return np.concatenate([np.zeros(0), *map(_outline, place)])
