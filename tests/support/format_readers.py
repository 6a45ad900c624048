"""Each format read back by the library or rule that others read it with, as label maps by frame number."""

from __future__ import annotations

import base64
import io
import json

import av
import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from agss_model.cvat import read_cvat_xml


def painted(size, pairs):
    label_map = np.zeros(size[::-1], np.uint16)
    for object_id, mask in pairs:
        label_map[np.asarray(mask).astype(bool)] = object_id
    return label_map


def coco(out, size):
    data = COCO(str(out / "annotations.json"))
    for image in data.loadImgs(sorted(data.getImgIds())):
        found = data.loadAnns(data.getAnnIds(imgIds=[image["id"]]))
        yield image["frame"], painted(size, ((one["track_id"], data.annToMask(one)) for one in found))


def coco_video(out, size):
    data = json.loads((out / "annotations.json").read_text())
    names = data["videos"][0]["file_names"]
    for place, name in enumerate(names):
        shown = ((one["id"], one["segmentations"][place]) for one in data["annotations"])
        pairs = ((object_id, coco_mask.decode(rle)) for object_id, rle in shown if rle is not None)
        yield int(name.rsplit("/")[-1].split(".")[0]), painted(size, pairs)


def rle_json(out, size):
    data = json.loads((out / "masks.json").read_text())
    for number, objects in data["frames"].items():
        yield int(number), painted(size, ((int(i), coco_mask.decode(rle)) for i, rle in objects.items()))


def davis(out, size):
    for path in sorted((out / "Annotations" / "480p").glob("*/*.png")):
        yield int(path.stem), np.array(Image.open(path))


def youtube_vos(out, size):
    meta = json.loads((out / "meta.json").read_text())["videos"]
    for path in sorted((out / "Annotations").glob("*/*.png")):
        label_map = np.array(Image.open(path))
        for object_id, about in meta[path.parent.name]["objects"].items():
            assert (path.stem in about["frames"]) == bool((label_map == int(object_id)).any())
        yield int(path.stem), label_map


def labelme(out, size):
    for path in sorted(out.glob("*.json")):
        data = json.loads(path.read_text())
        assert [data["imageWidth"], data["imageHeight"]] == list(size)
        label_map = np.zeros(size[::-1], np.uint16)
        for shape in data["shapes"]:
            (left, top), (right, bottom) = shape["points"]
            mask = np.array(Image.open(io.BytesIO(base64.b64decode(shape["mask"])))).astype(bool)
            label_map[top : bottom + 1, left : right + 1][mask] = shape["group_id"]
        yield int(path.stem), label_map


def cvat_video(out, size):
    (video,) = read_cvat_xml(out / "annotations.xml")
    for number in video.frames("all"):
        yield number, video.label_map(number, "all")


READERS = {
    "coco": coco, "coco-video": coco_video, "rle-json": rle_json, "davis": davis, "youtube-vos": youtube_vos,
    "labelme": labelme, "cvat-video": cvat_video,
}  # fmt: skip
"""Exact ones; YOLO and the video of the objects have no ids."""


def alpha(path):
    """(H, W, 4) frames of a video of the objects."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgba") for frame in container.decode(video=0)]
