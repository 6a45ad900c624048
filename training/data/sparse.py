"""Clips out of videos in which only some frames, and of these maybe only some objects, are annotated.

A clip starts at an annotated frame and ends at another; the frames between them are spread evenly and need no truth.
The loss is taken only where something is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch

from agss_model.errors import MaskError, MediaError
from agss_model.evaluation.layouts import Sequence as Annotated
from agss_model.evaluation.layouts import open_dataset
from agss_model.masks.labels import LabelMap
from agss_model.video.images import read_image
from agss_model.video.source import Image
from training.data.clips import Clips, ClipShape, join
from training.data.known import Known, read_known
from training.data.tint import tint
from training.data.video_config import VideoConfig

ATTEMPTS = 40
FURTHEST = 12  # frames of the video per frame of the clip, within which its end is chosen


class SparseVideo(Protocol):
    """A video with some annotated frames."""

    @property
    def name(self) -> str:
        """Name of the video, for messages."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the frames that are there, ascending; there may be holes."""

    @property
    def annotated(self) -> tuple[int, ...]:
        """Numbers of the annotated frames, ascending."""

    def picture(self, number: int) -> Image:
        """A frame."""

    def truth(self, number: int) -> tuple[npt.NDArray[Any], frozenset[int] | None]:
        """Label map of an annotated frame, and the ids known there, None for all."""


@dataclass(frozen=True)
class VideoOfFiles:
    """A `SparseVideo` of a prepared folder.

    Attributes:
        files: by frame number.
        sequence: files and masks.
        places: position in `sequence` by frame number.
        annotated: see `SparseVideo`.
        known: ids by name of frame, where not all are known.
    """

    files: Mapping[int, Path]
    sequence: Annotated
    places: Mapping[int, int]
    annotated: tuple[int, ...]
    known: Known

    @property
    def name(self) -> str:
        """See `SparseVideo`."""
        return self.sequence.name

    @property
    def numbers(self) -> tuple[int, ...]:
        """See `SparseVideo`."""
        return tuple(sorted(self.files))

    def picture(self, number: int) -> Image:
        """See `SparseVideo`."""
        return read_image(self.files[number])

    def truth(self, number: int) -> tuple[npt.NDArray[Any], frozenset[int] | None]:
        """See `SparseVideo`."""
        place = self.places[number]
        return self.sequence.truth_and_void(place)[0], self.known.get(self.sequence.frames[place].stem)


@dataclass(frozen=True)
class VideoInMemory:
    """A `SparseVideo` that is held as a whole.

    Attributes:
        name: see `SparseVideo`.
        pictures: by frame number.
        label_maps: by frame number, of some of them.
        known: ids by frame number, where not all are known.
    """

    name: str
    pictures: Mapping[int, Image]
    label_maps: Mapping[int, LabelMap]
    known: Mapping[int, frozenset[int]] = field(default_factory=dict)

    @property
    def numbers(self) -> tuple[int, ...]:
        """See `SparseVideo`."""
        return tuple(sorted(self.pictures))

    @property
    def annotated(self) -> tuple[int, ...]:
        """See `SparseVideo`."""
        return tuple(sorted(self.label_maps))

    def picture(self, number: int) -> Image:
        """See `SparseVideo`."""
        return self.pictures[number]

    def truth(self, number: int) -> tuple[npt.NDArray[Any], frozenset[int] | None]:
        """See `SparseVideo`."""
        return self.label_maps[number], self.known.get(number)


def open_sparse(root: Path) -> list[VideoOfFiles]:
    """Videos with at least two annotated frames of a folder that `training.annotations.prepare` wrote.

    Raises:
        MediaError: a frame is not named after its number, or nothing usable is there.
    """
    known = read_known(root)
    videos = [_video(sequence, known.get(sequence.name, {})) for sequence in open_dataset(root, "youtube-vos")]
    usable = [video for video in videos if len(video.annotated) >= 2]
    if not usable:
        raise MediaError(f"no video in {root} has two annotated frames")
    return usable


def _video(sequence: Annotated, known: Known) -> VideoOfFiles:
    if strange := [path for path in sequence.frames if not path.stem.isdecimal()]:
        raise MediaError(f"{strange[0]} is not named after the number of its frame")
    numbers = [int(path.stem) for path in sequence.frames]
    return VideoOfFiles(
        files=dict(zip(numbers, sequence.frames, strict=True)),
        sequence=sequence,
        places={number: place for place, number in enumerate(numbers)},
        annotated=tuple(sorted(numbers[place] for place in sequence.annotations)),
        known=known,
    )


class SparseClips:
    """Random clips of sparsely annotated videos; a `ClipSource`. Every video has the same chance."""

    def __init__(self, videos: Sequence[SparseVideo], config: VideoConfig) -> None:
        self.videos, self.config = list(videos), config

    def sample(self, shape: ClipShape, seed: int, device: str = "cpu") -> Clips:
        """Clips of a shape; the same seed gives the same clips.

        Raises:
            MediaError: too many clips in a row were unusable.
        """
        rng = np.random.default_rng(seed)
        return join([self._one(shape, rng) for _ in range(shape.batch)]).to(device)

    def _one(self, shape: ClipShape, rng: np.random.Generator) -> Clips:
        problem = ""
        for _ in range(ATTEMPTS):
            video = self.videos[int(rng.integers(len(self.videos)))]
            try:
                return self._cut(video, shape, rng)
            except MaskError as error:
                problem = f"{video.name}: {error}"
        raise MediaError(f"{ATTEMPTS} clips in a row could not be used; the last: {problem}")

    def _cut(self, video: SparseVideo, shape: ClipShape, rng: np.random.Generator) -> Clips:
        chosen = choose_frames(video, shape.frames, self.config, rng)
        truths = [video.truth(number) if number in video.annotated else None for number in chosen]
        first = truths[0]
        if first is None:
            raise MaskError(f"frame {chosen[0]} has no mask")
        crop = self._box(first[0], shape, rng)
        step = -1 if rng.random() < self.config.flip else 1
        pictures = [_fit(video.picture(number)[crop], shape, cv2.INTER_AREA)[:, ::step] for number in chosen]
        labels = [None if t is None else _fit(t[0][crop], shape, cv2.INTER_NEAREST)[:, ::step] for t in truths]
        told = [None if t is None else t[1] for t in truths]
        return self._clip(pictures, labels, told, rng)

    def _box(self, labels: npt.NDArray[Any], shape: ClipShape, rng: np.random.Generator) -> tuple[slice, slice]:
        """A part with the clip's proportions, between half and all of the largest, around an object of the frame."""
        height, width = labels.shape
        share = rng.uniform(0.5, 1.0) if rng.random() < 0.5 else 1.0
        largest = min(height / shape.height, width / shape.width) * share
        rows, columns = max(1, round(shape.height * largest)), max(1, round(shape.width * largest))
        ys, xs = np.nonzero(labels)
        if not len(ys):
            raise MaskError("no object in the first frame")
        centre = int(rng.integers(len(ys)))
        top = int(np.clip(ys[centre] - rng.uniform(0.2, 0.8) * rows, 0, height - rows))
        left = int(np.clip(xs[centre] - rng.uniform(0.2, 0.8) * columns, 0, width - columns))
        return slice(top, top + rows), slice(left, left + columns)

    def _clip(
        self,
        pictures: list[npt.NDArray[Any]],
        labels: list[npt.NDArray[Any] | None],
        told: list[frozenset[int] | None],
        rng: np.random.Generator,
    ) -> Clips:
        """One clip of the objects that the first frame shows."""
        first = labels[0] if labels[0] is not None else np.zeros((1, 1))
        smallest = self.config.minimum * first.size
        sizes = {int(i): int((first == i).sum()) for i in np.unique(first) if i}
        ids = [i for i, size in sizes.items() if size >= smallest]
        ids = sorted(rng.permutation(ids)[: self.config.max_objects].tolist())
        if not ids:
            raise MaskError("no object in the first frame is large enough")
        empty = np.zeros(first.shape, np.uint8)
        masks = np.stack([[(empty if part is None else part) == i for i in ids] for part in labels])
        known = np.array(
            [
                [part is not None and (ids_there is None or i in ids_there) for i in ids]
                for part, ids_there in zip(labels, told, strict=True)
            ]
        )
        if not known[1:].any():
            raise MaskError("nothing is known after the first frame")
        images = torch.from_numpy(np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2)))[None].float() / 255
        return Clips(
            tint(images, self.config.tint, torch.Generator().manual_seed(int(rng.integers(2**31)))),
            torch.from_numpy(masks)[None].float(),
            torch.zeros(1, len(ids), dtype=torch.int64),
            known=torch.from_numpy(known)[None],
        )


def choose_frames(video: SparseVideo, frames: int, config: VideoConfig, rng: np.random.Generator) -> list[int]:
    """Numbers of a clip's frames: from an annotated frame to another, evenly, maybe backwards.

    Args:
        video: with at least two annotated frames.
        frames: of the clip, at least 2.
        config: `reverse` is used.
        rng: random numbers.
    """
    forward = rng.random() >= config.reverse
    order = video.annotated if forward else video.annotated[::-1]
    start = int(rng.integers(len(order) - 1))
    reach = FURTHEST * (frames - 1)
    near = [number for number in order[start + 1 :] if abs(number - order[start]) <= reach]
    far = [number for number in near if abs(number - order[start]) >= frames - 1]
    ends = far or near or [order[start + 1]]
    end = ends[int(rng.integers(len(ends)))]
    available = np.array(video.numbers)
    wanted = np.linspace(order[start], end, frames)
    nearest = available[np.abs(available[None] - wanted[:, None]).argmin(1)]
    return [int(number) for number in nearest]


def _fit(picture: npt.NDArray[Any], shape: ClipShape, interpolation: int) -> npt.NDArray[Any]:
    if picture.shape[0] < shape.height and interpolation == cv2.INTER_AREA:
        interpolation = cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (shape.width, shape.height), interpolation=interpolation))
