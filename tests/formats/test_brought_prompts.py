"""Prompts as many programs write them: the same two objects come out of each, or a sentence says what to do."""

from __future__ import annotations

import base64
import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from stand_ins import masked_clip

from agss_model.errors import AgssError
from agss_model.formats.registry import export
from agss_model.runs.given.keyframes import read_keyframes

SIZE = WIDTH, HEIGHT = 40, 30
ONE, TWO = (4, 3, 15, 12), (20, 15, 34, 27)  # left, top, right, bottom
NAMES = {1: "person", 2: "dog"}


class Clip:
    name, size, fps = "clip", SIZE, 25.0

    def __len__(self):
        return 20

    def read(self, index):
        return np.full((HEIGHT, WIDTH, 3), 30, np.uint8)


def mask(box):
    found = np.zeros((HEIGHT, WIDTH), bool)
    found[box[1] : box[3], box[0] : box[2]] = True
    return found


def label_map():
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    found[mask(ONE)], found[mask(TWO)] = 1, 2
    return found


def ring(box):
    left, top, right, bottom = box
    return [left, top, right, top, right, bottom, left, bottom]


def runs(box):
    found = coco_mask.encode(np.asfortranarray(mask(box), np.uint8))
    return {"size": [HEIGHT, WIDTH], "counts": found["counts"].decode()}


def long_runs(box):
    flat = mask(box).T.ravel()
    borders = np.flatnonzero(np.diff(flat)) + 1
    return {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *borders, flat.size]).tolist()}


def coco(drawn=ring, images=None, **more):
    images = images or [{"id": 1, "file_name": "frame_000007.PNG", "width": WIDTH, "height": HEIGHT}]
    entries = []
    for number, box in ((1, ONE), (2, TWO)):
        segmentation = [drawn(box)] if drawn is ring else drawn(box)
        entry = {"id": number, "image_id": images[0]["id"], "category_id": number, "segmentation": segmentation}
        entry |= {"area": 1, "iscrowd": 0, "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]]}
        entries.append({key: value for key, value in (entry | more).items() if value is not None})
    categories = [{"id": number, "name": name, "supercategory": ""} for number, name in NAMES.items()]
    return {"licenses": [], "info": {}, "categories": categories, "images": images, "annotations": entries}


def labelme(**shapes):
    found = [
        {"label": NAMES[number], "points": np.reshape(ring(box), (-1, 2)).tolist(), "group_id": number,
         "shape_type": "polygon", "flags": {}}
        for number, box in ((1, ONE), (2, TWO))
    ]  # fmt: skip
    found = [shape | shapes for shape in found]
    return {"version": "5.4.1", "flags": {}, "shapes": found, "imagePath": "x.jpg", "imageData": None,
            "imageHeight": HEIGHT, "imageWidth": WIDTH}  # fmt: skip


def datumaro(kind="polygon", **more):
    entries = []
    for number, box in ((1, ONE), (2, TWO)):
        entry = {"id": number, "type": kind, "label_id": number - 1, "group": 0, "z_order": 0, "attributes": {}}
        entry |= {"polygon": {"points": ring(box)}, "mask": {"rle": runs(box)}}[kind]
        entries.append(entry | {"attributes": {"track_id": number, "occluded": False}} | more)
    item = {"id": "frame_000007", "annotations": entries, "attr": {"frame": 7}, "image": {"size": [HEIGHT, WIDTH]}}
    labels = [{"name": name, "parent": "", "attributes": []} for name in NAMES.values()]
    return {"dm_format_version": "1.0", "info": {}, "categories": {"label": {"labels": labels}}, "items": [item]}


def yolo(tail="", box=False):
    lines = []
    for number, (left, top, right, bottom) in ((1, ONE), (2, TWO)):
        values = np.reshape(ring((left, top, right, bottom)), (-1, 2)) / SIZE
        if box:
            middle, side = ((left + right) / 2, (top + bottom) / 2), (right - left, bottom - top)
            values = np.array([middle, side]) / SIZE
        words = [str(number - 1), *(f"{value:g}" for value in values.ravel()), *tail.format(number).split()]
        lines.append(" ".join(words))
    return "\n".join(lines) + "\n"


def cvat_images(body):
    size = f'name="frame_000007" width="{WIDTH}" height="{HEIGHT}"'
    labels = "".join(f"<label><name>{name}</name></label>" for name in NAMES.values())
    return (
        '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><task><id>3</id><name>t</name>'
        f"<size>20</size><mode>annotation</mode><start_frame>0</start_frame><stop_frame>19</stop_frame>"
        f'<labels>{labels}</labels></task></meta><image id="7" {size}>{body}</image></annotations>'
    )


def polygon_xml(number, box, more=""):
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in np.reshape(ring(box), (-1, 2)))
    return f'<polygon label="{NAMES[number]}" source="manual" occluded="0" points="{points}" z_order="0" {more}/>'


def text(name, content):
    return lambda folder: [folder.mkdir(exist_ok=True), (folder / name).write_text(content), folder / name][-1]


def as_json(content, name="a.json"):
    return text(name, json.dumps(content))


def with_mark(folder):
    folder.mkdir()
    (folder / "a.json").write_bytes(json.dumps(coco()).encode("utf-8-sig"))
    return folder / "a.json"


def zipped(content, inside):
    def write(folder):
        folder.mkdir()
        with zipfile.ZipFile(folder / "export.zip", "w") as archive:
            archive.writestr(inside, content)
            archive.writestr("images/frame_000007.png", b"x")
        return folder / "export.zip"

    return write


def in_folder(place, content):
    def write(folder):
        (folder / place).parent.mkdir(parents=True)
        (folder / place).write_text(content)
        return folder

    return write


def labelme_beside_pictures(folder):
    folder.mkdir()
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(folder / "00007.png")
    (folder / "00007.json").write_text(json.dumps(labelme()))
    return folder


def labelme_masks(folder):
    content = labelme()
    for shape, box in zip(content["shapes"], (ONE, TWO), strict=True):
        buffer = io.BytesIO()
        Image.fromarray(np.full((box[3] - box[1], box[2] - box[0]), 255, np.uint8)).save(buffer, "PNG")
        shape |= {"shape_type": "mask", "points": [[box[0], box[1]], [box[2] - 1, box[3] - 1]]}
        shape["mask"] = base64.b64encode(buffer.getvalue()).decode()
    return as_json(content, "00007.json")(folder)


def with_a_point_beside(folder):
    content = labelme()
    content["shapes"].append({"label": "nose", "points": [[5, 5]], "shape_type": "point", "group_id": None})
    return as_json(content, "frame_7.json")(folder)


def exported(name, place):
    def write(folder):
        export(masked_clip([label_map()], NAMES, first=7, human=[7]), name, folder)
        return folder / place

    return write


ROBOFLOW = [{"id": 0, "file_name": "00007_png.rf.0a1b2c.jpg", "extra": {"name": "00007.png"}}]
SUBFOLDER = [{"id": 5, "file_name": "images\\train\\00007.png", "width": WIDTH, "height": HEIGHT}]
OTHERS = [{"id": 9, "file_name": f"{number:05d}.png"} for number in range(3)]
PROMPTS = {
    "COCO of CVAT": as_json(coco()),
    "COCO with run lengths": as_json(coco(runs, iscrowd=1)),
    "COCO with long run lengths": as_json(coco(long_runs, iscrowd=1)),
    "COCO with bare rings": as_json(coco(lambda box: ring(box))),
    "COCO without categories": as_json(coco() | {"categories": []}),
    "COCO without areas": as_json(coco(area=None, iscrowd=None)),
    "COCO with a mark in front": with_mark,
    "COCO of Roboflow": as_json(coco(images=ROBOFLOW)),
    "COCO with folders of Windows": as_json(coco(images=SUBFOLDER)),
    "COCO with frames": as_json(coco(images=[{"id": 1, "file_name": "clip_x.jpg", "frame": 7}, *OTHERS])),
    "COCO with ids as words": as_json(coco(images=[{"id": "b", "file_name": "7.png"}])),
    "COCO as ZIP": zipped(json.dumps(coco()), "annotations/instances_default.json"),
    "COCO unpacked": in_folder("annotations/instances_default.json", json.dumps(coco())),
    "YouTube-VIS": exported("coco-video", "annotations.json"),
    "run lengths": exported("rle-json", "masks.json"),
    "our COCO": exported("coco", "annotations.json"),
    "our COCO as a folder": exported("coco", ""),
    "our YouTube-VIS as a folder": exported("coco-video", ""),
    "our run lengths as a folder": exported("rle-json", ""),
    "our LabelMe": exported("labelme", ""),
    "our YOLO": exported("yolo", ""),
    "our CVAT": exported("cvat-video", ""),
    "LabelMe": as_json(labelme(), "00007.json"),
    "LabelMe beside pictures": labelme_beside_pictures,
    "LabelMe with masks": labelme_masks,
    "LabelMe with a point": with_a_point_beside,
    "LabelMe without groups": as_json(labelme(group_id=None), "00007.json"),
    "LabelMe of AnyLabeling": as_json(labelme(shape_type="rotation", direction=0.0, score=None), "7.json"),
    "LabelMe without types": as_json(labelme(shape_type=None), "7.json"),
    "Datumaro": as_json(datumaro()),
    "Datumaro with masks": as_json(datumaro("mask")),
    "Datumaro without labels": as_json(datumaro() | {"categories": {}}),
    "Datumaro as ZIP": zipped(json.dumps(datumaro()), "annotations/default.json"),
    "YOLO": text("00007.txt", yolo()),
    "YOLO with a confidence": text("00007.txt", yolo("0.87")),
    "YOLO with ids": text("frame_7.txt", yolo("{}")),
    "YOLO with confidence and ids": text("7.txt", yolo("0.5 {}")),
    "YOLO of Windows": text("7.txt", yolo().replace("\n", " \r\n\r\n")),
    "YOLO with lists": in_folder("labels/00007.txt", yolo()),
    "CVAT for images": text("a.xml", cvat_images(polygon_xml(1, ONE) + polygon_xml(2, TWO))),
    "CVAT with groups": text(
        "a.xml", cvat_images(polygon_xml(1, ONE, 'group_id="1"') + polygon_xml(2, TWO, 'group_id="2"'))
    ),
    "CVAT as ZIP": zipped(cvat_images(polygon_xml(1, ONE) + polygon_xml(2, TWO)), "annotations.xml"),
}


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts_of_many_programs_are_the_same_two_objects(tmp_path, name):
    path = PROMPTS[name](tmp_path / "in")
    keyframes = read_keyframes(path, Clip())
    assert list(keyframes.label_maps) == [7]
    assert np.array_equal(keyframes.label_maps[7], label_map())
    if "without" not in name and "YOLO" not in name:
        assert keyframes.labels == NAMES


BOXES = {
    "YOLO boxes": text("00007.txt", yolo(box=True)),
    "YOLO boxes with a confidence": text("00007.txt", yolo("0.9", box=True)),
    "YOLO boxes with ids": text("00007.txt", yolo("{}", box=True)),
    "YOLO boxes with confidence and ids": text("00007.txt", yolo("0.9 {}", box=True)),
    "COCO boxes": as_json(coco(lambda box: [])),
    "COCO boxes without outlines": as_json(coco(lambda box: None)),
    "LabelMe boxes": as_json(labelme(shape_type="rectangle"), "7.json"),
}


@pytest.mark.parametrize("name", BOXES)
def test_boxes_of_many_programs_are_two_objects_within_them(tmp_path, name):
    keyframes = read_keyframes(BOXES[name](tmp_path / "in"), Clip())
    assert list(keyframes.label_maps) == [7]
    assert keyframes.ids == (1, 2)
    for object_id, box in ((1, ONE), (2, TWO)):
        found = keyframes.label_maps[7] == object_id
        assert found.any()
        assert not (found & ~mask(box)).any()


RESULTS = [{"image_id": 7, "category_id": 1, "segmentation": runs(ONE), "score": 0.9}]
LARGER = [{"id": 1, "file_name": "7.png", "width": 80, "height": 60}]
PANOPTIC = coco() | {"annotations": [{"image_id": 1, "file_name": "7.png", "segments_info": []}]}
SEVERAL = {"videos": [{"id": 1, "file_names": []}, {"id": 2, "file_names": []}], "annotations": []}
REFUSED = {
    "COCO results": (as_json(RESULTS), "list of COCO results"),
    "panoptic COCO": (as_json(PANOPTIC), "convert it to COCO instances"),
    "COCO of another size": (as_json(coco(images=LARGER)), "of 80x60 pixels"),
    "COCO without frames": (
        as_json(coco(images=[{"id": 1, "file_name": "b.jpg"}, {"id": 2, "file_name": "c.jpg"}])),
        "neither a frame number nor",
    ),
    "YouTube-VIS of several": (as_json(SEVERAL), "about 2 videos"),
    "LabelMe of another size": (as_json(labelme() | {"imageWidth": 80, "imageHeight": 60}, "7.json"), "of 80x60"),
    "LabelMe of points": (as_json(labelme(shape_type="point", points=[[1, 1]]), "7.json"), "has no area"),
    "Datumaro of another clip": (as_json(datumaro() | {"items": datumaro()["items"][:0]}), "holds no mask"),
    "a ZIP of pictures": (zipped("x", "notes.txt"), "annotations.xml"),
    "JSON of something else": (as_json({"a": 1}), "has no shapes"),
    "GeoJSON": (as_json({"type": "FeatureCollection", "features": []}), "has no shapes"),
    "YOLO of words": (text("7.txt", "person 0.1 0.1 0.2 0.2\n"), "cannot be read as annotations"),
    "YOLO of five": (text("7.txt", "0 0.1 0.1\n"), "7.txt"),
    "XML of Pascal VOC": (text("a.xml", "<annotation><folder>x</folder></annotation>"), "no CVAT export"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_tells_no_masks_is_refused_with_a_sentence(tmp_path, name):
    write, words = REFUSED[name]
    with pytest.raises(AgssError, match=words):
        read_keyframes(write(tmp_path / "in"), Clip())
