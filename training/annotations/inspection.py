"""What is in a source of annotated videos: numbers, problems, and a sheet to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from agss_model.cvat import Include, Problem
from agss_model.errors import AgssError
from agss_model.masks.labels import object_ids
from agss_model.masks.overlay import Image, draw_overlay
from training.annotations.catalog import Catalog
from training.annotations.videos import TeamVideo, check_size

LONG_GAP = 100  # frames without truth that are worth a word
SHEET_WIDTH, SHEET_COLUMNS = 320, 5


@dataclass(frozen=True)
class VideoReport:
    """What is known about one video.

    Attributes:
        name: of the video.
        origin: where it comes from.
        size: width and height, pixels.
        frames: of the video.
        annotated: frames with truth.
        interpolated: frames that have masks only by interpolation.
        predicted: frames that have masks only by prediction.
        objects: ids with their labels.
        masks: in annotated frames.
        areas: smallest, middle and largest mask as a share of the frame, None where there is none.
        problems: to look at.
    """

    name: str
    origin: str
    size: tuple[int, int]
    frames: int
    annotated: tuple[int, ...]
    interpolated: int
    predicted: int
    objects: dict[int, str]
    masks: int
    areas: tuple[float, float, float] | None
    problems: tuple[Problem, ...]


def inspect(video: TeamVideo, include: Include = "human") -> VideoReport:
    """Read every mask of a video once."""
    annotated = tuple(index for index in video.truth.frames(include) if index not in video.deleted)
    problems = list(video.truth.problems)
    areas: list[float] = []
    seen: dict[int, list[int]] = {}
    for index in annotated:
        try:
            labels = video.truth.label_map(index, include)
        except AgssError as error:
            problems.append(Problem("damaged", str(error)))
            continue
        for object_id in object_ids(labels):
            areas.append(float((labels == object_id).mean()))
            seen.setdefault(object_id, []).append(index)
    problems += _gaps(annotated, seen, video)
    problems += _frames_fit(video)
    spread = None if not areas else (min(areas), float(np.median(areas)), max(areas))
    drawn = set(video.truth.frames("human"))
    between = set(video.truth.frames("interpolated"))
    return VideoReport(
        name=video.name,
        origin=video.origin,
        size=(video.truth.width, video.truth.height),
        frames=video.truth.frame_count,
        annotated=annotated,
        interpolated=len(between - drawn),
        predicted=len(set(video.truth.frames("all")) - between),
        objects={object_id: video.labels.get(object_id, "") for object_id in sorted(seen)},
        masks=len(areas),
        areas=spread,
        problems=tuple(problems),
    )


def _gaps(annotated: Sequence[int], seen: dict[int, list[int]], video: TeamVideo) -> list[Problem]:
    problems = []
    if not annotated:
        problems.append(Problem("no truth", "no frame was touched by a human; see --include"))
    if len(annotated) == 1:
        problems.append(Problem("gap", "only one frame is annotated; clips need two"))
    problems += [
        Problem("gap", f"nothing is annotated between frames {left} and {right}")
        for left, right in pairwise(annotated)
        if right - left > LONG_GAP
    ]
    problems += [
        Problem("single", f"object {object_id} has a mask in frame {frames[0]} only and cannot be learned to track")
        for object_id, frames in sorted(seen.items())
        if len(frames) == 1 and len(annotated) > 1
    ]
    return problems


def _frames_fit(video: TeamVideo) -> list[Problem]:
    """Whether the frames are there and of the right size; asked once here, so that a long run does not stumble."""
    try:
        with video.open() as frames:
            check_size(video.name, frames, video.truth)
            frames.read(video.truth.frame_count - 1)
    except AgssError as error:
        return [Problem("frames", str(error))]
    return []


def contact_sheet(catalog: Catalog, include: Include = "human") -> Image:
    """A row a video: some of its annotated frames with their masks, names and numbers written in.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    rows = [_row(video, include) for video in catalog.videos]
    return np.vstack([row for row in rows if row is not None] or [np.zeros((1, SHEET_WIDTH, 3), np.uint8)])


def _row(video: TeamVideo, include: Include) -> Image | None:
    annotated = [index for index in video.truth.frames(include) if index not in video.deleted]
    if not annotated:
        return None
    places = np.linspace(0, len(annotated) - 1, min(SHEET_COLUMNS, len(annotated))).round().astype(int)
    height = max(1, round(video.truth.height * SHEET_WIDTH / video.truth.width))
    row: Image = np.full((height, SHEET_WIDTH * SHEET_COLUMNS, 3), 255, np.uint8)
    with video.open() as frames:
        for column, index in enumerate(annotated[place] for place in dict.fromkeys(places.tolist())):
            drawn = draw_overlay(frames.read(index), video.truth.label_map(index, include))
            small = cv2.resize(drawn, (SHEET_WIDTH, height), interpolation=cv2.INTER_AREA)
            text = f"{video.name} {index}" if column == 0 else str(index)
            cv2.rectangle(small, (0, height - 18), (10 + 8 * len(text), height), (0, 0, 0), cv2.FILLED)
            cv2.putText(small, text, (4, height - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
            row[:, column * SHEET_WIDTH : (column + 1) * SHEET_WIDTH] = small
    return row
