"""Folders of files per frame: DAVIS, YouTube-VOS, YOLO segmentation, LabelMe."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agss_model.files import explained, write_bytes, write_json
from agss_model.formats.tracked import Tracked
from agss_model.masks.files import write_label_map
from agss_model.masks.labels import BoolMask
from agss_model.masks.polygons import mask_to_polygons


def write_davis(tracked: Tracked, out: Path) -> None:
    """`Annotations/480p/NAME/*.png` as DAVIS has them, and `JPEGImages/480p/NAME/*.jpg` where the clip is at hand."""
    _write_maps(tracked, _made(out / "Annotations" / "480p" / tracked.name))
    tracked.write_frames(out / "JPEGImages" / "480p" / tracked.name)


def write_youtube_vos(tracked: Tracked, out: Path) -> None:
    """`Annotations/NAME/*.png`, `meta.json` with the class and frames of every object, and `JPEGImages/NAME/*.jpg`."""
    _write_maps(tracked, _made(out / "Annotations" / tracked.name))
    frames: dict[int, list[str]] = {object_id: [] for object_id in tracked.ids}
    for number, masks in tracked.masks():
        for object_id in masks:
            frames[object_id].append(tracked.stems(number))
    objects = {str(i): {"category": tracked.label(i), "frames": found} for i, found in frames.items()}
    write_json(out / "meta.json", {"videos": {tracked.name: {"objects": objects}}})
    tracked.write_frames(out / "JPEGImages" / tracked.name)


def _write_maps(tracked: Tracked, folder: Path) -> None:
    for number in tracked.frames:
        write_label_map(folder / f"{tracked.stems(number)}.png", tracked.read(number))


def _made(folder: Path) -> Path:
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_yolo(tracked: Tracked, out: Path) -> None:
    """`labels/*.txt` of YOLO segmentation, `data.yaml`, and `images/` where the clip is at hand.

    One line per connected part of an object: class, then the outline in shares of width and height. The format has no
    holes and no ids: holes are filled, ids are lost; the outer borders are exact.
    """
    folder, classes = _made(out / "labels"), tracked.classes
    side = np.array(tracked.size, dtype=np.float64)
    for number, masks in tracked.masks():
        lines = [
            " ".join([str(classes.index(tracked.label(object_id))), *(f"{v:.8f}" for v in (part.outer / side).ravel())])
            for object_id, mask in masks.items()
            for part in mask_to_polygons(mask)
        ]
        write_bytes(folder / f"{tracked.stems(number)}.txt", "".join(f"{line}\n" for line in lines).encode())
    names = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(classes))
    write_bytes(out / "data.yaml", f"path: .\ntrain: images\nval: images\nnames:\n{names}".encode())
    tracked.write_frames(out / "images")


def write_labelme(tracked: Tracked, out: Path) -> None:
    """One LabelMe JSON per frame, with shapes of type `mask` (LabelMe 5.3 and later), exact; the id is the group."""
    _made(out)
    width, height = tracked.size
    for number, masks in tracked.masks():
        stem = tracked.stems(number)
        content: dict[str, Any] = {
            "version": "5.5.0",
            "flags": {},
            "shapes": [_shape(tracked.label(object_id), object_id, mask) for object_id, mask in masks.items()],
            "imagePath": f"{stem}.jpg",
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        write_json(out / f"{stem}.json", content)
    tracked.write_frames(out)


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
