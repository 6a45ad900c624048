"""Which frames to track, in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agss_model.errors import MaskError, MediaError

Direction = Literal["forward", "backward", "both"]


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
