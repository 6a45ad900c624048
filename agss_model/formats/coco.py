"""COCO for images, COCO for video as YouTube-VIS has it, and plain run lengths: exact, by pycocotools."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pycocotools import mask as coco

from agss_model.files import write_json
from agss_model.formats.clip import FrameMasks, MaskedClip
from agss_model.masks.rle import encode_coco_rle


def _box(rle: Mapping[str, Any]) -> list[float]:
    return [float(value) for value in coco.toBbox(dict(rle)).ravel()]


def _categories(clip: MaskedClip) -> list[dict[str, Any]]:
    return [{"id": number, "name": name, "supercategory": ""} for number, name in enumerate(clip.classes, 1)]


def _score(frame: FrameMasks, object_id: int) -> dict[str, float]:
    return {"score": frame.scores[object_id]} if object_id in frame.scores else {}


def write_coco(clip: MaskedClip, out: Path) -> None:
    """`annotations.json` of COCO instances, and `images/` where the clip is at hand.

    The object's id is `track_id` and, for tools that look there, in `attributes`; its score is `score`.
    """
    classes = {name: number for number, name in enumerate(clip.classes, 1)}
    width, height = clip.size
    images, annotations = list[dict[str, Any]](), list[dict[str, Any]]()
    for frame in clip.each():
        image = {"id": frame.number + 1, "file_name": clip.picture(frame.number), "width": width, "height": height}
        images.append(image | {"frame": frame.number})
        for object_id, mask in sorted(frame.masks.items()):
            rle = encode_coco_rle(mask)
            about = {
                "id": len(annotations) + 1,
                "image_id": frame.number + 1,
                "category_id": classes[clip.labels[object_id]],
                "segmentation": rle,
                "area": int(mask.sum()),
                "bbox": _box(rle),
                "iscrowd": 0,
                "track_id": object_id,
                "attributes": {"track_id": object_id},
            }
            annotations.append(about | _score(frame, object_id))
    content = {"info": {"description": clip.name}, "images": images, "annotations": annotations}
    write_json(out / "annotations.json", content | {"categories": _categories(clip)})
    clip.write_pictures(out / "images", clip.frames)


def write_coco_video(clip: MaskedClip, out: Path) -> None:
    """`annotations.json` of YouTube-VIS: one annotation per object, with one mask or null per frame."""
    classes = {name: number for number, name in enumerate(clip.classes, 1)}
    width, height = clip.size
    shown: dict[int, list[dict[str, Any] | None]] = {object_id: [] for object_id in sorted(clip.labels)}
    for frame in clip.each():
        for object_id, found in shown.items():
            found.append(encode_coco_rle(frame.masks[object_id]) if object_id in frame.masks else None)
    names = [f"{clip.name}/{clip.picture(number)}" for number in clip.frames]
    video = {"id": 1, "width": width, "height": height, "length": len(names), "file_names": names}
    annotations = [
        {
            "id": object_id,
            "video_id": 1,
            "category_id": classes[clip.labels[object_id]],
            "segmentations": found,
            "bboxes": [None if rle is None else _box(rle) for rle in found],
            "areas": [None if rle is None else int(coco.area(rle)) for rle in found],
            "width": width,
            "height": height,
            "iscrowd": 0,
        }
        for object_id, found in shown.items()
    ]
    content = {"videos": [video], "annotations": annotations, "categories": _categories(clip)}
    write_json(out / "annotations.json", content)
    clip.write_pictures(out / "JPEGImages" / clip.name, clip.frames)


def write_rle_json(clip: MaskedClip, out: Path) -> None:
    """`masks.json`: by frame and object the run lengths of COCO, with class and score."""
    frames = {
        str(frame.number): {
            str(object_id): encode_coco_rle(mask) | _score(frame, object_id)
            for object_id, mask in sorted(frame.masks.items())
        }
        for frame in clip.each()
    }
    labels = {str(object_id): label for object_id, label in clip.labels.items()}
    write_json(out / "masks.json", {"name": clip.name, "size": clip.size, "labels": labels, "frames": frames})
