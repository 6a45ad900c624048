"""Clips out of annotated videos (DAVIS and YouTube-VOS layouts), sampled as the paper does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence as ListOf
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from agss_model.errors import MaskError, MediaError
from agss_model.evaluation.layouts import Layout, Sequence, open_dataset, read_image_set
from agss_model.video.images import read_image
from training.data.clips import Clips, ClipShape, first_seen, join, pack
from training.data.evaluation_data import is_evaluation, refuse_evaluation_data, validation_names
from training.data.tint import tint
from training.data.video_config import VideoConfig

TRAIN_LISTS = ("ImageSets/2017/train.txt", "ImageSets/480p/train.txt", "ImageSets/2016/train.txt")
ATTEMPTS = 40
HELD = 2048
"""Frames kept decoded, on the device that was asked for."""


def open_videos(root: Path, layout: Layout, names_file: str = "") -> tuple[list[Sequence], int]:
    """The sequences of a data set that may be trained on, and how many were held back for evaluation.

    Args:
        root: folder of the data set.
        layout: its layout.
        names_file: list of sequences, below `root`; by default DAVIS' own training list where there is one.

    Raises:
        ConfigError: the folder holds evaluation data.
        MediaError: nothing usable is there.
    """
    refuse_evaluation_data(root)
    if not names_file and layout == "davis":
        names_file = next((name for name in TRAIN_LISTS if (root / name).is_file()), "")
    names = read_image_set(root / names_file) if names_file else None
    found = open_dataset(root, layout, names)
    named = validation_names(root)
    usable = [one for one in found if one.name not in named and not is_evaluation(one.frames)]
    if not usable:
        raise MediaError(f"{root} holds evaluation sequences only; they are never trained on.")
    return usable, len(found) - len(usable)


class VideoClips:
    """Random sub-sequences of annotated videos; a `ClipSource`.

    Attributes:
        skipped: why drawn sub-sequences could not be used, with how many.
    """

    def __init__(self, sequences: ListOf[Sequence], config: VideoConfig) -> None:
        self.sequences, self.config = list(sequences), config
        self.skipped: Counter[str] = Counter()
        self._held = lru_cache(HELD)(self._read)  # decoding would take longer than the rest

    def sample(self, shape: ClipShape, seed: int, device: str = "cpu") -> Clips:
        """Clips of a shape; the same seed gives the same clips.

        Raises:
            MediaError: too many sub-sequences in a row were unusable.
        """
        rng = np.random.default_rng(seed)
        return join([self._one(shape, rng, device) for _ in range(shape.batch)])

    def _one(self, shape: ClipShape, rng: np.random.Generator, device: str) -> Clips:
        problem = ""
        for _ in range(ATTEMPTS):
            number = int(rng.integers(len(self.sequences)))
            try:
                return self._cut(number, shape, rng, device)
            except (MediaError, MaskError) as error:
                problem = str(error)
                self.skipped[problem] += 1
        raise MediaError(f"{ATTEMPTS} sub-sequences in a row could not be used; the last: {problem}")

    def _cut(self, number: int, shape: ClipShape, rng: np.random.Generator, device: str) -> Clips:
        sequence = self.sequences[number]
        chosen = sub_sequence(sorted(sequence.annotations), shape.frames, self.config, rng)
        crop, flip = rng.random(3), rng.random() < self.config.flip
        pictures, labels = zip(*(self._held(number, index, device) for index in chosen), strict=True)
        if len({picture.shape for picture in pictures}) > 1:
            raise MediaError(f"{sequence.name} has frames of several sizes")
        rows, columns = self._box(tuple(labels[0].shape), shape, crop)
        picture = _fit(torch.stack(pictures)[..., rows, columns].float() / 255, shape, smooth=True).clamp_(0, 1)
        label = _fit(torch.stack(labels)[:, None, rows, columns].float(), shape, smooth=False)[:, 0]
        return self._clip(picture.flip(3), label.flip(2), rng) if flip else self._clip(picture, label, rng)

    def _read(self, number: int, index: int, device: str) -> tuple[Tensor, Tensor]:
        """(3, H, W) uint8 frame and (H, W) label map of one of the sequences."""
        sequence = self.sequences[number]
        picture, label = read_image(sequence.frames[index]), sequence.truth_and_void(index)[0]
        if picture.shape[:2] != label.shape:
            raise MediaError(f"mask of another size: {sequence.annotations[index]}")
        frame = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
        return frame.to(device), torch.from_numpy(label.astype(np.int32)).to(device)

    def _box(self, size: tuple[int, ...], shape: ClipShape, crop: npt.NDArray[np.float64]) -> tuple[slice, slice]:
        """The whole frame, or a random part with the clip's proportions, between 60 and 100 % of the largest."""
        height, width = size[:2]
        if self.config.fit == "resize":
            return slice(0, height), slice(0, width)
        largest = min(height / shape.height, width / shape.width) * (0.6 + 0.4 * crop[0])
        rows, columns = max(1, round(shape.height * largest)), max(1, round(shape.width * largest))
        top, left = round((height - rows) * crop[1]), round((width - columns) * crop[2])
        return slice(top, top + rows), slice(left, left + columns)

    def _clip(self, pictures: Tensor, labels: Tensor, rng: np.random.Generator) -> Clips:
        """(T, 3, H, W) in [0, 1] and (T, H, W) -> one clip."""
        frames = len(pictures)
        ids = [i for i in torch.unique(labels).tolist() if i]
        ids = [ids[i] for i in sorted(rng.permutation(len(ids))[: self.config.max_objects])]
        reference = int(rng.integers(frames)) if self.config.reference == "random" else 0
        if not ids:
            raise MaskError("mask without object")
        masks = torch.stack([labels == i for i in ids], 1).float()[None]
        entry = first_seen(masks, self.config.minimum)
        guided = masks[:, reference].mean((-2, -1)).cpu() >= self.config.minimum
        if not ((entry == 0) & guided).any():
            raise MaskError("no object in both the first frame and the reference")
        masks, entry = pack(masks, entry)
        images = tint(pictures[None], self.config.tint, torch.Generator().manual_seed(int(rng.integers(2**31))))
        guide = torch.tensor([reference], device=images.device) if self.config.reference == "random" else None
        return Clips(images, masks, entry.to(images.device), guide)


def sub_sequence(annotated: ListOf[int], frames: int, config: VideoConfig, rng: np.random.Generator) -> list[int]:
    """Frame numbers of a random sub-sequence: fixed length, random distance, maybe backwards.

    Args:
        annotated: frame numbers that have masks, ascending.
        frames: length.
        config: of the sampler.
        rng: random numbers.

    Raises:
        MediaError: the video is shorter.
    """
    if len(annotated) < frames:
        raise MediaError(f"video with fewer than {frames} annotated frames")
    widest = min(config.max_skip, (len(annotated) - 1) // (frames - 1))
    skip = int(rng.integers(1, widest + 1))
    start = int(rng.integers(len(annotated) - skip * (frames - 1)))
    chosen = list(annotated[start : start + skip * (frames - 1) + 1 : skip])
    return chosen[::-1] if rng.random() < config.reverse else chosen


def _fit(pictures: Tensor, shape: ClipShape, *, smooth: bool) -> Tensor:
    """(T, C, h, w) float -> (T, C, H, W); averaged where it shrinks, or the nearest pixels."""
    size = (shape.height, shape.width)
    if not smooth:
        return F.interpolate(pictures, size, mode="nearest-exact")
    return F.interpolate(pictures, size, mode="bilinear", antialias=True)
