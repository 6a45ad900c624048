"""Readers of annotation files; each gives the shapes of frames, by frame number."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from agss_model.cvat import read_cvat_xml
from agss_model.errors import MaskError
from agss_model.formats.drawn import Drawn, Shape, explaining, put_together
from agss_model.masks.labels import BoolMask, object_ids
from agss_model.masks.polygons import Polygon, polygons_to_mask
from agss_model.masks.runs import decode_coco_rle
from agss_model.pictures import read_header
from agss_model.video.source import FrameSource

FrameOf = Callable[[Path], "int | None"]
"""From the name of an image or a file to the frame it belongs to."""


def read_drawn(path: Path, source: FrameSource, frame_of: FrameOf, frame: int | None = None) -> Drawn | None:
    """Read a file of annotations, or a folder of LabelMe or YOLO files; None where it is neither.

    Args:
        path: file or folder.
        source: the clip.
        frame_of: the frame of a file name.
        frame: of a single file that is about one frame.

    Raises:
        MediaError: damaged, or of another format.
        MaskError: as `put_together`.
    """
    if path.is_file() and path.suffix.lower() in (".xml", ".zip"):
        return explaining(path, lambda: read_cvat(path, source))
    if path.is_file() and path.suffix.lower() in (".json", ".txt"):
        return explaining(path, lambda: _read_file(path, source, frame_of, frame))
    files = _files(path) if path.is_dir() else []
    if not files:
        return None
    return explaining(path, lambda: put_together(_read_folder(files, source, frame_of), source, str(path)))


def _files(folder: Path) -> list[Path]:
    """LabelMe or YOLO files, where a folder holds no mask images."""
    found = sorted(path for path in folder.iterdir() if path.name[0] != ".")
    json_files = [path for path in found if path.suffix.lower() == ".json"]
    return json_files or [path for path in found if path.suffix.lower() == ".txt" and path.name != "classes.txt"]


def _read_folder(files: list[Path], source: FrameSource, frame_of: FrameOf) -> dict[int, list[Shape]]:
    shapes: dict[int, list[Shape]] = {}
    for path in files:
        number = frame_of(path)
        if number is None:
            raise MaskError(f"the name of {path} is neither a frame number nor that of an image")
        shapes.setdefault(number, []).extend(_shapes_of_one(path, source))
    return shapes


def _shapes_of_one(path: Path, source: FrameSource) -> list[Shape]:
    if path.suffix.lower() == ".txt":
        return read_yolo(path, source)
    content = json.loads(path.read_text(encoding="utf-8"))
    if "shapes" not in content:
        raise ValueError(f"{path.name} has no shapes")
    return read_labelme(content, source)


def _read_file(path: Path, source: FrameSource, frame_of: FrameOf, frame: int | None) -> Drawn:
    content = json.loads(path.read_text(encoding="utf-8")) if path.suffix.lower() == ".json" else {}
    if "annotations" in content:
        shapes = read_coco(content, source, frame_of, frame)
    elif "items" in content:
        shapes = read_datumaro(content, source, frame_of, frame)
    else:
        number = frame_of(path) if frame is None else frame
        shapes = {number or 0: _shapes_of_one(path, source)}
    return put_together(shapes, source, str(path))


def read_coco(
    content: Mapping[str, Any], source: FrameSource, frame_of: FrameOf, frame: int | None = None
) -> dict[int, list[Shape]]:
    """Shapes of COCO instances: run lengths, polygons or boxes; ids as `track_id` or `instance_id`."""
    names = {int(entry["id"]): str(entry["name"]) for entry in content.get("categories", ())}
    frames = {}
    for image in content["images"]:
        number = frame_of(Path(str(image["file_name"])))
        number = image.get("frame", number) if number is None else number
        frames[image["id"]] = frame if len(content["images"]) == 1 and frame is not None else number
    shapes: dict[int, list[Shape]] = {}
    for entry in content["annotations"]:
        number = frames[entry["image_id"]]
        if number is None and len(frames) == 1:
            number = 0
        if number is None:
            raise MaskError("an image's file_name is neither a frame number nor that of an image of the clip")
        label = names.get(int(entry["category_id"]), "")
        mask = _coco_mask(entry.get("segmentation"), source)
        box = None if mask is not None else tuple(map(float, entry["bbox"]))
        shapes.setdefault(int(number), []).append(Shape(_coco_id(entry), label, mask, box))  # type: ignore[arg-type]
    return shapes


def read_datumaro(
    content: Mapping[str, Any], source: FrameSource, frame_of: FrameOf, frame: int | None = None
) -> dict[int, list[Shape]]:
    """Shapes of a Datumaro file: masks, polygons and boxes; ids as `track_id` or `instance_id`, else the group."""
    names = [str(entry["name"]) for entry in content["categories"]["label"]["labels"]]
    shapes: dict[int, list[Shape]] = {}
    for item in content["items"]:
        number = frame_of(Path(f"{item['id']}.jpg"))
        number = (item.get("attr") or {}).get("frame") if number is None else number
        if frame is not None and len(content["items"]) == 1:
            number = frame
        entries = sorted(item["annotations"], key=lambda entry: entry.get("z_order") or 0)
        found = [_datumaro_shape(entry, names, source) for entry in entries if entry["type"] in _DATUMARO]
        if not found:
            continue
        if number is None:
            raise MaskError(f"item {item['id']} is neither a frame number nor that of an image of the clip")
        shapes[int(number)] = _joined(found)
    return shapes


_DATUMARO = ("mask", "polygon", "bbox")


def _datumaro_shape(entry: Mapping[str, Any], names: list[str], source: FrameSource) -> Shape:
    label, group = names[entry["label_id"]] if entry.get("label_id") is not None else "", entry.get("group")
    object_id = _coco_id(entry)
    if object_id is None and group is not None:
        object_id = int(group) or None
    if entry["type"] == "bbox":
        left, top, width, height = map(float, entry["bbox"])
        return Shape(object_id, label, None, (left, top, width, height))
    return Shape(object_id, label, _coco_mask(entry["rle"] if entry["type"] == "mask" else [entry["points"]], source))


def _joined(found: list[Shape]) -> list[Shape]:
    """Shapes of one object of one frame are its parts, as where an outline comes in several polygons."""
    joined = list[Shape]()
    for one in found:
        same = [k for k, other in enumerate(joined) if other.object_id == one.object_id is not None]
        if same and one.mask is not None and (other := joined[same[0]]).mask is not None:
            joined[same[0]] = Shape(one.object_id, one.label, one.mask | other.mask)
        else:
            joined.append(one)
    return joined


def _coco_id(entry: Mapping[str, Any]) -> int | None:
    attributes = entry.get("attributes") or {}
    for place in (entry, attributes):
        for name in ("track_id", "instance_id"):
            if place.get(name) is not None:
                return int(place[name])
    return None


def _coco_mask(segmentation: Any, source: FrameSource) -> BoolMask | None:  # noqa: ANN401 - whatever the file holds
    if isinstance(segmentation, Mapping):
        return decode_coco_rle(segmentation)
    if not segmentation:
        return None
    width, height = source.size
    return polygons_to_mask([Polygon.from_flat(ring) for ring in segmentation], width=width, height=height)


def read_labelme(content: Mapping[str, Any], source: FrameSource) -> list[Shape]:
    """Shapes of a LabelMe file: polygons, masks, rectangles and circles; `group_id` is the id where all have one."""
    width, height = source.size
    found, shapes = [], content["shapes"]
    for entry in shapes:
        points = np.asarray(entry["points"], dtype=np.float64).reshape(-1, 2)
        kind, mask, box = entry.get("shape_type", "polygon"), None, None
        if kind == "mask":
            mask = _pasted(entry["mask"], points, (height, width))
        elif kind == "rectangle":
            low, high = points.min(0), points.max(0)
            box = (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
        elif kind in ("polygon", "linestrip"):
            mask = polygons_to_mask([Polygon.from_flat(points.ravel().tolist())], width=width, height=height)
        elif kind == "circle":
            radius = float(np.linalg.norm(points[1] - points[0]))
            y, x = np.ogrid[:height, :width]
            mask = (x + 0.5 - points[0, 0]) ** 2 + (y + 0.5 - points[0, 1]) ** 2 <= radius**2
        else:
            raise MaskError(f"a shape of kind {kind!r} has no area; draw a polygon, a mask or a rectangle")
        found.append(Shape(entry.get("group_id"), str(entry["label"]), mask, box))
    return found


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


def read_yolo(path: Path, source: FrameSource) -> list[Shape]:
    """Shapes of a YOLO file: `class x y w h` for boxes (and then an id), `class x y x y ...` for outlines."""
    width, height = source.size
    classes = path.with_name("classes.txt")
    names = classes.read_text(encoding="utf-8").splitlines() if classes.is_file() else []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, *numbers = line.split() or [""]
        if not kind:
            continue
        values, place = [float(number) for number in numbers], int(kind)
        label = names[place] if 0 <= place < len(names) else f"class {place}"
        if len(values) in (4, 5):
            x, y, w, h = values[0] * width, values[1] * height, values[2] * width, values[3] * height
            object_id = int(values[4]) if len(values) == 5 else None
            found.append(Shape(object_id, label, None, (x - w / 2, y - h / 2, w, h)))
        else:
            points = np.asarray(values).reshape(-1, 2) * (width, height)
            polygon = Polygon.from_flat(points.ravel().tolist())
            found.append(Shape(None, label, polygons_to_mask([polygon], width=width, height=height)))
    return found


def read_cvat(path: Path, source: FrameSource) -> Drawn:
    """Everything that people drew in an export of CVAT, and where they said that an object is not there.

    Raises:
        MediaError: damaged, of another format, or of several tasks.
        MaskError: nothing is drawn, or of another size.
    """
    videos = read_cvat_xml(path)
    if len(videos) != 1:
        raise MaskError(f"{path} holds {len(videos)} tasks; export the one of this clip")
    (video,) = videos
    if (video.width, video.height) != source.size:
        raise MaskError(f"{path} is of {video.width}x{video.height} pixels, but {source.name} of {source.size}")
    maps = {number: video.label_map(number) for number in video.frames()}
    absent = {number: frozenset(video.known(number)) - set(object_ids(maps[number])) for number in maps}
    drawn = frozenset(object_id for label_map in maps.values() for object_id in object_ids(label_map))
    if not drawn:
        raise MaskError(f"{path} holds nothing that a person drew")
    return Drawn(
        {number: label_map for number, label_map in maps.items() if object_ids(label_map)},
        {entry.id: entry.label for entry in video.objects if entry.id in drawn},
        {number: ids & drawn for number, ids in absent.items() if ids & drawn},
    )
