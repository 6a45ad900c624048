"""J, F and J&F of tracked fields against a ground truth, and whether objects keep their identity.

An object is scored over the frames with ground truth from its first appearance on, but not where its mask was drawn by
a human (`keyframe`). It is compared with the track of the same name (`fiftyone_plugin.data.identity`); where not one
track has the identity of an object, with the tracks that fit best over the whole clip, one for each object. Either way
one track is compared with one object, so that an exchange of two objects costs. Tracks without an object are ignored,
as the benchmarks do. What the App filled in around keyframes is neither truth nor track.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import fiftyone as fo
import numpy as np
from fiftyone.core.collections import SampleCollection
from scipy.optimize import linear_sum_assignment

from agss_model.errors import AgssError
from agss_model.evaluation import ObjectScore, boundary_f, region_similarity
from agss_model.masks.labels import BoolMask
from fiftyone_plugin.data.authorship import Authors
from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.fields import Field
from fiftyone_plugin.data.identity import Name, Names
from fiftyone_plugin.data.labels import Label, decode_label
from fiftyone_plugin.data.reading import Container, labels_in, read_values

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
    """

    objects: dict[str, ObjectScore]
    frames: dict[int, float]
    covered: int
    own: int
    switches: int

    @property
    def JF(self) -> float:
        """J&F, the mean over the objects."""
        return fmean(score.JF for score in self.objects.values())


@dataclass
class Evaluation:
    """A collection.

    Attributes:
        clips: by the sample that names the clip.
        names: of the clips.
        bare: names of clips without anything to score.
        failed: names of clips that could not be read, and why.
    """

    clips: dict[str, ClipScore] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    bare: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def mean(self, measure: str) -> float:
        """Mean of `J`, `F` or `JF` over all objects of all clips, each object counting the same.

        Raises:
            AgssError: nothing was scored.
        """
        values = [getattr(score, measure) for clip in self.clips.values() for score in clip.objects.values()]
        if not values:
            reasons = "".join(f" {name}: {reason}" for name, reason in self.failed.items())
            raise AgssError(f"there is no frame to score: no ground truth on frames that were tracked.{reasons}")
        return fmean(values)

    @property
    def identity(self) -> float:
        """Share of the tracks on objects that are the object's own, in [0, 1]; 0 where there is no track."""
        covered = sum(clip.covered for clip in self.clips.values())
        return sum(clip.own for clip in self.clips.values()) / covered if covered else 0.0

    @property
    def switches(self) -> int:
        """How often the track on an object became another one."""
        return sum(clip.switches for clip in self.clips.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the whole, each clip, each object."""
        table = [
            {
                "clip": self.names[key],
                "sample": key,
                "JF": clip.JF,
                "identity": clip.own / clip.covered if clip.covered else 0.0,
                "switches": clip.switches,
                "objects": {
                    name: {"J": score.J, "F": score.F, "JF": score.JF, "frames": score.frames}
                    for name, score in clip.objects.items()
                },
            }
            for key, clip in self.clips.items()
        ]
        means = {measure: self.mean(measure) for measure in ("J", "F", "JF")}
        rest = {"clips": table, "bare": self.bare, "failed": self.failed}
        return {**means, "identity": self.identity, "switches": self.switches, **rest}


@dataclass
class _Frame:
    """What is remembered of one frame with ground truth.

    Attributes:
        truth: objects in it.
        tracks: tracks in it, and whether a human drew them.
        overlaps: J of each pair that touches.
        unknown: objects that may be anywhere.
    """

    truth: set[Name]
    tracks: dict[Name, bool]
    overlaps: dict[tuple[Name, Name], float]
    unknown: set[Name]


def evaluate_clip(collection: SampleCollection, clip: Clip, predicted: Field, truth: Field) -> ClipScore | None:
    """Score one clip; None where there is nothing to score.

    Raises:
        AgssError: the clip or a mask cannot be read.
    """
    with clip.open() as source:
        size = source.size
    reader = _Reader(collection, clip, truth, predicted)
    frames = {
        number: _frame(reader.read(number, true, found), size)
        for number, (true, found) in read_values(collection, clip, truth, predicted)
        if true is not None
    }
    scorer = _Scorer(frames)
    if not scorer.scored:
        return None
    boundaries: dict[tuple[int, Name], float] = {}
    for number, (true, found) in read_values(collection, clip, truth, predicted):
        if not (keys := scorer.scored.get(number, [])):
            continue
        read = reader.read(number, true, found)
        masks, tracks, empty = _masks(read.true, size), _masks(read.found, size), np.zeros(size[::-1], np.bool_)
        for key in keys:
            track = tracks.get(scorer.pairs.get(key, key), empty)
            boundaries[number, key] = boundary_f(track, masks.get(key, empty))
    return scorer.result(boundaries)


@dataclass(frozen=True)
class _Read:
    """The labels of one frame that count, with their names.

    Attributes:
        true: of the ground truth.
        found: tracks.
        unknown: objects of which the ground truth only has what the App filled in.
        human: tracks that a person drew.
    """

    true: list[tuple[Name, Label]]
    found: list[tuple[Name, Label]]
    unknown: set[Name]
    human: set[Name]


class _Reader:
    """Tells whose the labels of either field are."""

    def __init__(self, collection: SampleCollection, clip: Clip, truth: Field, predicted: Field) -> None:
        self._truth, self._predicted = (Authors.read(collection, clip, field) for field in (truth, predicted))
        self._names = Names.read(collection, clip, predicted, truth)

    def read(self, number: int, true: Container, found: Container) -> _Read:
        """Those that count."""
        given = [(self._names.of(label), label) for label in labels_in(true)]
        filled = {label.id for _, label in given if self._truth.filled(number, label)}
        tracks = [(self._names.of(x), x) for x in labels_in(found) if not self._predicted.filled(number, x)]
        return _Read(
            [(name, label) for name, label in given if label.id not in filled],
            tracks,
            {name for name, label in given if label.id in filled},
            {name for name, label in tracks if self._predicted.amended(number, label)},
        )


def _masks(labels: Iterable[tuple[Name, Label]], size: tuple[int, int]) -> dict[Name, BoolMask]:
    found: dict[Name, BoolMask] = {}
    for name, label in labels:
        mask = decode_label(label, *size)
        found[name] = found[name] | mask if name in found else mask
    return found


def _frame(read: _Read, size: tuple[int, int]) -> _Frame:
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

    def __init__(self, frames: dict[int, _Frame]) -> None:
        self._frames = dict(sorted(frames.items()))
        first: dict[Name, int] = {}
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
            if (keys := [k for k in first if first[k] <= number and self._counts(frame, k)])
        }

    def _counts(self, frame: _Frame, key: Name) -> bool:
        """Whether the truth is known, and a machine's mask is compared with it."""
        return key not in frame.unknown and not frame.tracks.get(self.pairs.get(key, key), False)

    def _best(self, objects: list[Name], tracks: list[Name]) -> dict[Name, Name]:
        table = np.zeros((len(objects), len(tracks)))
        for frame in self._frames.values():
            for (one, two), overlap in frame.overlaps.items():
                table[objects.index(one), tracks.index(two)] += overlap
        rows, columns = linear_sum_assignment(table, maximize=True)
        return {objects[r]: tracks[c] for r, c in zip(rows, columns, strict=True) if table[r, c] > 0}

    def result(self, boundaries: dict[tuple[int, Name], float]) -> ClipScore:
        """The scores, from F of each scored frame and object."""
        values: dict[Name, list[tuple[float, float]]] = {}
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
        return ClipScore(objects, frames, *self._identity())

    def _region(self, frame: _Frame, key: Name) -> float:
        track = self.pairs.get(key)
        if key not in frame.truth and track not in frame.tracks:
            return 1.0
        return frame.overlaps.get((key, track), 0.0) if track is not None else 0.0

    def _identity(self) -> tuple[int, int, int]:
        covered = own = switches = 0
        last: dict[Name, Name] = {}
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


class EvaluationRun:
    """Scores clip by clip when iterated; gives the share that is done and the clip's name."""

    def __init__(self, collection: SampleCollection, clips: list[Clip], predicted: Field, truth: Field) -> None:
        """Nothing is read yet; `collection` holds the clips, without filters."""
        self._collection, self._clips, self._predicted, self._truth = collection, clips, predicted, truth
        self.evaluation = Evaluation()

    def __iter__(self) -> Iterator[tuple[float, str]]:
        """Score; a clip that cannot be read does not stop the others."""
        for place, clip in enumerate(self._clips):
            yield place / len(self._clips), clip.name
            try:
                score = evaluate_clip(self._collection, clip, self._predicted, self._truth)
            except AgssError as error:
                self.evaluation.failed[f"{clip.name} (sample {clip.key})"] = str(error)
                continue
            if score is None:
                self.evaluation.bare.append(clip.name)
            else:
                self.evaluation.clips[clip.key] = score
                self.evaluation.names[clip.key] = clip.name


def write_scores(collection: SampleCollection, clips: list[Clip], evaluation: Evaluation, name: str) -> None:
    """J&F as fields: of each scored frame, and of each clip on the sample of its video.

    Args:
        collection: without filters.
        clips: that were scored.
        evaluation: the scores.
        name: of the fields.
    """
    of_videos: dict[str, float] = {}
    of_frames: dict[str, dict[int, float]] = {}
    of_images: dict[str, float] = {}
    for clip in clips:
        score = evaluation.clips.get(clip.key)
        if score is None:
            continue
        if clip.is_video:
            of_videos[clip.key] = score.JF
            of_frames[clip.key] = {number + 1: value for number, value in score.frames.items()}
        else:
            of_images |= {clip.samples[number]: value for number, value in score.frames.items()}
    root = collection._dataset
    if of_videos or of_images:
        root.add_sample_field(name, fo.FloatField)
        collection.set_values(name, of_videos or of_images, key_field="id")
    if of_frames:
        root.add_frame_field(name, fo.FloatField)
        collection.set_values(f"frames.{name}", of_frames, key_field="id")
