"""What one clip offers to learn from: its human frames, and what was held back to see whether anything was learned."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np

from agss_model.errors import MaskError
from agss_model.masks.labels import LabelMap, object_ids
from agss_model.video.source import FrameSource, Image
from training.annotations.prepare import TRAIN_SIDE, scaled
from training.data.clips import ClipSource
from training.data.sparse import SparseClips, SparseVideo, VideoInMemory
from training.data.stills import StillPool
from training.data.video_config import VideoConfig
from training.loop.settings import clip_size
from training.loop.sources import Mixture
from training.synthesis.own_frames import SMALLEST, pool_of_frames
from training.synthesis.scenes import StillClips, SynthesisConfig

TOO_SMALL = "no object is large enough to learn from; draw one on a frame where it is larger"
MOST_FRAMES = 16
"""Human frames that are learned from, spread evenly where there are more."""
BETWEEN = 8
"""Frames kept between two human ones, for the real change from one to the other."""
MOST_OBJECTS = 6
"""Objects tracked in one clip to learn from: time and memory grow with them."""
REAL_SHARE = 0.3
"""Share of the steps on the real change, where there is any."""
GUESSED = 0.5
"""Steps on what was tracked, for each step on clips that are made of the human frames."""


@dataclass(frozen=True)
class Lessons:
    """Frames of a clip.

    Attributes:
        pictures: (H, W, 3) uint8 RGB by frame number, the human frames and some between them.
        label_maps: (H, W) of the human frames.
    """

    pictures: Mapping[int, Image]
    label_maps: Mapping[int, LabelMap]

    def digest(self) -> str:
        """SHA-256 over everything, in hexadecimal."""
        digest = hashlib.sha256()
        for number in sorted(self.pictures):
            parts = [self.pictures[number], self.label_maps.get(number, np.zeros(0, np.uint16))]
            for part in parts:
                digest.update(f"{number} {part.shape} {part.dtype}\n".encode())
                digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    def size(self, longest: int) -> tuple[int, int]:
        """(height, width) in multiples of 32 with the clip's proportions."""
        height, width = next(iter(self.label_maps.values())).shape
        return clip_size(height, width, longest)

    def clips(self, side: int, others: StillPool | None = None, guesses: Sequence[SparseVideo] = ()) -> ClipSource:
        """Clips to learn from: synthetic ones, and of the real change where there is any.

        Args:
            side: longest side of the pictures that clips are made of.
            others: photographs of `side` pixels whose objects are pasted in too.
            guesses: frames that nobody drew on, with masks that can be believed.

        Raises:
            MaskError: no object is large enough to be cut out.
        """
        order = sorted(self.label_maps)
        pool = pool_of_frames([self.pictures[n] for n in order], [self.label_maps[n] for n in order], side)
        if not pool.instances:
            raise MaskError(TOO_SMALL)
        own = _scenes(pool)
        sources: list[ClipSource] = [StillClips(pool, own)]
        if others is not None:
            usual = SynthesisConfig()
            mixed = replace(own, smallest=usual.smallest, largest=usual.largest)
            sources.append(StillClips(pool.with_cuts_of(others), mixed))
        weights = [1.0] * len(sources)
        video_config = VideoConfig(max_objects=MOST_OBJECTS, minimum=own.minimum)
        if guesses:
            weights.append(len(sources) * GUESSED)
            sources.append(SparseClips(guesses, video_config))
        if self._pairs():
            video = VideoInMemory("the clip", self.pictures, self.label_maps)
            weights.append(sum(weights) * REAL_SHARE / (1 - REAL_SHARE))
            sources.append(SparseClips([video], video_config))
        return Mixture(sources, weights)

    def held_out(self) -> tuple[Lessons, ClipSource, str] | None:
        """The lessons without one human frame, clips that lead to it, and which it is; None where none can be spared.

        It is the frame that is furthest from the others, so what is asked is hard.
        """
        if not (pairs := self._pairs()):
            return None
        number, near = max(pairs, key=lambda pair: (abs(pair[0] - pair[1]), pair[0]))
        maps = {n: label_map for n, label_map in self.label_maps.items() if n != number}
        ends = {n: self.label_maps[n] for n in (number, near)}
        config = VideoConfig(reverse=float(number < near), flip=0.0, max_objects=MOST_OBJECTS, minimum=SMALLEST)
        exam = SparseClips([VideoInMemory("the clip", self.pictures, ends)], config)
        return Lessons(self.pictures, maps), exam, f"frame {number}, tracked from frame {near}"

    def _pairs(self) -> list[tuple[int, int]]:
        """Each human frame with the nearest other one that shows one of its objects."""
        shown = {number: set(object_ids(label_map)) for number, label_map in self.label_maps.items()}
        pairs = []
        for number, ids in shown.items():
            others = [n for n, theirs in shown.items() if n != number and ids & theirs]
            if others:
                pairs.append((number, min(others, key=lambda n: abs(n - number))))
        return pairs


def read_lessons(source: FrameSource, label_maps: Mapping[int, LabelMap]) -> Lessons:
    """Read a clip's human frames and some between them.

    Raises:
        MaskError: no object at all.
        MediaError: a frame cannot be read.
    """
    drawn = sorted(number for number, label_map in label_maps.items() if label_map.any())
    if not drawn:
        raise MaskError(TOO_SMALL)
    chosen = [drawn[place] for place in _evenly(0, len(drawn) - 1, min(MOST_FRAMES, len(drawn)))]
    wanted = set(chosen)
    for one, other in pairwise(chosen):
        wanted.update(_evenly(one, other, BETWEEN + 2))
    scale = min(1.0, TRAIN_SIDE / max(source.size))
    pictures = {number: scaled(source.read(number), scale, cv2.INTER_AREA) for number in sorted(wanted)}
    return Lessons(pictures, {number: scaled(label_maps[number], scale, cv2.INTER_NEAREST) for number in chosen})


def _evenly(first: int, last: int, count: int) -> list[int]:
    return sorted({round(number) for number in np.linspace(first, last, count).tolist()})


def _scenes(pool: StillPool) -> SynthesisConfig:
    """Synthesis in which a clip's objects keep about their size."""
    shares = [cut.area**0.5 / min(pool.sizes[cut.still]) for cut in pool.instances]
    return SynthesisConfig(
        own=min(MOST_OBJECTS // 2, len(pool.instances)),
        pasted=MOST_OBJECTS // 2,
        smallest=0.7 * min(shares),
        largest=min(0.9, 1.4 * max(shares)),
        minimum=SMALLEST,
        twin=0.2,
        untracked=0.15,
    )
