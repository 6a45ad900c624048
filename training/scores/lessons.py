"""Clips on which a tracker makes its own mistakes: real ones both ways, with cuts, and made ones with look-alikes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from torch import Tensor

from agss_model.evaluation import Sequence as Annotated
from agss_model.masks.labels import BoolMask, LabelMap
from training.data.clips import Clips, ClipShape, first_seen
from training.data.stills import StillPool, load_stills
from training.data.video_clips import VideoClips, open_videos
from training.data.video_config import VideoConfig
from training.scores.record import Lesson, Picture, of_sequence
from training.synthesis.scenes import OverlaidClips, SynthesisConfig, synthesise

SHAPE = ClipShape(batch=1, frames=24, height=208, width=368)
MADE = SynthesisConfig(speed=0.03, camera=0.015, away=0.35, twin=0.5, untracked=0.3, pasted=5)
"""Slower than in training, as the clips are longer; more of what confuses: look-alikes, going and coming."""
CROWD = replace(MADE, own=0, pasted=8, twin=0.8, smallest=0.12, largest=0.3, speed=0.025, away=0.15, untracked=0.1)
"""Many of a kind, close together, that go in front of and behind each other."""
OVERLAID_FRAMES = 16  # as many as most of the real clips have
STILLS = 400


@dataclass(frozen=True)
class LessonSource:
    """A lesson to be opened when its turn comes."""

    name: str
    open: Callable[[], Lesson]


def lessons(videos: Path, stills: Path, made: int, seed: int = 0) -> Iterator[LessonSource]:
    """All lessons, every kind in turn, so that any first part of them is a fair choice.

    Args:
        videos: folder of annotated clips in DAVIS' layout; none that anything is evaluated on.
        stills: folder of photographs with masks.
        made: how many clips to make of stills, and how many of stills over real clips.
        seed: of what is made.

    Raises:
        ConfigError: evaluation data.
        MediaError: nothing usable.
    """
    sequences, _ = open_videos(videos, "davis")
    real = VideoClips(sequences, VideoConfig(fit="resize"))
    pool: list[StillPool] = []

    def stock() -> StillPool:
        if not pool:
            pool.append(load_stills(stills, limit=STILLS))
        return pool[0]

    count = max(made, len(sequences))
    for number in range(count):
        if number < made:
            place = seed * 10_000 + number
            for name, make in (("made", _made), ("crowd", _crowd), ("overlaid", partial(_overlaid, real))):
                both = cache(partial(make, stock, place))  # making takes longer than tracking
                yield LessonSource(f"{name}-{place}", partial(_of_made, f"{name}-{place}", both))
                yield LessonSource(
                    f"{name}-{place}+backwards", partial(_of_made, f"{name}-{place}", both, backwards=True)
                )
        if number < len(sequences):
            here = sequences[number]
            yield LessonSource(here.name, partial(of_sequence, here))
            yield LessonSource(f"{here.name}+backwards", partial(of_sequence, here, backwards=True))
            if len(sequences) > 1:
                step = (6 * number + 3) % len(sequences) or 1  # never to the clip itself, which shows its objects
                other = sequences[(number + step) % len(sequences)]
                yield LessonSource(f"{here.name}+cut", partial(_cut, here, other))


def _made(stock: Callable[[], StillPool], seed: int) -> Clips:
    return synthesise(stock(), MADE, SHAPE, seed)


def _crowd(stock: Callable[[], StillPool], seed: int) -> Clips:
    return synthesise(stock(), CROWD, SHAPE, seed)


def _overlaid(real: VideoClips, stock: Callable[[], StillPool], seed: int) -> Clips:
    source = OverlaidClips(stock(), replace(MADE, pasted=4), real)
    return source.sample(replace(SHAPE, frames=OVERLAID_FRAMES), seed)


def _of_made(name: str, make: Callable[[], Clips], *, backwards: bool = False) -> Lesson:
    return of_clips(name, make(), backwards=backwards)


def _cut(one: Annotated, other: Annotated) -> Lesson:
    return with_cut(of_sequence(one), of_sequence(other))


def of_clips(name: str, clips: Clips, *, backwards: bool = False) -> Lesson:
    """The first clip of a batch; every object that is tracked there is given where it first covers enough."""
    order = slice(None, None, -1 if backwards else 1)
    frames = (clips.frames[0].permute(0, 2, 3, 1) * 255).round().byte().numpy()[order]
    masks = clips.masks[0] * (clips.entry[0] < len(frames))[None, :, None, None]
    masks = masks.flip(0) if backwards else masks
    maps, entry = label_maps(masks), first_seen(masks[None], MADE.minimum)[0].tolist()
    void = np.zeros(maps[0].shape, np.bool_)
    given: dict[int, LabelMap] = {}
    for slot, first in enumerate(entry, 1):
        if first < len(frames):
            here = given.setdefault(first, np.zeros_like(maps[first]))
            here[maps[first] == slot] = slot

    def truth(index: int) -> tuple[LabelMap, BoolMask]:
        return maps[index], void

    return Lesson(name + ("+backwards" if backwards else ""), len(frames), lambda index: frames[index], truth, given)


def label_maps(masks: Tensor) -> Sequence[LabelMap]:
    """(T, N, H, W) of 0 and 1, at most one object at a pixel -> label maps; object k has id k + 1."""
    numbers = np.arange(1, masks.shape[1] + 1, dtype=np.uint8)[:, None, None]
    return [np.asarray((frame.numpy() > 0.5) * numbers).sum(0).astype(np.uint8) for frame in masks]


def with_cut(one: Lesson, other: Lesson) -> Lesson:
    """The first half of a clip, as many frames of another that shows none of its objects, and the rest of the first."""
    half = one.frames // 2
    between = min(half, other.frames)
    size = one.picture(0).shape[:2]
    empty = np.zeros(size, np.uint8)

    def place(index: int) -> int | None:
        if index < half:
            return index
        return None if index < half + between else index - between

    def picture(index: int) -> Picture:
        number = place(index)
        return one.picture(number) if number is not None else _fitted(other.picture(index - half), size)

    def truth(index: int) -> tuple[LabelMap, BoolMask] | None:
        number = place(index)
        return one.truth(number) if number is not None else (empty, empty.astype(np.bool_))

    given = {index: label_map for index, label_map in one.given.items() if index < half}
    return Lesson(f"{one.name}+cut", one.frames + between, picture, truth, given)


def _fitted(picture: Picture, size: tuple[int, int]) -> Picture:
    import cv2

    return np.asarray(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
