"""Which frames to look at: where the tracker itself has doubts, worst first, as a saved view.

Of videos, frames that follow each other make one entry, a clip that opens where it begins; of images, each is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from agss_model.errors import AgssError
from agss_model.tracking.quality import ANOTHER, DISAGREE, EVENTS, JUMP, LOST
from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.columns import read_columns
from fiftyone_plugin.data.database import guarded
from fiftyone_plugin.data.fields import Field
from fiftyone_plugin.data.identity import ABSENT, IDENTITY, ObjectName, ObjectNames, lost_in

JUDGED = ("confidence", "keyframe", "reasons")
LOW = "low score"
DOUBTS = (LOST, JUMP, ANOTHER, DISAGREE, *EVENTS)
"""Reasons that are enough by themselves, whatever the score; of events the frame in which they begin."""


@dataclass(frozen=True)
class Doubt:
    """One object in one frame that should be looked at.

    Attributes:
        frame: from 0.
        name: of the object.
        score: in [0, 1].
        reasons: in words.
    """

    frame: int
    name: str
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class QueueEntry:
    """Frames that follow each other.

    Attributes:
        first: from 0.
        last: from 0.
        worst: the frame with the lowest score.
        score: that score.
        reason: what is wrong, with the names of the objects.
    """

    first: int
    last: int
    worst: int
    score: float
    reason: str


def doubts(collection: SampleCollection, clip: Clip, field: Field, threshold: float) -> list[Doubt]:
    """What to look at in one clip, in the order of frames; masks are not read.

    Args:
        collection: where the clip is, without filters.
        clip: which frames.
        field: with tracks.
        threshold: scores below it are doubtful.
    """
    names = ObjectNames.read(collection, clip, field)
    seen: dict[ObjectName, None] = {}
    found: list[Doubt] = []
    absent: list[tuple[int, list[list[Any]]]] = []
    before: dict[ObjectName, set[str]] = {}
    for number, labels, lists in read_columns(collection, clip, field, (*IDENTITY, *JUDGED), ABSENT):
        for instance, kind, index, confidence, keyframe, reasons in labels:
            name, score = names.name(instance, kind, index), 1.0 if confidence is None else confidence
            seen[name] = None
            going_on = before.get(name, set()) & set(EVENTS)
            before[name] = set(reasons or ())
            new = tuple(reason for reason in reasons or () if reason not in going_on)
            if not keyframe and (why := _why(score, new, threshold)):
                found.append(Doubt(number, str(name), score, why))
        absent.append((number, lists))
    for number, lists in absent:
        for lost, jump in lost_in(lists, seen):
            found.append(Doubt(number, lost, 0.0, (LOST, JUMP) if jump else (LOST,)))
    return sorted(found, key=lambda doubt: (doubt.frame, doubt.score))


def _why(score: float, reasons: tuple[str, ...], threshold: float) -> tuple[str, ...]:
    if score < threshold:
        return reasons or (LOW,)
    return tuple(reason for reason in reasons if reason in DOUBTS)


def entries(found: list[Doubt], *, joined: bool) -> list[QueueEntry]:
    """Doubts as entries of the queue, in the order of frames.

    Args:
        found: in the order of frames.
        joined: make one entry of frames that follow each other.
    """
    by_frame = {number: list(group) for number, group in groupby(found, key=lambda doubt: doubt.frame)}
    runs: list[list[int]] = []
    for number in by_frame:
        if joined and runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [_entry(numbers, [doubt for number in numbers for doubt in by_frame[number]]) for numbers in runs]


def _entry(numbers: list[int], found: list[Doubt]) -> QueueEntry:
    worst = min(found, key=lambda doubt: doubt.score)
    why: dict[str, list[str]] = {}
    for doubt in sorted(found, key=lambda doubt: doubt.score):
        names = why.setdefault(" and ".join(doubt.reasons), [])
        if doubt.name not in names:
            names.append(doubt.name)
    reason = "; ".join(f"{reasons}: {', '.join(names)}" for reasons, names in why.items())
    return QueueEntry(numbers[0], numbers[-1], worst.frame, worst.score, reason)


def review_field(field: Field) -> str:
    """Name of the field of samples that holds the queue."""
    return f"{field.name}_review"


def check_review_field(dataset: fo.Dataset, name: str) -> None:
    """Refuse to overwrite what is no queue.

    Raises:
        AgssError: the field exists and holds something else.
    """
    known = dataset.get_field_schema().get(name)
    kind = getattr(known, "document_type", None)
    if known is not None and kind not in (fo.TemporalDetections, fo.Classification):
        raise AgssError(f"field {name!r} holds something else than a review queue; rename it and try again.")


def write_queue(dataset: SampleCollection, name: str, queue: dict[Clip, list[QueueEntry]]) -> None:
    """Put the entries on their samples, in place of those of an earlier queue.

    Args:
        dataset: without filters.
        name: of the field.
        queue: entries by clip; clips without entries lose theirs.

    Raises:
        DatabaseError: the database cannot be written.
    """
    values: dict[str, fo.TemporalDetections | fo.Classification | None] = {}
    for clip, found in queue.items():
        if clip.is_video:
            here = values.setdefault(clip.key, None)
            if found:
                earlier = here.detections if here is not None else []  # of another part of the video
                values[clip.key] = fo.TemporalDetections(detections=[*earlier, *map(_event, found)])
            continue
        values |= dict.fromkeys(clip.samples)
        values |= {clip.samples[e.first]: fo.Classification(label=e.reason, confidence=e.score) for e in found}
    kind = fo.TemporalDetections if next(iter(queue)).is_video else fo.Classification
    root = dataset._dataset
    if name not in root.get_field_schema():
        guarded(lambda: root.add_sample_field(name, fo.EmbeddedDocumentField, embedded_doc_type=kind))
    guarded(lambda: dataset.set_values(name, values, key_field="id"))


def _event(entry: QueueEntry) -> fo.TemporalDetection:
    event = fo.TemporalDetection(label=entry.reason, support=[entry.first + 1, entry.last + 1], confidence=entry.score)
    event["worst_frame"] = entry.worst + 1
    return event


def queue_view(collection: SampleCollection, name: str, is_video: bool, limit: int) -> SampleCollection:
    """The entries as a view, worst first."""
    view = collection.to_clips(name) if is_video else collection.exists(name)
    return view.sort_by(f"{name}.confidence").limit(limit)
