"""Shapes out of JSON about several frames: COCO, YouTube-VIS, run lengths as `agss export` writes them, Datumaro."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from agss_model.errors import MaskError
from agss_model.formats.drawn import DrawnShape
from agss_model.masks.labels import BoolMask
from agss_model.masks.polygons import Polygon, polygons_to_mask
from agss_model.masks.rle import decode_coco_rle
from agss_model.video.source import FrameSource

FrameOf = Callable[[Path], "int | None"]
"""From the name of an image or a file to the frame it belongs to."""
Shapes = dict[int, list[DrawnShape]]
_IDS = ("track_id", "instance_id", "object_id")
_DATUMARO: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "mask": lambda entry: entry["rle"],
    "polygon": lambda entry: [entry["points"]],
    "bbox": lambda _: None,
}
"""What Datumaro draws, and how COCO would write it; what is none of these is not read."""


def read_json_shapes(content: Any, source: FrameSource, frame_of: FrameOf, frame: int | None) -> Shapes | None:  # noqa: ANN401
    """Shapes of a file by what it holds; None where it is of no such kind.

    Args:
        content: of the file.
        source: the clip.
        frame_of: the frame of an image's name.
        frame: of a file that is about one frame.

    Raises:
        MaskError: of a kind that tells no frames or no masks, or drawn on frames of another size.
    """
    if isinstance(content, list):
        raise MaskError("a list of COCO results does not say what its images are; give a file with 'images' as well")
    if "videos" in content and "annotations" in content:
        return read_coco_video(content, source, frame_of)
    if "annotations" in content:
        if any("segments_info" in entry for entry in content["annotations"]):
            raise MaskError("panoptic COCO keeps its masks in PNG files; convert it to COCO instances")
        return read_coco(content, source, frame_of, frame)
    if "items" in content:
        return read_datumaro(content, source, frame_of, frame)
    if isinstance(content.get("frames"), dict):
        return dict(_of_rle(content, source))
    return None


def check_size(size: tuple[object, object], source: FrameSource, what: str) -> None:
    """Refuse what was drawn on frames of another size, where that is said.

    Raises:
        MaskError: it was.
    """
    width, height = size
    if width and height and (width, height) != source.size:
        raise MaskError(
            f"{what} is of {width}x{height} pixels, but the frames of {source.name} are "
            f"{source.size[0]}x{source.size[1]}; draw on the clip at its own size"
        )


def path_of(name: object) -> Path:
    """A file name, of whatever system."""
    return Path(str(name).replace("\\", "/"))


def read_coco(content: Mapping[str, Any], source: FrameSource, frame_of: FrameOf, frame: int | None = None) -> Shapes:
    """Shapes of COCO instances: run lengths, polygons or boxes; ids as `track_id` or `instance_id`."""
    names = {entry["id"]: str(entry["name"]) for entry in content.get("categories", ())}
    single = len(content["images"]) == 1
    frames = {}
    for image in content["images"]:
        check_size((image.get("width"), image.get("height")), source, f"image {image['file_name']}")
        number = _number(image, frame_of)
        frames[image["id"]] = (frame if frame is not None else number or 0) if single else number
    shapes: Shapes = {}
    for entry in content["annotations"]:
        number = frames[entry["image_id"]]
        if number is None:
            raise MaskError("an image's file_name is neither a frame number nor that of an image of the clip")
        label = names.get(entry.get("category_id"), "")
        shape = _coco_shape(_coco_id(entry), label, entry.get("segmentation"), entry, source)
        shapes.setdefault(int(number), []).append(shape)
    return shapes


def _number(image: Mapping[str, Any], frame_of: FrameOf) -> int | None:
    number = frame_of(path_of(image["file_name"]))
    if number is None and isinstance(image.get("extra"), Mapping):  # what Roboflow calls the file it was given
        number = frame_of(path_of(image["extra"].get("name", "")))
    return image.get("frame") if number is None else number


def _coco_shape(
    object_id: int | None,
    label: str,
    drawn: Any,  # noqa: ANN401 - as the file has it
    entry: Mapping[str, Any],
    source: FrameSource,
) -> DrawnShape:
    """What was drawn, or else the box of the entry."""
    mask, box = _coco_mask(drawn, source), None
    if mask is None:
        left, top, width, height = map(float, entry["bbox"])
        box = (left, top, width, height)
    return DrawnShape(object_id, label, mask, box)


def read_coco_video(content: Mapping[str, Any], source: FrameSource, frame_of: FrameOf) -> Shapes:
    """Shapes of YouTube-VIS: an annotation is an object, with a mask or null for each frame."""
    if len(content["videos"]) != 1:
        raise MaskError(f"the file is about {len(content['videos'])} videos; give one about this clip alone")
    (video,) = content["videos"]
    check_size((video.get("width"), video.get("height")), source, "the video of the file")
    numbers = [frame_of(path_of(name)) for name in video["file_names"]]
    names = {entry["id"]: str(entry["name"]) for entry in content.get("categories", ())}
    shapes: Shapes = {}
    for entry in content["annotations"]:
        label, object_id = names.get(entry.get("category_id"), ""), _coco_id(entry) or int(entry["id"])
        for number, drawn in zip(numbers, entry["segmentations"], strict=True):
            if drawn is None:
                continue
            if number is None:
                raise MaskError("a file_name is neither a frame number nor that of an image of the clip")
            shapes.setdefault(number, []).append(DrawnShape(object_id, label, _coco_mask(drawn, source)))
    return shapes


def _of_rle(content: Mapping[str, Any], source: FrameSource) -> Iterator[tuple[int, list[DrawnShape]]]:
    labels = content.get("labels", {})
    for number, objects in content["frames"].items():
        yield (
            int(number),
            [DrawnShape(int(i), str(labels.get(i, "")), _rle_mask(rle, source)) for i, rle in objects.items()],
        )


def read_datumaro(
    content: Mapping[str, Any], source: FrameSource, frame_of: FrameOf, frame: int | None = None
) -> Shapes:
    """Shapes of a Datumaro file: masks, polygons and boxes; ids as `track_id` or `instance_id`, else the group."""
    names = [str(entry["name"]) for entry in content.get("categories", {}).get("label", {}).get("labels", ())]
    shapes: Shapes = {}
    for item in content["items"]:
        height, width = (item.get("image") or {}).get("size") or (None, None)
        check_size((width, height), source, f"item {item['id']}")
        number = frame_of(path_of(f"{item['id']}.jpg"))
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


def _datumaro_shape(entry: Mapping[str, Any], names: list[str], source: FrameSource) -> DrawnShape:
    place, group = entry.get("label_id"), entry.get("group")
    label = names[place] if place is not None and 0 <= place < len(names) else ""
    object_id = _coco_id(entry)
    if object_id is None and group is not None:
        object_id = int(group) or None
    return _coco_shape(object_id, label, _DATUMARO[entry["type"]](entry), entry, source)


def _joined(found: list[DrawnShape]) -> list[DrawnShape]:
    """Shapes of one object of one frame are its parts, as where an outline comes in several polygons."""
    joined: list[DrawnShape] = []
    for one in found:
        same = [place for place, other in enumerate(joined) if one.object_id and other.object_id == one.object_id]
        if same and one.mask is not None and (other := joined[same[0]].mask) is not None:
            joined[same[0]] = DrawnShape(one.object_id, one.label, partial(_either, other, one.mask))
        else:
            joined.append(one)
    return joined


def _coco_id(entry: Mapping[str, Any]) -> int | None:
    attributes = entry.get("attributes") or {}
    for place in (entry, attributes):
        for name in _IDS:
            if place.get(name) is not None:
                return int(place[name])
    return None


def _either(one: Callable[[], BoolMask], other: Callable[[], BoolMask]) -> BoolMask:
    return one() | other()


def _coco_mask(segmentation: Any, source: FrameSource) -> Callable[[], BoolMask] | None:  # noqa: ANN401 - as the file has it
    if isinstance(segmentation, Mapping):
        return _rle_mask(segmentation, source)
    if not segmentation:
        return None
    width, height = source.size
    rings = segmentation if isinstance(segmentation[0], list) else [segmentation]  # some write a single ring bare
    polygons = [Polygon.from_flat(ring) for ring in rings]
    return partial(polygons_to_mask, polygons, width=width, height=height)


def _rle_mask(rle: Any, source: FrameSource) -> Callable[[], BoolMask]:  # noqa: ANN401 - as the file has it
    """A mask of run lengths, which is no larger than a frame: a few bytes could say that it has a gigabyte."""
    height, width = rle["size"]
    check_size((width, height), source, "a mask")
    return partial(decode_coco_rle, rle)
