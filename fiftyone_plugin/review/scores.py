"""Scores of tracked objects over the frames of a clip, as tables and as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np
import numpy.typing as npt
from fiftyone.core.collections import SampleCollection

from fiftyone_plugin.data.authorship import PLACE, Authors
from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.collections import every_slice, flat
from fiftyone_plugin.data.columns import read_columns
from fiftyone_plugin.data.fields import Field
from fiftyone_plugin.data.identity import ABSENT, ObjectName, ObjectNames, lost_in

COLUMNS = 2000
"""Most columns of a picture; longer clips show the worst score of every few frames."""
SCALE = [[0.0, "#b2182b"], [0.5, "#f4a582"], [0.75, "#d1e5f0"], [1.0, "#2166ac"]]
"""From low to high; also told apart by those who do not see red and green."""


@dataclass(frozen=True)
class Timeline:
    """What one field says about one clip.

    Attributes:
        names: of the objects, such as `person 3`, in the order of their indexes.
        scores: (objects, frames) float in [0, 1]; 0 where an object is lost, NaN where it is not tracked.
        human: (objects, frames) bool, drawn by a human.
    """

    names: tuple[str, ...]
    scores: npt.NDArray[np.float64]
    human: npt.NDArray[np.bool_]

    @property
    def frames(self) -> int:
        """Frames of the clip; columns are its frames from 1 on."""
        return int(self.scores.shape[1])

    def doubtful(self, below: float) -> int:
        """Number of frames in which some object scores lower."""
        return int((np.nan_to_num(self.scores, nan=1.0) < below).any(axis=0).sum())


def track_fields(dataset: fo.Dataset) -> list[str]:
    """Fields of the frames of videos, or of images, that can hold tracks; those that this plugin wrote first.

    Of a grouped dataset those of the active slice, and where that is of images without any, those of the videos.
    """
    found = _fields(flat(dataset))
    if not found and dataset.media_type == "group" and "video" in dataset.group_media_types.values():
        found = _fields(every_slice(dataset, "video"))
    return found


def _fields(collection: SampleCollection) -> list[str]:
    if collection.media_type not in ("video", "image"):
        return []
    of_frames = collection.media_type == "video"
    schema = collection.get_frame_field_schema if of_frames else collection.get_field_schema
    known = schema(flat=True)
    return sorted(schema(embedded_doc_type=fo.Detections), key=lambda name: (f"{name}.run" not in known, name))


def read_timeline(collection: SampleCollection, clip: Clip, field: Field) -> Timeline:
    """Read the scores of one clip, without its masks; objects without an index are left out.

    Args:
        collection: where the clip is, without filters.
        clip: a video, or images in order.
        field: of detections.
    """
    names, authors = ObjectNames.read(collection, clip, field), Authors.read(collection, clip, field)
    found: list[tuple[ObjectName, int, float, bool]] = []
    absent: list[tuple[int, list[list[Any]]]] = []
    frames = _frames(collection, clip)
    for number, labels, lists in read_columns(collection, clip, field, (*PLACE, "confidence"), ABSENT):
        frames = max(frames, number + 1)
        for *place, score in labels:
            human, instance, kind, index, _ = place
            name = names.name(instance, kind, index)
            if name.index is not None and not (score is None and authors.fills(number, *place)):
                found.append((name, number, 1.0 if score is None else score, bool(human)))
        absent.append((number, lists))
    return _arranged(found, absent, frames)


def _frames(collection: SampleCollection, clip: Clip) -> int:
    """How many there are, as far as it is known without opening a video."""
    if not clip.is_video:
        return len(clip.samples)
    return max(1, collection.select(clip.key).values("metadata.total_frame_count")[0] or 0)


def _arranged(
    found: list[tuple[ObjectName, int, float, bool]], absent: list[tuple[int, list[list[Any]]]], total: int
) -> Timeline:
    seen = sorted({name for name, *_ in found}, key=lambda name: name.order)
    rows = {str(name): row for row, name in enumerate(seen)}
    scores = np.full((len(rows), total), np.nan)
    human = np.zeros((len(rows), total), np.bool_)
    for frame, lists in absent:
        for lost, _ in lost_in(lists, seen):
            if lost in rows:
                scores[rows[lost], frame] = 0.0
    for name, frame, score, keyframe in found:
        scores[rows[str(name)], frame] = score
        human[rows[str(name)], frame] = keyframe
    return Timeline(tuple(rows), scores, human)


def traces(timeline: Timeline) -> list[dict[str, Any]]:
    """The timeline as Plotly traces: objects by frames, coloured by score; diamonds where a human drew."""
    step = -(-timeline.frames // COLUMNS)
    starts = np.arange(0, timeline.frames, step)
    worst = np.fmin.reduceat(timeline.scores, starts, axis=1)
    rows, columns = np.nonzero(timeline.human)
    names = list(timeline.names)
    heat = {
        "type": "heatmap",
        "x": (starts + 1).tolist(),
        "y": names,
        "z": [[None if np.isnan(value) else round(float(value), 3) for value in row] for row in worst],
        "zmin": 0,
        "zmax": 1,
        "colorscale": SCALE,
        "colorbar": {"title": {"text": "score"}, "thickness": 10, "tickvals": [0, 0.5, 1]},
        "ygap": 4,
        "hoverongaps": False,
        "hovertemplate": "%{y}, frame %{x}: %{z}<extra></extra>",
    }
    marks = {
        "type": "scatter",
        "mode": "markers",
        "x": (columns + 1).tolist(),
        "y": [names[row] for row in rows],
        "marker": {"symbol": "diamond", "size": 9, "color": "#ffffff", "line": {"color": "#000000", "width": 1}},
        "hovertemplate": "%{y}, frame %{x}: drawn by a human<extra></extra>",
        "showlegend": False,
    }
    return [heat, marks]
