"""Shapes out of files about one frame: LabelMe JSON, YOLO text."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from agss_model.errors import MaskError
from agss_model.formats.drawn import DrawnShape
from agss_model.formats.read_json import check_size
from agss_model.masks.labels import BoolMask
from agss_model.masks.polygons import Polygon, polygons_to_mask
from agss_model.pictures import read_header
from agss_model.video.source import FrameSource

_OUTLINES = ("polygon", "linestrip", "rotation")
_NO_AREA = ("point", "points", "line")
_LARGEST_TEXT = 16 << 20  # bytes of the labels of one frame


def read_labelme(content: Mapping[str, Any], source: FrameSource) -> list[DrawnShape]:
    """Shapes of a LabelMe file: polygons, masks, rectangles and circles; `group_id` is the id where all have one.

    Points and lines have no area and are passed over, unless there is nothing else.
    """
    check_size((content.get("imageWidth"), content.get("imageHeight")), source, "the image of the file")
    width, height = source.size
    shapes = [entry for entry in content["shapes"] if entry.get("shape_type") not in _NO_AREA]
    found = []
    for entry in shapes or content["shapes"]:
        points = np.asarray(entry["points"], dtype=np.float64).reshape(-1, 2)
        kind, box = entry.get("shape_type") or "polygon", None
        mask: Callable[[], BoolMask] | None = None
        if kind == "mask":
            mask = partial(_pasted, entry["mask"], points, (height, width))
        elif kind == "rectangle":
            low, high = points.min(0), points.max(0)
            box = (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
        elif kind in _OUTLINES:
            outline = [Polygon.from_flat(points.ravel().tolist())]
            mask = partial(polygons_to_mask, outline, width=width, height=height)
        elif kind == "circle":
            mask = partial(_disc, points[0], points[1], (height, width))
        else:
            raise MaskError(f"a shape of kind {kind!r} has no area; draw a polygon, a mask or a rectangle")
        found.append(DrawnShape(entry.get("group_id"), str(entry["label"]), mask, box))
    return found


def _disc(centre: npt.NDArray[np.float64], rim: npt.NDArray[np.float64], shape: tuple[int, int]) -> BoolMask:
    y, x = np.ogrid[: shape[0], : shape[1]]
    inside: BoolMask = (x + 0.5 - centre[0]) ** 2 + (y + 0.5 - centre[1]) ** 2 <= np.square(rim - centre).sum()
    return inside


def _pasted(data: str, points: npt.NDArray[np.float64], shape: tuple[int, int]) -> BoolMask:
    """A mask in the place that LabelMe gives it."""
    png = base64.b64decode(data)
    width, height = read_header(png, "a mask of LabelMe", ("PNG",)).size
    mask = np.zeros(shape, dtype=np.bool_)
    left, top = (math.floor(value) for value in points[0])
    if left < 0 or top < 0 or left + width > shape[1] or top + height > shape[0]:
        raise MaskError("a mask of LabelMe reaches beyond the frame; draw it on a frame of this clip")
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise MaskError("a mask of LabelMe is damaged; save the file again")
    mask[top : top + height, left : left + width] = np.asarray(image) > 0
    return mask


def read_yolo(path: Path, source: FrameSource) -> list[DrawnShape]:
    """Shapes of a YOLO file: `class x y w h` for boxes, `class x y x y ...` for outlines.

    Behind them there may be a confidence and an id, as trackers of Ultralytics write them.
    """
    if path.stat().st_size > _LARGEST_TEXT:
        raise MaskError(
            f"{path.name} has more than {_LARGEST_TEXT >> 20} MiB, which is more than the labels of a frame"
        )
    width, height = source.size
    lists = (path.with_name("classes.txt"), path.parent.with_name("classes.txt"), path.parent.with_name("obj.names"))
    classes = next((each for each in lists if each.is_file()), None)
    names = classes.read_text(encoding="utf-8-sig").splitlines() if classes is not None else []
    lines = [line.split() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    rows = [(int(float(kind)), [float(number) for number in numbers]) for kind, *numbers in lines]
    tracked = any(values and values[-1] > 1 for _, values in rows)
    found = []
    for place, row in rows:
        values, object_id = _without_tail(row, tracked=tracked)
        label = names[place] if 0 <= place < len(names) else f"class {place}"
        if len(values) == 4:
            x, y, w, h = values[0] * width, values[1] * height, values[2] * width, values[3] * height
            found.append(DrawnShape(object_id, label, None, (x - w / 2, y - h / 2, w, h)))
        else:
            points = np.asarray(values).reshape(-1, 2) * (width, height)
            outline = [Polygon.from_flat(points.ravel().tolist())]
            found.append(DrawnShape(object_id, label, partial(polygons_to_mask, outline, width=width, height=height)))
    return found


def _without_tail(values: list[float], *, tracked: bool) -> tuple[list[float], int | None]:
    """Coordinates, which are shares of 1, and the id behind them; a confidence goes.

    Args:
        values: of a line.
        tracked: some line of the file ends with an id above 1, so all end with one.
    """
    object_id = None
    boxed = len(values) in (5, 6)  # six with a 1 at the end could be a triangle, which nobody draws
    if len(values) > 4 and (tracked or (values[-1] == 1 and (boxed or len(values) % 2))):
        values, object_id = values[:-1], int(values[-1])
    return (values[:-1] if len(values) % 2 else values), object_id
