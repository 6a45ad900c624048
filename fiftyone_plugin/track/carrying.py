"""A changed class, index or attribute of a tracked label, carried on to the frames that were tracked after it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from agss_model.errors import AgssError
from agss_model.words import plural
from fiftyone_plugin.data.authorship import Authors
from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.database import FRAMES_AT_ONCE, guarded
from fiftyone_plugin.data.fields import Field
from fiftyone_plugin.data.labels import fingerprint
from fiftyone_plugin.data.progress import Progress, Summary
from fiftyone_plugin.data.saying import LabelContent
from fiftyone_plugin.data.values import labels_in, read_values, store


@dataclass
class CarrySummary(Summary):
    """What came of it.

    Attributes:
        changes: labels whose change was carried on.
        labels: that say the same now.
    """

    changes: int = 0
    labels: int = 0

    def __str__(self) -> str:
        """The outcome in a sentence."""
        if not self.changes:
            return "No label says anything else than the one before it on its track; change one, and run this again."
        return f"{plural(self.changes, 'change')} carried on to {plural(self.labels, 'label')} on later frames."


class LabelCarrier:
    """Carries changes on, clip by clip, when iterated."""

    def __init__(
        self, dataset: SampleCollection, clips: list[Clip], tracks: Field, chosen: Collection[str] | None = None
    ) -> None:
        """Nothing is read or written yet.

        Args:
            dataset: with the clips, without filters.
            clips: to look through.
            tracks: the field.
            chosen: ids of the changed labels; None for every one that says something else than those before it.
        """
        self._dataset, self._clips, self._tracks = dataset, clips, tracks
        self._chosen = None if chosen is None else frozenset(chosen)
        self.carried = CarrySummary()

    @property
    def result(self) -> dict[str, Any]:
        """What came of it, as plain values."""
        return self.carried.to_dict()

    def __iter__(self) -> Iterator[Progress]:
        """Go through the clips.

        Raises:
            DatabaseError: the database cannot be written.
            AgssError: a chosen label has no track.
        """
        for place, clip in enumerate(self._clips):
            yield Progress(place / len(self._clips), clip.name)
            self._clip(clip)

    def _clip(self, clip: Clip) -> None:
        authors = Authors.read(self._dataset, clip, self._tracks)
        track = _Tracks(authors, self._chosen, self.carried)
        waiting: dict[int, fo.Detections] = {}
        for number, (value,) in read_values(self._dataset, clip.whole, self._tracks):
            if track.changed(number, labels_in(value)):
                waiting[number] = value
            if len(waiting) == FRAMES_AT_ONCE:
                self._store(clip, waiting)
        self._store(clip, waiting)

    def _store(self, clip: Clip, waiting: dict[int, fo.Detections]) -> None:
        if waiting:
            guarded(lambda: store(self._dataset, clip, self._tracks, waiting))
            waiting.clear()


@dataclass
class _Tracks:
    """What the labels of a clip said so far, by instance."""

    authors: Authors
    chosen: frozenset[str] | None
    carried: CarrySummary
    first: dict[str, LabelContent] = field(default_factory=dict)
    now: dict[str, LabelContent] = field(default_factory=dict)

    def changed(self, number: int, labels: list[Any]) -> bool:
        """Look at a frame, in order; whether a label of it was changed."""
        return any([self._label(number, label) for label in labels])  # all of them

    def _label(self, number: int, label: Any) -> bool:  # noqa: ANN401 - FiftyOne has no types
        instance, said = label.instance_id, LabelContent.of(label)
        if instance is None:
            if self.chosen and label.id in self.chosen:
                raise AgssError(f"{label.label!r} in frame {number + 1} is on no track; track it first.")
            return False
        first, now = self.first.setdefault(instance, said), self.now.get(instance)
        is_change = label.id in self.chosen if self.chosen is not None else said not in (first, now)
        if is_change:
            self.now[instance] = said
            self.carried.changes += 1
            if self.authors.by_person(number, label):
                return False
            label["keyframe"] = True  # somebody looked at it: from now on it counts as drawn
            return True
        if now is None or said == now:
            return False
        if self.authors.by_person(number, label):  # which says something else: the change ends here
            del self.now[instance]
            return False
        now.put(label)
        label["tracked"] = fingerprint(label)
        self.carried.labels += 1
        return True
