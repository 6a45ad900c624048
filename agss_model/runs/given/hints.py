"""Keyframes from boxes and points, for a first look without any file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from agss_model.engines.loading import Engine
from agss_model.formats.hints import read_hints
from agss_model.masks.labels import BoolMask
from agss_model.masks.points import Point, object_at_points, with_points
from agss_model.network.base import AGSSVOS
from agss_model.runs.given.keyframes import Keyframes, keyframes_of
from agss_model.tracking.likeness import likeness
from agss_model.tracking.tracker import Tracker
from agss_model.video.source import FrameSource, Image


def hinted(
    boxes: Sequence[str], points: Sequence[str], source: FrameSource, frame: int | None, engine: Engine
) -> Keyframes:
    """Objects in boxes and at points of one frame; see `agss_model.formats.hints`.

    Args:
        boxes: such as "1=10,20,100,50".
        points: such as "2=+30,40;-90,90".
        source: the clip.
        frame: which one they are about, None for the first.
        engine: its network says what looks like the points.

    Raises:
        ConfigError: another form, or one id twice.
        MediaError: the frame is outside the clip.
        MaskError: a box or point outside the frame.
    """
    find = partial(found_by, engine.network)
    return keyframes_of(read_hints(boxes, points, source, frame or 0, find), "--box and --points")


def found_by(network: AGSSVOS, frame: Image, inside: tuple[Point, ...], outside: tuple[Point, ...]) -> BoolMask:
    """The object at points, as the network finds it again in the frame in which it was shown it.

    Mean overlap with the truth on the first frames of ten DAVIS-2016 sequences, three draws of three points on the
    object and two beside it (`examples/points_on_davis.py`): 0.575 as `object_at_points` finds it, 0.610 so;
    none of the thirty is worse, to two digits.

    Args:
        network: in eval mode.
        frame: (H, W, 3) uint8 RGB.
        inside: points on the object, at least one.
        outside: points beside it.

    Returns:
        (H, W) bool.

    Raises:
        MaskError: as `object_at_points`.
    """
    begun = object_at_points(frame, inside, outside, partial(likeness, network))
    tracker = Tracker(network)
    tracker.add(frame, {1: begun})
    again = tracker.step(frame).label_map == 1
    return with_points(again if again.any() else begun, inside, outside)
