"""Boxes and points for a first look without any file, as `--box 1=x,y,w,h` and `--points "1=+x,y;-x,y"` give them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial

from agss_model.errors import ConfigError
from agss_model.formats.drawn import ClipDrawings, DrawnShape, put_together
from agss_model.masks.labels import BoolMask, validate_object_id
from agss_model.masks.points import Point, object_at_points
from agss_model.video.source import FrameSource, Image

Finder = Callable[[Image, tuple[Point, ...], tuple[Point, ...]], BoolMask]
"""From a frame, points on an object and points beside it to the object, see `object_at_points`."""


def read_hints(
    boxes: Iterable[str], points: Iterable[str], source: FrameSource, frame: int = 0, find: Finder = object_at_points
) -> ClipDrawings:
    """Objects of one frame.

    Args:
        boxes: such as "1=10,20,100,50": id, then left, top, width and height in pixels.
        points: such as "2=+30,40;+35,60;-90,90": id, then points on the object and beside it.
        source: the clip.
        frame: which frame they are about.
        find: finds the object at points.

    Raises:
        ConfigError: another form, or one id twice.
        MediaError: the frame is outside the clip.
        MaskError: a box or point outside the frame.
    """
    boxes, points = list(boxes), list(points)
    given = " and ".join(filter(None, ("--box" if boxes else "", "--points" if points else "")))
    shapes = [_boxed(word) for word in boxes]
    for word in points:
        object_id, inside, outside = _pointed(word)
        shapes.append(DrawnShape(object_id, "", partial(find, source.read(frame), inside, outside)))
    ids = [one.object_id for one in shapes]
    if twice := [object_id for object_id in ids if ids.count(object_id) > 1]:
        raise ConfigError(f"object {twice[0]} is given twice; give each object one --box or one --points")
    return put_together({frame: shapes}, source, given)


def _boxed(word: str) -> DrawnShape:
    object_id, rest = _object(word, "--box", "1=x,y,w,h")
    values = _numbers(rest, 4, word, "--box", "1=x,y,w,h")
    return DrawnShape(object_id, "", None, (values[0], values[1], values[2], values[3]))


def _pointed(word: str) -> tuple[int, tuple[Point, ...], tuple[Point, ...]]:
    form = "1=+x,y;-x,y"
    object_id, rest = _object(word, "--points", form)
    found: dict[str, list[Point]] = {"+": [], "-": []}
    for part in filter(None, (part.strip() for part in rest.split(";"))):
        sign = part[0] if part[0] in found else "+"
        x, y = _numbers(part.lstrip("+-"), 2, word, "--points", form)
        found[sign].append((x, y))
    if not found["+"]:
        raise ConfigError(f"--points is {word!r}, which has no point on the object; write it as {form}")
    return object_id, tuple(found["+"]), tuple(found["-"])


def _object(word: str, option: str, form: str) -> tuple[int, str]:
    number, _, rest = word.partition("=")
    if not number.strip().isdecimal():
        raise ConfigError(f"{option} is {word!r}; write it as {form}, with the object's id first")
    return validate_object_id(int(number)), rest


def _numbers(text: str, count: int, word: str, option: str, form: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count or not all(map(math.isfinite, values)):
        raise ConfigError(f"{option} is {word!r}; write it as {form}, in pixels")
    return values
