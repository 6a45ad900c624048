"""Folders of files per frame: DAVIS, YouTube-VOS, YOLO segmentation, LabelMe."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agss_model.files import explained, write_bytes, write_json
from agss_model.formats.clip import MaskedClip
from agss_model.formats.names import write_names
from agss_model.masks.files import write_label_map
from agss_model.masks.labels import BoolMask, object_ids
from agss_model.masks.polygons import mask_to_polygons


def write_davis(clip: MaskedClip, out: Path) -> None:
    """`Annotations/480p/NAME/*.png` as DAVIS has them, and `JPEGImages/480p/NAME/` where the clip is at hand.

    `ImageSets/2017/train.txt` lists the clip; `objects.json` says what DAVIS leaves open: the class of each object.
    """
    _write_maps(clip, _made(out / "Annotations" / "480p" / clip.name))
    write_bytes(_made(out / "ImageSets" / "2017") / "train.txt", f"{clip.name}\n".encode())
    write_names(out / "objects.json", clip)
    clip.write_pictures(out / "JPEGImages" / "480p" / clip.name)


def write_youtube_vos(clip: MaskedClip, out: Path) -> None:
    """`Annotations/NAME/*.png`, `meta.json` with class and frames of every object, and `JPEGImages/NAME/`."""
    write_names(out / "meta.json", clip, _write_maps(clip, _made(out / "Annotations" / clip.name)))
    clip.write_pictures(out / "JPEGImages" / clip.name)


def _write_maps(clip: MaskedClip, folder: Path) -> dict[int, list[str]]:
    """Write label maps; returns the names of the frames in which each object is seen."""
    seen: dict[int, list[str]] = {object_id: [] for object_id in clip.labels}
    for number, label_map in clip.label_maps():
        write_label_map(folder / f"{clip.stem(number)}.png", label_map)
        for object_id in object_ids(label_map):
            seen[object_id].append(clip.stem(number))
    return seen


def _made(folder: Path) -> Path:
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_yolo(clip: MaskedClip, out: Path) -> None:
    """`labels/*.txt` of YOLO segmentation, `data.yaml`, and `images/` where the clip is at hand.

    One line per connected part of an object: class, then the outline in shares of width and height. The format has no
    holes and no ids: holes are filled, ids are lost; the outer borders are exact.
    """
    folder, classes = _made(out / "labels"), clip.classes
    side = np.array(clip.size, dtype=np.float64)
    for frame in clip.each():
        lines = [
            " ".join([str(classes.index(clip.labels[object_id])), *(f"{v:.8f}" for v in (part.outer / side).ravel())])
            for object_id, mask in sorted(frame.masks.items())
            for part in mask_to_polygons(mask)
        ]
        write_bytes(folder / f"{clip.stem(frame.number)}.txt", "".join(f"{line}\n" for line in lines).encode())
    names = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(classes))
    write_bytes(out / "data.yaml", f"train: images\nval: images\nnames:\n{names}".encode())
    clip.write_pictures(out / "images", clip.frames)


def write_labelme(clip: MaskedClip, out: Path) -> None:
    """One LabelMe JSON per frame, with shapes of type `mask` (LabelMe 5.3 and later), exact; the id is the group."""
    width, height = clip.size
    for frame in clip.each():
        shapes = [_shape(clip.labels[object_id], object_id, mask) for object_id, mask in sorted(frame.masks.items())]
        content: dict[str, Any] = {
            "version": "5.5.0",
            "flags": {},
            "shapes": shapes,
            "imagePath": clip.picture(frame.number),
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        write_json(out / f"{clip.stem(frame.number)}.json", content)
    clip.write_pictures(out, clip.frames)


def _shape(label: str, object_id: int, mask: BoolMask) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom, left, right = (int(value) for value in (rows[0], rows[-1], columns[0], columns[-1]))
    box = mask[top : bottom + 1, left : right + 1].astype(np.uint8)
    _, png = cv2.imencode(".png", box)
    return {
        "label": label,
        "points": [[left, top], [right, bottom]],
        "group_id": object_id,
        "shape_type": "mask",
        "flags": {},
        "description": "",
        "mask": base64.b64encode(png.tobytes()).decode("ascii"),
    }
