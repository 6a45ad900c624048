"""COCO for images, COCO for video as YouTube-VIS has it, and plain run lengths: exact, by pycocotools."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from agss_model.files import write_json
from agss_model.formats.tracked import Tracked
from agss_model.masks.labels import BoolMask


def encode(mask: BoolMask) -> dict[str, Any]:
    """Run lengths of a (H, W) mask: `{"size": [H, W], "counts": str}`."""
    rle = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def decode(rle: Mapping[str, Any]) -> BoolMask:
    """The (H, W) mask of `encode`."""
    return np.asarray(coco.decode(dict(rle)), dtype=np.bool_)


def _box(rle: Mapping[str, Any]) -> list[float]:
    return [float(value) for value in coco.toBbox(dict(rle)).ravel()]


def _categories(tracked: Tracked) -> list[dict[str, Any]]:
    return [{"id": number, "name": name, "supercategory": ""} for number, name in enumerate(tracked.classes, 1)]


def write_coco(tracked: Tracked, out: Path) -> None:
    """`annotations.json` of COCO instances, and `images/` where the clip is at hand.

    The object's id is `track_id` and, for tools that look there, in `attributes`; its score is `score`.
    """
    classes = {name: number for number, name in enumerate(tracked.classes, 1)}
    width, height = tracked.size
    images, annotations = list[dict[str, Any]](), list[dict[str, Any]]()
    for number, masks in tracked.masks():
        image = {"id": number + 1, "file_name": f"{tracked.stems(number)}.jpg", "width": width, "height": height}
        images.append(image | {"frame": number})
        for object_id, mask in masks.items():
            rle, row = encode(mask), tracked.rows.get((number, object_id))
            about = {
                "id": len(annotations) + 1,
                "image_id": number + 1,
                "category_id": classes[tracked.label(object_id)],
                "segmentation": rle,
                "area": int(mask.sum()),
                "bbox": _box(rle),
                "iscrowd": 0,
                "track_id": object_id,
                "attributes": {"track_id": object_id},
            }
            annotations.append(about | ({} if row is None else {"score": row.score}))
    content = {"info": {"description": tracked.name}, "images": images, "annotations": annotations}
    write_json(out / "annotations.json", content | {"categories": _categories(tracked)})
    tracked.write_frames(out / "images")


def write_coco_video(tracked: Tracked, out: Path) -> None:
    """`annotations.json` of YouTube-VIS: one annotation per object, with one mask or null per frame."""
    classes = {name: number for number, name in enumerate(tracked.classes, 1)}
    width, height = tracked.size
    shown: dict[int, list[dict[str, Any] | None]] = {object_id: [] for object_id in tracked.ids}
    for _, masks in tracked.masks():
        for object_id, found in shown.items():
            found.append(encode(masks[object_id]) if object_id in masks else None)
    names = [f"{tracked.name}/{tracked.stems(number)}.jpg" for number in tracked.frames]
    video = {"id": 1, "width": width, "height": height, "length": len(names), "file_names": names}
    annotations = [
        {
            "id": object_id,
            "video_id": 1,
            "category_id": classes[tracked.label(object_id)],
            "segmentations": found,
            "bboxes": [None if rle is None else _box(rle) for rle in found],
            "areas": [None if rle is None else int(coco.area(rle)) for rle in found],
            "width": width,
            "height": height,
            "iscrowd": 0,
        }
        for object_id, found in shown.items()
    ]
    content = {"videos": [video], "annotations": annotations, "categories": _categories(tracked)}
    write_json(out / "annotations.json", content)
    tracked.write_frames(out / "JPEGImages" / tracked.name)


def write_rle_json(tracked: Tracked, out: Path) -> None:
    """`masks.json`: by frame and object the run lengths of COCO, with class and score."""
    frames = {
        str(number): {
            str(object_id): encode(mask) | _score(tracked, number, object_id) for object_id, mask in masks.items()
        }
        for number, masks in tracked.masks()
    }
    labels = {str(object_id): tracked.label(object_id) for object_id in tracked.ids}
    write_json(out / "masks.json", {"name": tracked.name, "size": tracked.size, "labels": labels, "frames": frames})


def _score(tracked: Tracked, number: int, object_id: int) -> dict[str, float]:
    row = tracked.rows.get((number, object_id))
    return {} if row is None else {"score": row.score}
