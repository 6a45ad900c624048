"""Masks and annotation files that `agss track` takes, with the clip they were drawn on, as a team's videos."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from agss_model.cvat import Include, Problem
from agss_model.errors import MediaError
from agss_model.masks.labels import LabelMap, object_ids
from agss_model.runs.given.keyframes import Keyframes, read_keyframes
from agss_model.video import open_source
from training.annotations.videos import TeamVideo

KNOWN = "masks, COCO or Datumaro JSON, LabelMe JSON, YOLO outlines, each written FILE::CLIP or FOLDER::CLIP"


def read_drawn_video(path: Path, media: Path) -> list[TeamVideo]:
    """The one video of what `agss track` takes as masks.

    Args:
        path: the file or folder.
        media: the clip.

    Raises:
        MediaError: damaged, of another format, or it has boxes, from which nothing exact can be learned.
        MaskError: nothing is drawn, or nobody can tell which object is which.
    """
    with open_source(media) as source:
        drawn = read_keyframes(path, source)
        width, height = source.size
        count = len(source)
    if drawn.boxes:
        raise MediaError(f"{path} has {drawn.boxes} boxes; training needs masks or outlines of every object")
    truth = DrawnTruth(drawn, width, height, count, tuple(Problem("drawn", note) for note in drawn.doubtful))
    return [TeamVideo(media.stem, f"{path}::{media}", truth, lambda: open_source(media), drawn.labels)]


@dataclass(frozen=True)
class DrawnTruth:
    """What was drawn in a clip, a `Truth`; all of it counts as drawn by a human."""

    drawn: Keyframes
    width: int
    height: int
    frame_count: int
    problems: tuple[Problem, ...] = field(default=())

    def frames(self, include: Include = "human") -> tuple[int, ...]:
        """See `Truth`."""
        return tuple(sorted(self.drawn.label_maps.keys() | self.drawn.absent.keys()))

    def known(self, index: int, include: Include = "human") -> tuple[int, ...]:
        """See `Truth`: what is drawn, and what is said to be absent."""
        shown = object_ids(self.drawn.label_maps[index]) if index in self.drawn.label_maps else ()
        return tuple(sorted({*shown, *self.drawn.absent.get(index, ())}))

    def label_map(self, index: int, include: Include = "human") -> LabelMap:
        """See `Truth`."""
        found = self.drawn.label_maps.get(index)
        return np.zeros((self.height, self.width), np.uint8) if found is None else found
