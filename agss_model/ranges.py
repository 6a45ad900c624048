"""Which frames a run reaches, in which order, and on which keyframes each of them depends; numbers only, no pictures.

A keyframe says of objects that they are drawn in a frame, or that they are absent. An absent object is gone from that
frame on until a later keyframe shows it again, whichever way the clip is tracked.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from agss_model.errors import MaskError, MediaError

Direction = Literal["forward", "backward", "both"]
Ids = frozenset[int]
NONE: Mapping[int, Ids] = {}


class Presence:
    """When each object is in the clip, as keyframes say.

    Args:
        drawn: frame number -> ids of the objects drawn there.
        absent: frame number -> ids of the objects that are said not to be there.
    """

    def __init__(self, drawn: Mapping[int, Ids], absent: Mapping[int, Ids] = NONE) -> None:
        ending = Ids().union(*absent.values())
        self._said: dict[int, list[tuple[int, bool]]] = {object_id: [] for object_id in ending}
        for number in sorted(drawn.keys() | absent.keys()):
            for object_id in ending & absent.get(number, Ids()):
                self._said[object_id].append((number, True))
            for object_id in ending & drawn.get(number, Ids()):
                self._said[object_id].append((number, False))

    def gone(self, number: int) -> Ids:
        """Objects that are said to be absent by the last keyframe, up to this frame, that says anything of them."""
        found = set()
        for object_id, said in self._said.items():
            place = bisect_right(said, (number, True))
            if place and said[place - 1][1]:
                found.add(object_id)
        return frozenset(found)


@dataclass(frozen=True)
class Block:
    """Frames whose masks depend on the keyframes named, and on no others.

    Attributes:
        frames: their numbers.
        keyframes: numbers of keyframes, ascending.
    """

    frames: range
    keyframes: tuple[int, ...]


def blocks(
    drawn: Mapping[int, Ids], count: int, direction: Direction = "both", absent: Mapping[int, Ids] = NONE
) -> list[Block]:
    """What has to be tracked again when a keyframe changes, and what not.

    Tracking `both` ways, a keyframe that shows every object parts the clip: masks on one side do not depend on the
    other. In one direction, masks depend on every keyframe passed so far. Beside its keyframes a block depends on which
    objects are gone where it begins, see `Presence`.

    Args:
        drawn: frame number -> ids of the objects in its keyframe; at least one.
        count: frames of the clip.
        direction: which way to track.
        absent: frame number -> ids of the objects that are said not to be there.

    Returns:
        Blocks in ascending order; together all frames that can be reached.
    """
    order = sorted(drawn.keys() | absent.keys())
    if direction == "forward":
        order = [number for number in order if number >= min(drawn)]
        edges = [*order, count]
        found = [Block(range(low, high), tuple(order[: k + 1])) for k, (low, high) in enumerate(pairwise(edges))]
    elif direction == "backward":
        order = [number for number in order if number <= max(drawn)]
        edges = [0, *(number + 1 for number in order)]
        found = [Block(range(low, high), tuple(order[k:])) for k, (low, high) in enumerate(pairwise(edges))]
    else:
        every, presence = Ids().union(*drawn.values()), Presence(drawn, absent)
        complete = [number for number in order if drawn.get(number, Ids()) | presence.gone(number) >= every]
        found = [
            Block(range(max(low, 0), high), tuple(number for number in order if low <= number <= high))
            for low, high in pairwise([-1, *complete, count])
        ]
    return [block for block in found if block.frames]


@dataclass(frozen=True)
class RangePart:
    """A part of a run that needs nothing of the others.

    Attributes:
        frames: numbers of the frames that get masks, ascending.
        order: the frames one tracker goes through, from a keyframe on, or None where two directions are fused.
    """

    frames: range
    order: range | None


@dataclass(frozen=True)
class Route:
    """Which frames to track, and in which order.

    Attributes:
        frames: numbers of the frames that get masks, ascending.
        parts: of the run, in ascending order.
    """

    frames: range
    parts: tuple[RangePart, ...]


def make_route(
    drawn: Mapping[int, Ids],
    count: int,
    direction: Direction,
    first: int | None = None,
    last: int | None = None,
    absent: Mapping[int, Ids] = NONE,
) -> Route:
    """Frames and order of a run.

    Args:
        drawn: frame number -> ids of the objects in its keyframe; at least one.
        count: frames of the clip.
        direction: which way to track.
        first: first frame asked for, or None.
        last: last frame asked for, or None.
        absent: frame number -> ids of the objects that are said not to be there.

    Raises:
        MediaError: frames outside the clip, or in the wrong order.
        MaskError: no keyframe from which they could be reached.
    """
    first, last = 0 if first is None else first, count - 1 if last is None else last
    if not 0 <= first <= last < count:
        raise MediaError(f"frames {first} to {last} were asked for, but the clip has frames 0 to {count - 1}")
    low, high = min(drawn), max(drawn)
    frames = range(first, last + 1)
    if direction == "both":
        found = (_part(block, frames, drawn) for block in blocks(drawn, count, direction, absent))
        return Route(frames, tuple(part for part in found if part.frames))
    if direction == "forward":
        frames, order = range(max(first, low), last + 1), range(low, last + 1)
    else:
        frames, order = range(first, min(last, high) + 1), range(high, first - 1, -1)
    if not frames:
        where = f"the first mask is on frame {low}" if direction == "forward" else f"the last mask is on frame {high}"
        raise MaskError(
            f"tracking {direction} cannot reach frames {first} to {last}: {where}; "
            "use --direction both, or other frames"
        )
    return Route(frames, (RangePart(frames, order),))


def _part(block: Block, wanted: range, drawn: Mapping[int, Ids]) -> RangePart:
    """What is wanted of a block; where it has one keyframe with masks at an end, there is one way to go."""
    frames = range(max(block.frames.start, wanted.start), min(block.frames.stop, wanted.stop))
    shown = [number for number in block.keyframes if number in drawn]
    if len(shown) == 1 and shown[0] <= frames.start:
        return RangePart(frames, range(shown[0], frames.stop))
    if len(shown) == 1 and shown[0] >= frames.stop:
        return RangePart(frames, range(shown[0], frames.start - 1, -1))
    return RangePart(frames, None)


def spans(numbers: Iterable[int]) -> str:
    """Frame numbers in few words, such as 3-17, 40."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1][1:] = [number]
        else:
            found.append([number])
    return ", ".join("-".join(map(str, span)) for span in found)
