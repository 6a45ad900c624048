"""Exports read by the libraries of the tools they are for, where these are installed; none of them is required."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stand_ins import masked_clip

from agss_model.formats.registry import export
from agss_model.runs.given.keyframes import read_keyframes
from agss_model.video import open_source

SIZE = WIDTH, HEIGHT = 40, 30
LABELS = {1: "person", 2: "dog"}


@pytest.fixture
def maps():
    found = np.zeros((3, HEIGHT, WIDTH), np.uint8)
    for number, label_map in enumerate(found):
        label_map[3 : 12 + number, 4:15] = 1
        label_map[15:27, 20 + number : 34] = 2
    return found


@pytest.fixture
def clip(tmp_path, maps):
    (tmp_path / "frames").mkdir()
    for number in range(3):
        Image.new("RGB", SIZE, (90, 40 * number, 10)).save(tmp_path / "frames" / f"{number:05d}.png")
    return masked_clip(list(maps), LABELS, source=open_source(tmp_path / "frames"), human=[0])


def classes(maps, number, index):
    return maps[number] == index + 1  # each object has a class of its own here


@pytest.mark.parametrize("name", ["coco", "yolo"])
def test_supervision_reads_our_data_sets(tmp_path, clip, maps, name):
    supervision = pytest.importorskip("supervision", reason="supervision is not installed")
    out = tmp_path / "out"
    export(clip, name, out)
    if name == "coco":
        data = supervision.DetectionDataset.from_coco(
            str(out / "images"), str(out / "annotations.json"), force_masks=True
        )
    else:
        data = supervision.DetectionDataset.from_yolo(
            str(out / "images"), str(out / "labels"), str(out / "data.yaml"), force_masks=True
        )
    assert data.classes == ["person", "dog"]
    assert len(data) == 3
    for number, (_, _, found) in enumerate(sorted(data, key=lambda entry: entry[0])):
        for mask, index in zip(found.mask, found.class_id, strict=True):
            expected = classes(maps, number, index)
            assert np.array_equal(mask, expected) or (name == "yolo" and (mask ^ expected).sum() <= WIDTH + HEIGHT)


def test_ultralytics_reads_our_data_set_from_anywhere(tmp_path, clip, maps, monkeypatch):
    utils = pytest.importorskip("ultralytics.data.utils", reason="ultralytics is not installed")
    dataset = pytest.importorskip("ultralytics.data.dataset")
    export(clip, "yolo", tmp_path / "out")
    monkeypatch.chdir("/")
    data = utils.check_det_dataset(str(tmp_path / "out" / "data.yaml"))
    assert data["names"] == {0: "person", 1: "dog"}
    found = dataset.YOLODataset(
        img_path=data["train"], data=data, task="segment", augment=False, imgsz=64, batch_size=1
    )
    assert len(found) == 3
    for labels in found.labels:
        shown = maps[int(Path(labels["im_file"]).stem)]
        for index, outline in zip(labels["cls"].ravel(), labels["segments"], strict=True):
            ys, xs = np.nonzero(shown == index + 1)
            assert outline.min(0) == pytest.approx([xs.min() / WIDTH, ys.min() / HEIGHT], abs=1e-5)
            assert outline.max(0) == pytest.approx([(xs.max() + 1) / WIDTH, (ys.max() + 1) / HEIGHT], abs=1e-5)


def test_labelme_opens_our_files(tmp_path, clip, maps):
    module = pytest.importorskip("labelme._label_file", reason="labelme is not installed")
    export(clip, "labelme", tmp_path / "out")
    for number in range(3):
        file = module.LabelFile(str(tmp_path / "out" / f"{number:05d}.json"))
        for shape in file.shapes:
            (left, top), (right, bottom) = np.asarray(shape["points"], int)
            found = np.zeros((HEIGHT, WIDTH), bool)
            found[top : bottom + 1, left : right + 1] = shape["mask"]
            assert np.array_equal(found, maps[number] == shape["group_id"])


def test_datumaro_reads_our_coco_and_we_what_it_makes_of_it(tmp_path, clip, maps):
    datumaro = pytest.importorskip("datumaro", reason="datumaro is not installed")
    export(clip, "coco", tmp_path / "out")
    (tmp_path / "out" / "annotations").mkdir()
    (tmp_path / "out" / "annotations.json").rename(tmp_path / "out" / "annotations" / "instances_all.json")
    data = datumaro.Dataset.import_from(str(tmp_path / "out"), "coco_instances")
    for item in data:
        masks = [shape for shape in item.annotations if shape.type == datumaro.AnnotationType.mask]
        assert len(masks) == 2
        for shape in masks:
            assert np.array_equal(shape.image.astype(bool), maps[int(item.id)] == shape.attributes["track_id"])
    data.export(str(tmp_path / "again"), "datumaro")
    keyframes = read_keyframes(tmp_path / "again", clip.source)
    assert keyframes.labels == LABELS
    assert np.array_equal([keyframes.label_maps[number] for number in range(3)], maps)
