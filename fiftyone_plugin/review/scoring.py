"""J, F and J&F of one clip, and whether its objects keep their identity.

An object is scored over the frames with ground truth that the protocol takes in, but not where its mask was drawn by
a human (`keyframe`). It is compared with the track of the same name (`fiftyone_plugin.data.identity`); where not one
track has the identity of an object, with the tracks that fit best over the whole clip, one for each object. Either way
one track is compared with one object, so that an exchange of two objects costs. Tracks without an object are ignored,
as the benchmarks do. What the App filled in around keyframes is neither truth nor track.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import numpy as np
from fiftyone.core.collections import SampleCollection
from scipy.optimize import linear_sum_assignment

from agss_model.evaluation import ObjectScore, boundary_f, region_similarity
from agss_model.masks.labels import BoolMask
from fiftyone_plugin.data.authorship import Authors
from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.fields import Field
from fiftyone_plugin.data.identity import ObjectName, ObjectNames
from fiftyone_plugin.data.labels import Label, decode_label
from fiftyone_plugin.data.values import Container, labels_in, read_values

Protocol = Literal["davis", "all"]
"""`davis` is the official semi-supervised one: an object counts after its first frame, and not in the clip's last.
`all` is every frame with ground truth, from the object's first on."""
MATCH = 0.5
"""Overlap from which a track counts as being on an object."""


@dataclass(frozen=True)
class ClipScore:
    """One clip.

    Attributes:
        objects: by name, such as `car 3`.
        frames: J&F of each scored frame, the mean over its objects; by frame number from 0.
        covered: how often an object in a frame had a track on it.
        own: how often that was the object's own track.
        switches: how often the track on an object became another one.
        unscored: ids of labels of either field that do not count.
    """

    objects: dict[str, ObjectScore]
    frames: dict[int, float]
    covered: int
    own: int
    switches: int
    unscored: tuple[str, ...] = ()

    @property
    def JF(self) -> float:
        """J&F, the mean over the objects."""
        return fmean(score.JF for score in self.objects.values())


@dataclass
class _Frame:
    """What is remembered of one frame with ground truth.

    Attributes:
        truth: objects in it.
        tracks: tracks in it, and whether a human drew them.
        overlaps: J of each pair that touches.
        unknown: objects that may be anywhere.
    """

    truth: set[ObjectName]
    tracks: dict[ObjectName, bool]
    overlaps: dict[tuple[ObjectName, ObjectName], float]
    unknown: set[ObjectName]


def evaluate_clip(
    collection: SampleCollection, clip: Clip, predicted: Field, truth: Field, protocol: Protocol = "davis"
) -> ClipScore | None:
    """Score one clip; None where there is nothing to score.

    Raises:
        AgssError: the clip or a mask cannot be read.
    """
    with clip.open() as source:
        size, last = source.size, len(source) - 1
    reader = _LabelReader(collection, clip, truth, predicted)
    frames: dict[int, _Frame] = {}
    ids: dict[int, _Ids] = {}
    for number, (true, found) in read_values(collection, clip, truth, predicted):
        read = reader.read(number, true, found)
        ids[number] = _Ids.of(read)
        if true is not None:
            frames[number] = _frame(read, size)
    scorer = _Scorer(frames, protocol, last if clip.last is None else min(clip.last, last))
    if not scorer.scored:
        return None
    boundaries: dict[tuple[int, ObjectName], float] = {}
    for number, (true, found) in read_values(collection, clip, truth, predicted):
        if not (keys := scorer.scored.get(number, [])):
            continue
        read = reader.read(number, true, found)
        masks, tracks, empty = _masks(read.true, size), _masks(read.found, size), np.zeros(size[::-1], np.bool_)
        for key in keys:
            track = tracks.get(scorer.pairs.get(key, key), empty)
            boundaries[number, key] = boundary_f(track, masks.get(key, empty))
    unscored = [label for number, here in ids.items() for label in scorer.unscored(number, here)]
    return scorer.result(boundaries, tuple(unscored))


@dataclass(frozen=True)
class _FrameLabels:
    """The labels of one frame that count, with their names.

    Attributes:
        true: of the ground truth.
        found: tracks.
        unknown: objects of which the ground truth only has what the App filled in.
        human: tracks that a person drew.
        filled: ids of labels that the App filled in.
    """

    true: list[tuple[ObjectName, Label]]
    found: list[tuple[ObjectName, Label]]
    unknown: set[ObjectName]
    human: set[ObjectName]
    filled: list[str]


@dataclass(frozen=True)
class _Ids:
    """Ids of the labels of one frame: of objects, of tracks, and of what the App filled in."""

    true: list[tuple[ObjectName, str]]
    found: list[tuple[ObjectName, str]]
    filled: list[str]

    @classmethod
    def of(cls, read: _FrameLabels) -> _Ids:
        return cls([(n, x.id) for n, x in read.true], [(n, x.id) for n, x in read.found], read.filled)


class _LabelReader:
    """Tells whose the labels of either field are."""

    def __init__(self, collection: SampleCollection, clip: Clip, truth: Field, predicted: Field) -> None:
        self._truth, self._predicted = (Authors.read(collection, clip, field) for field in (truth, predicted))
        self._names = ObjectNames.read(collection, clip, predicted, truth)

    def read(self, number: int, true: Container, found: Container) -> _FrameLabels:
        """Those that count."""
        given = [(self._names.of(label), label) for label in labels_in(true)]
        filled = {label.id for _, label in given if self._truth.filled(number, label)}
        tracks = [(self._names.of(x), x) for x in labels_in(found) if not self._predicted.filled(number, x)]
        counted = {label.id for _, label in tracks}
        return _FrameLabels(
            [(name, label) for name, label in given if label.id not in filled],
            tracks,
            {name for name, label in given if label.id in filled},
            {name for name, label in tracks if self._predicted.amended(number, label)},
            [*filled, *(label.id for label in labels_in(found) if label.id not in counted)],
        )


def _masks(labels: Iterable[tuple[ObjectName, Label]], size: tuple[int, int]) -> dict[ObjectName, BoolMask]:
    found: dict[ObjectName, BoolMask] = {}
    for name, label in labels:
        mask = decode_label(label, *size)
        found[name] = found[name] | mask if name in found else mask
    return found


def _frame(read: _FrameLabels, size: tuple[int, int]) -> _Frame:
    masks, tracks = _masks(read.true, size), _masks(read.found, size)
    overlaps = {
        (one, two): overlap
        for one, mask in masks.items()
        for two, track in tracks.items()
        if (overlap := region_similarity(track, mask)) > 0
    }
    return _Frame(set(masks), {name: name in read.human for name in tracks}, overlaps, read.unknown)


class _Scorer:
    """Pairs objects with tracks and counts."""

    def __init__(self, frames: dict[int, _Frame], protocol: Protocol, last: int) -> None:
        """Pair them.

        Args:
            frames: those with ground truth.
            protocol: what counts.
            last: the clip's last frame.
        """
        self._official, self._last = protocol == "davis", last
        self._frames = dict(sorted(frames.items()))
        first: dict[ObjectName, int] = {}
        for number, frame in self._frames.items():
            for key in sorted(frame.truth, key=lambda name: name.order):
                first.setdefault(key, number)
        tracks = {key for frame in frames.values() for key in frame.tracks}
        self.pairs = {key: key for key in first if key in tracks}
        if not self.pairs:
            self.pairs = self._best(list(first), sorted(tracks, key=lambda name: name.order))
        self.scored = {
            number: keys
            for number, frame in self._frames.items()
            if (keys := [k for k in first if self._reached(first[k], number) and self._counts(frame, k)])
        }

    def _reached(self, first: int, number: int) -> bool:
        return first < number < self._last if self._official else first <= number

    def unscored(self, number: int, ids: _Ids) -> list[str]:
        """Labels of a frame that do not count; a track of no object does, where anything is scored."""
        keys = self.scored.get(number, [])
        tracks = {self.pairs.get(key, key) for key in keys}
        free = set(self.pairs.values()) if keys else set()
        true = [label for name, label in ids.true if name not in keys]
        found = [label for name, label in ids.found if name not in tracks and (not keys or name in free)]
        return [*true, *found, *ids.filled]

    def _counts(self, frame: _Frame, key: ObjectName) -> bool:
        """Whether the truth is known, and a machine's mask is compared with it."""
        return key not in frame.unknown and not frame.tracks.get(self.pairs.get(key, key), False)

    def _best(self, objects: list[ObjectName], tracks: list[ObjectName]) -> dict[ObjectName, ObjectName]:
        table = np.zeros((len(objects), len(tracks)))
        for frame in self._frames.values():
            for (one, two), overlap in frame.overlaps.items():
                table[objects.index(one), tracks.index(two)] += overlap
        rows, columns = linear_sum_assignment(table, maximize=True)
        return {objects[r]: tracks[c] for r, c in zip(rows, columns, strict=True) if table[r, c] > 0}

    def result(self, boundaries: dict[tuple[int, ObjectName], float], unscored: tuple[str, ...]) -> ClipScore:
        """The scores, from F of each scored frame and object."""
        values: dict[ObjectName, list[tuple[float, float]]] = {}
        frames: dict[int, float] = {}
        for number, keys in self.scored.items():
            here = [(self._region(self._frames[number], key), boundaries[number, key]) for key in keys]
            frames[number] = fmean((j + f) / 2 for j, f in here)
            for key, pair in zip(keys, here, strict=True):
                values.setdefault(key, []).append(pair)
        objects = {
            str(key): ObjectScore(fmean(j for j, _ in pairs), fmean(f for _, f in pairs), len(pairs))
            for key, pairs in sorted(values.items(), key=lambda pair: pair[0].order)
        }
        return ClipScore(objects, frames, *self._identity(), unscored)

    def _region(self, frame: _Frame, key: ObjectName) -> float:
        track = self.pairs.get(key)
        if key not in frame.truth and track not in frame.tracks:
            return 1.0
        return frame.overlaps.get((key, track), 0.0) if track is not None else 0.0

    def _identity(self) -> tuple[int, int, int]:
        covered = own = switches = 0
        last: dict[ObjectName, ObjectName] = {}
        for number, keys in self.scored.items():
            frame = self._frames[number]
            for key in keys:
                over = {track: overlap for (one, track), overlap in frame.overlaps.items() if one == key}
                track = max(over, key=lambda t: over[t], default=None)
                if track is None or over[track] < MATCH:
                    continue
                covered += 1
                own += track == self.pairs.get(key)
                switches += last.get(key, track) != track
                last[key] = track
        return covered, own, switches
