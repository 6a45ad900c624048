"""The one driver along frames: forward, backward, and between human keyframes, where both directions are fused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial

import numpy as np

from agss_model.errors import MaskError, MediaError
from agss_model.flow import FlowEstimator
from agss_model.fusing import ObjectKeyframes, PackedResult, fuse, without
from agss_model.masks.labels import LabelMap, object_ids, to_masks
from agss_model.network.base import AGSSVOS
from agss_model.ranges import NONE, Block, Direction, Ids, Presence, blocks
from agss_model.tracking.results import FrameResult
from agss_model.tracking.tracker import Tracker
from agss_model.video.source import FrameSource, prefetch

__all__ = [
    "Block",
    "Direction",
    "Gone",
    "TrackRange",
    "blocks",
    "both_ways",
    "follow",
    "fuse",
    "presence_of",
    "propagate",
]

TrackRange = Callable[[Mapping[int, LabelMap], range, "int | None"], Iterator[FrameResult]]
"""Tracks along frame numbers that begin at a keyframe: keyframes, numbers, and a keyframe to know of from the start."""
Gone = Callable[[int], Ids]
"""From a frame number to the objects that are not in the clip there, see `agss_model.ranges.Presence`."""


def _nothing_gone(number: int) -> Ids:
    return Ids()


def propagate(
    source: FrameSource,
    keyframes: Mapping[int, LabelMap],
    network: AGSSVOS,
    *,
    start: int = 0,
    stop: int | None = None,
    direction: Direction = "both",
    absent: Mapping[int, Ids] = NONE,
    flow: FlowEstimator | None = None,
    run: TrackRange | None = None,
) -> Iterator[FrameResult]:
    """Track every object of the keyframes through a clip, one frame in memory at a time.

    `forward` begins at the first keyframe, `backward` at the last; keyframes on the way correct objects or add new
    ones. `both` covers everything: each object backward before its first keyframe, forward after its last, and in
    between both ways, fused. A keyframe need not show every object; label maps between two keyframes that do are held
    compressed.

    Args:
        source: the clip.
        keyframes: frame number -> (H, W) label map drawn by a human.
        network: in eval mode.
        start: first frame to give out.
        stop: the frame after the last, None for the end of the clip.
        direction: which way; frames come in that order, ascending for `both`.
        absent: frame number -> objects that a human says are not there; each is gone from that frame on until a later
            keyframe shows it again, in every direction.
        flow: as for `Tracker`.
        run: tracks in one direction in another way, such as one that continues where it was interrupted.

    Raises:
        MediaError: a frame number is outside the clip.
        MaskError: no keyframe, or none in reach of the frames asked for.
    """
    stop = len(source) if stop is None else stop
    _check(source, keyframes, start, stop)
    order = sorted(keyframes)
    gone = presence_of(keyframes, absent).gone if absent else _nothing_gone
    run = run or partial(_run, source, network, flow, gone)
    if direction == "both":
        yield from both_ways(run, keyframes, start, stop, len(source), absent)
        return
    numbers = range(order[0], stop) if direction == "forward" else range(order[-1], start - 1, -1)
    for result in run(keyframes, numbers, None):
        if start <= result.frame_index < stop:
            yield without(result, gone(result.frame_index))


def presence_of(keyframes: Mapping[int, LabelMap], absent: Mapping[int, Ids]) -> Presence:
    """When each object is in the clip; label maps are read one at a time."""
    return Presence({number: frozenset(object_ids(keyframes[number])) for number in keyframes}, absent)


def _check(source: FrameSource, keyframes: Mapping[int, LabelMap], start: int, stop: int) -> None:
    count = len(source)
    if not keyframes:
        raise MaskError("No keyframe given; draw the objects on at least one frame.")
    if not 0 <= start < stop <= count:
        raise MediaError(f"Frames {start} to {stop - 1} are not within the clip, which has frames 0 to {count - 1}.")
    for number, label_map in keyframes.items():
        if not 0 <= number < count:
            raise MediaError(f"Keyframe {number} is outside the clip, which has frames 0 to {count - 1}.")
        if label_map.shape[::-1] != source.size:
            raise MaskError(
                f"The mask of frame {number} is {label_map.shape[1]}x{label_map.shape[0]} but the clip is "
                f"{source.size[0]}x{source.size[1]}; draw it on that frame, or resize it without smoothing."
            )


def follow(
    source: FrameSource,
    keyframes: Mapping[int, Callable[[], LabelMap]],
    tracker: Tracker,
    numbers: range,
    gone: Gone = _nothing_gone,
) -> Iterator[FrameResult]:
    """Track along frame numbers; frames are decoded ahead in a thread.

    Args:
        source: the clip.
        keyframes: for frames with masks, a function that gives the label map.
        tracker: fresh, or restored to the frame before `numbers`.
        numbers: frames in the order of tracking; may fall.
        gone: the objects that end at a frame, or are not to be tracked there.
    """
    if not numbers:
        return
    images = source.frames(numbers.start, numbers.stop if numbers.stop >= 0 else None, numbers.step)
    with closing(prefetch(images)) as frames:
        for number, frame in zip(numbers, frames, strict=True):
            if leaving := gone(number) & frozenset(tracker.object_ids):
                tracker.remove(leaving)
            masks = to_masks(keyframes[number]()) if number in keyframes else {}
            if masks:
                yield tracker.add(frame, masks, number)
            elif tracker.object_ids:
                yield tracker.step(frame, number)
            else:
                yield FrameResult(number, (), np.zeros(frame.shape[:2], np.uint8), {})


def _run(
    source: FrameSource,
    network: AGSSVOS,
    flow: FlowEstimator | None,
    gone: Gone,
    keyframes: Mapping[int, LabelMap],
    numbers: range,
    ahead: int | None,
) -> Iterator[FrameResult]:
    """Track along `numbers`, which begin at a keyframe; `ahead` names a keyframe to know of from the start."""
    tracker = Tracker(network, flow=flow)
    other = source.read(ahead) if ahead is not None else None  # before the source is read by another thread
    given = {number: partial(keyframes.__getitem__, number) for number in keyframes}
    for result in follow(source, given, tracker, numbers, gone):
        yield result
        if result.frame_index == numbers.start and ahead is not None and other is not None and tracker.object_ids:
            tracker.add_reference(other, to_masks(keyframes[ahead]), ahead)


def both_ways(
    run: TrackRange,
    keyframes: Mapping[int, LabelMap],
    start: int,
    stop: int,
    count: int,
    absent: Mapping[int, Ids] = NONE,
) -> Iterator[FrameResult]:
    """What `propagate` does for `both`, with any way to track along frames, block by block.

    Args:
        run: tracks in one direction.
        keyframes: frame number -> (H, W) label map drawn by a human; asked for one at a time.
        start: first frame to give out.
        stop: the frame after the last.
        count: frames of the clip.
        absent: as for `propagate`.
    """
    drawn = {number: frozenset(object_ids(keyframes[number])) for number in keyframes}
    gone = Presence(drawn, absent).gone
    for block in blocks(drawn, count, "both", absent):
        numbers = range(max(block.frames.start, start), min(block.frames.stop, stop))
        if numbers:
            here = {number: drawn.get(number, Ids()) for number in block.keyframes}
            for result in _block(run, keyframes, numbers, here, gone):
                if start <= result.frame_index < stop:
                    yield without(result, gone(result.frame_index))


def _block(
    run: TrackRange, keyframes: Mapping[int, LabelMap], numbers: range, drawn: Mapping[int, Ids], gone: Gone
) -> Iterator[FrameResult]:
    """Frames `numbers` of a block from both directions; each side knows the other's outermost keyframe.

    Args:
        run: tracks in one direction.
        keyframes: of the clip.
        numbers: frames to give out.
        drawn: the objects in each keyframe of the block; an object need not be in all of them.
        gone: the objects that are not in the clip at a frame.
    """
    order = sorted(drawn)
    first, last = order[0], order[-1]
    # Nothing needs to be tracked back into a keyframe that shows every object.
    begun = numbers.start >= first and drawn[first] | gone(first) >= Ids().union(*drawn.values())
    lowest = max(numbers.start, first + 1) if begun else numbers.start
    packed: list[PackedResult] = []
    if lowest < last:
        packed.extend(
            PackedResult(r)
            for r in run(keyframes, range(last, lowest - 1, -1), first if first in keyframes else None)
            if r.frame_index in numbers and r.frame_index < last
        )
    forward: Iterator[FrameResult] = iter(())
    if first < numbers.stop:
        forward = run(keyframes, range(first, numbers.stop), last if last in keyframes else None)
    places = ObjectKeyframes(drawn, {number: gone(number) for number in order})
    for number in range(min(first, numbers.start), numbers.stop):
        ahead = next(forward) if number >= first else None
        if number not in numbers:
            continue
        behind = packed.pop().unpack() if packed and packed[-1].rest.frame_index == number else None
        if ahead is not None and behind is not None:
            yield fuse(ahead, behind, places.progress(number))
        elif (result := ahead or behind) is not None:
            yield result
