"""Whole clips: forward, backward, and between two human keyframes, where both directions are fused."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Literal

import numpy as np

from agss_model.errors import MaskError, MediaError
from agss_model.flow import FlowEstimator
from agss_model.fusing import fuse
from agss_model.masks.labels import LabelMap, object_ids, to_masks
from agss_model.network.base import AGSSVOS
from agss_model.results import FrameResult
from agss_model.tracker import Tracker
from agss_model.video.prefetch import prefetch
from agss_model.video.source import FrameSource

Direction = Literal["forward", "backward", "both"]
Run = Callable[[Mapping[int, LabelMap], range, "int | None"], Iterator[FrameResult]]
"""Tracks along frame numbers that begin at a keyframe: keyframes, numbers, and a keyframe to know of from the start."""


def propagate(
    source: FrameSource,
    keyframes: Mapping[int, LabelMap],
    network: AGSSVOS,
    *,
    start: int = 0,
    stop: int | None = None,
    direction: Direction = "both",
    flow: FlowEstimator | None = None,
    run: Run | None = None,
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
        flow: as for `Tracker`.
        run: tracks in one direction in another way, such as one that continues where it was interrupted.

    Raises:
        MediaError: a frame number is outside the clip.
        MaskError: no keyframe, or none in reach of the frames asked for.
    """
    stop = len(source) if stop is None else stop
    _check(source, keyframes, start, stop)
    order = sorted(keyframes)
    run = run or partial(_run, source, network, flow)
    if direction == "forward":
        yield from _kept(run(keyframes, range(order[0], stop), None), start, stop)
    elif direction == "backward":
        yield from _kept(run(keyframes, range(order[-1], start - 1, -1), None), start, stop)
    else:
        yield from both_ways(run, keyframes, start, stop, len(source))


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


@dataclass(frozen=True)
class Plan:
    """Which frames to track, and in which order.

    Attributes:
        frames: numbers of the frames that get masks, ascending.
        order: the frames one tracker goes through, or None where two directions are fused.
    """

    frames: range
    order: range | None


def make_plan(keyframes: list[int], count: int, direction: Direction, first: int | None, last: int | None) -> Plan:
    """Frames and order of a run.

    Args:
        keyframes: numbers of the frames with masks, ascending, at least one.
        count: frames of the clip.
        direction: which way to track.
        first: first frame asked for, or None.
        last: last frame asked for, or None.

    Raises:
        MediaError: frames outside the clip, or in the wrong order.
        MaskError: no keyframe from which they could be reached.
    """
    first, last = 0 if first is None else first, count - 1 if last is None else last
    if not 0 <= first <= last < count:
        raise MediaError(f"frames {first} to {last} were asked for, but the clip has frames 0 to {count - 1}")
    low, high = keyframes[0], keyframes[-1]
    if direction == "both" and low == high and low in (first, last):  # then there is only one way to go
        direction = "forward" if low == first else "backward"
    if direction == "both":
        return Plan(range(first, last + 1), None)
    if direction == "forward":
        plan = Plan(range(max(first, low), last + 1), range(low, last + 1))
    else:
        plan = Plan(range(first, min(last, high) + 1), range(high, first - 1, -1))
    if not plan.frames:
        where = f"the first mask is on frame {low}" if direction == "forward" else f"the last mask is on frame {high}"
        raise MaskError(
            f"tracking {direction} cannot reach frames {first} to {last}: {where}; "
            "use --direction both, or other frames"
        )
    return plan


def _kept(results: Iterator[FrameResult], start: int, stop: int) -> Iterator[FrameResult]:
    return (r for r in results if start <= r.frame_index < stop)


def follow(
    source: FrameSource, keyframes: Mapping[int, Callable[[], LabelMap]], tracker: Tracker, numbers: range
) -> Iterator[FrameResult]:
    """Track along frame numbers; frames are decoded ahead in a thread.

    Args:
        source: the clip.
        keyframes: for frames with masks, a function that gives the label map.
        tracker: fresh, or restored to the frame before `numbers`.
        numbers: frames in the order of tracking; may fall.
    """
    if not numbers:
        return
    frames = prefetch(source.frames(numbers.start, numbers.stop if numbers.stop >= 0 else None, numbers.step))
    for number, frame in zip(numbers, frames, strict=True):
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
    keyframes: Mapping[int, LabelMap],
    numbers: range,
    ahead: int | None,
) -> Iterator[FrameResult]:
    """Track along `numbers`, which begin at a keyframe; `ahead` names a keyframe to know of from the start."""
    tracker = Tracker(network, flow=flow)
    other = source.read(ahead) if ahead is not None else None  # before the source is read by another thread
    given = {number: partial(keyframes.__getitem__, number) for number in keyframes}
    for result in follow(source, given, tracker, numbers):
        yield result
        if result.frame_index == numbers.start and ahead is not None and other is not None and tracker.object_ids:
            tracker.add_reference(other, to_masks(keyframes[ahead]), ahead)


@dataclass(frozen=True)
class Block:
    """Frames whose masks depend on the keyframes named, and on no others.

    Attributes:
        frames: their numbers.
        keyframes: numbers of keyframes, ascending.
    """

    frames: range
    keyframes: tuple[int, ...]


def blocks(drawn: Mapping[int, frozenset[int]], count: int, direction: Direction = "both") -> list[Block]:
    """What has to be tracked again when a keyframe changes, and what not.

    Tracking `both` ways, a keyframe that shows every object parts the clip: masks on one side do not depend on the
    other. In one direction, masks depend on every keyframe passed so far.

    Args:
        drawn: frame number -> ids of the objects in its keyframe; at least one.
        count: frames of the clip.
        direction: as for `propagate`.

    Returns:
        Blocks in ascending order; together all frames that `propagate` gives out.
    """
    order = sorted(drawn)
    if direction == "forward":
        edges = [*order, count]
        return [Block(range(low, high), tuple(order[: k + 1])) for k, (low, high) in enumerate(pairwise(edges))]
    if direction == "backward":
        edges = [0, *(number + 1 for number in order)]
        return [Block(range(low, high), tuple(order[k:])) for k, (low, high) in enumerate(pairwise(edges))]
    every = frozenset[int]().union(*drawn.values())
    complete = [number for number in order if drawn[number] == every]
    found = [
        Block(range(max(low, 0), high), tuple(number for number in order if low <= number <= high))
        for low, high in pairwise([-1, *complete, count])
    ]
    return [block for block in found if block.frames]


def both_ways(run: Run, keyframes: Mapping[int, LabelMap], start: int, stop: int, count: int) -> Iterator[FrameResult]:
    """What `propagate` does for `both`, with any way to track along frames, block by block.

    Args:
        run: tracks in one direction.
        keyframes: frame number -> (H, W) label map drawn by a human; asked for one at a time.
        start: first frame to give out.
        stop: the frame after the last.
        count: frames of the clip.
    """
    drawn = {number: frozenset(object_ids(keyframes[number])) for number in keyframes}
    for block in blocks(drawn, count):
        numbers = range(max(block.frames.start, start), min(block.frames.stop, stop))
        if numbers:
            here = {number: drawn[number] for number in block.keyframes}
            yield from _kept(_block(run, keyframes, numbers, here), start, stop)


def _block(
    run: Run, keyframes: Mapping[int, LabelMap], numbers: range, drawn: Mapping[int, frozenset[int]]
) -> Iterator[FrameResult]:
    """Frames `numbers` of a block from both directions; each side knows the other's outermost keyframe.

    Args:
        run: tracks in one direction.
        keyframes: of the clip.
        numbers: frames to give out.
        drawn: the objects in each keyframe of the block; an object need not be in all of them.
    """
    order = sorted(drawn)
    first, last = order[0], order[-1]
    # Nothing needs to be tracked back into a keyframe that shows every object.
    begun = numbers.start >= first and drawn[first] == frozenset[int]().union(*drawn.values())
    lowest = max(numbers.start, first + 1) if begun else numbers.start
    packed: list[_Packed] = []
    if lowest < last:
        packed.extend(
            _Packed(r)
            for r in run(keyframes, range(last, lowest - 1, -1), first)
            if r.frame_index in numbers and r.frame_index < last
        )
    forward: Iterator[FrameResult] = iter(())
    if first < numbers.stop:
        forward = run(keyframes, range(first, numbers.stop), last)
    places = _Places(drawn)
    for number in range(min(first, numbers.start), numbers.stop):
        ahead = next(forward) if number >= first else None
        if number not in numbers:
            continue
        behind = packed.pop().unpack() if packed and packed[-1].rest.frame_index == number else None
        if ahead is not None and behind is not None:
            yield fuse(ahead, behind, places.progress(number))
        elif (result := ahead or behind) is not None:
            yield result


class _Places:
    """Where each object was drawn."""

    def __init__(self, drawn: Mapping[int, frozenset[int]]) -> None:
        self._drawn: dict[int, list[int]] = {}
        for number in sorted(drawn):
            for object_id in drawn[number]:
                self._drawn.setdefault(object_id, []).append(number)

    def progress(self, number: int) -> dict[int, float]:
        """Place of a frame between the two keyframes around it, for each object drawn on both sides, in [0, 1)."""
        between: dict[int, float] = {}
        for object_id, frames in self._drawn.items():
            place = bisect_right(frames, number)
            if 0 < place < len(frames):
                before, after = frames[place - 1], frames[place]
                between[object_id] = (number - before) / (after - before)
        return between


class _Packed:
    """A result with its label map compressed; label maps are mostly runs."""

    def __init__(self, result: FrameResult) -> None:
        self.shape, self.dtype = result.label_map.shape, result.label_map.dtype
        self.data = zlib.compress(np.ascontiguousarray(result.label_map).tobytes(), 1)
        self.rest = replace(result, label_map=np.zeros((0, 0), np.uint8))

    def unpack(self) -> FrameResult:
        """The result as it was."""
        flat: LabelMap = np.frombuffer(zlib.decompress(self.data), self.dtype)
        label_map = flat.reshape(self.shape)
        return replace(self.rest, label_map=label_map)
