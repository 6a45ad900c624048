"""Keyframes from boxes and points, for a first look without any file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from agss_model.engines.loading import Engine
from agss_model.formats.hints import read_hints
from agss_model.likeness import likeness
from agss_model.masks.points import object_at_points
from agss_model.runs.keyframes import Keyframes, keyframes_of
from agss_model.video.source import FrameSource


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
    find = partial(object_at_points, likeness=partial(likeness, engine.network))
    return keyframes_of(read_hints(boxes, points, source, frame or 0, find), "--box and --points")
