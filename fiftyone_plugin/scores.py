"""Scores of tracked objects over the frames of a video, as tables and as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np
import numpy.typing as npt

COLUMNS = 2000
"""Most columns of a picture; longer videos show the worst score of every few frames."""
SCALE = [[0.0, "#b2182b"], [0.5, "#f4a582"], [0.75, "#d1e5f0"], [1.0, "#2166ac"]]
"""From low to high; also told apart by those who do not see red and green."""


@dataclass(frozen=True)
class Timeline:
    """What one field says about one video.

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
        """Frames of the video; columns are its frames from 1 on."""
        return int(self.scores.shape[1])

    def doubtful(self, below: float) -> int:
        """Number of frames in which some object scores lower."""
        return int((np.nan_to_num(self.scores, nan=1.0) < below).any(axis=0).sum())


def track_fields(dataset: fo.Dataset) -> list[str]:
    """Frame fields that can hold tracks, those that this plugin wrote first."""
    if dataset.media_type != "video":
        return []
    schema = dataset.get_frame_field_schema(flat=True)
    fields = dataset.get_frame_field_schema(embedded_doc_type=fo.Detections)
    return sorted(fields, key=lambda name: (f"{name}.run" not in schema, name))


def read_timeline(dataset: fo.Dataset, sample_id: str, field: str) -> Timeline:
    """Read the scores of one video, without its masks; objects without an index are left out.

    Args:
        dataset: with videos.
        sample_id: of the video.
        field: frame field of detections, without `frames.`.
    """
    view = dataset.select(sample_id)
    parts = [f"detections.{name}" for name in ("index", "label", "confidence", "keyframe")] + ["lost"]
    paths = [f"frames.{field}.{part}" for part in parts]
    numbers = view.values("frames.frame_number")[0]
    columns = [view.values(path)[0] if view.has_field(path) else [None] * len(numbers) for path in paths]
    metadata = view.values("metadata.total_frame_count")[0]
    total = max([metadata or 0, 1, *numbers])
    names: dict[int, str] = {}
    found: list[tuple[int, int, float, bool]] = []
    absent: list[tuple[int, int]] = []
    for number, index, label, score, keyframe, lost in zip(numbers, *columns, strict=True):
        for i, name, value, human in _labels(index, label, score, keyframe):
            names[i] = f"{name} {i}"
            found.append((i, number - 1, 1.0 if value is None else value, bool(human)))
        absent += [(i, number - 1) for i in lost or ()]
    return _arranged(names, found, absent, total)


def _labels(*columns: list[Any] | None) -> list[tuple[Any, ...]]:
    """The labels of a frame that have an index."""
    size = len(columns[0] or ())
    return [row for row in zip(*(column or [None] * size for column in columns), strict=True) if row[0] is not None]


def _arranged(
    names: dict[int, str], found: list[tuple[int, int, float, bool]], absent: list[tuple[int, int]], total: int
) -> Timeline:
    rows = {index: row for row, index in enumerate(sorted(names))}
    scores = np.full((len(rows), total), np.nan)
    human = np.zeros((len(rows), total), np.bool_)
    for index, frame in absent:
        if index in rows:
            scores[rows[index], frame] = 0.0
    for index, frame, score, keyframe in found:
        scores[rows[index], frame] = score
        human[rows[index], frame] = keyframe
    return Timeline(tuple(names[index] for index in rows), scores, human)


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
