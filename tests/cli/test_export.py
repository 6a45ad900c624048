from __future__ import annotations

import json

import numpy as np
import pytest
from little_clip import COUNT
from pycocotools.coco import COCO

from agss_model.formats.registry import FORMATS
from agss_model.masks import read_label_map


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_goes_into_every_format(agss, clip, done, tmp_path, name):
    words = [
        "export",
        done,
        "--to",
        name,
        "--out",
        tmp_path / "out",
        "--source",
        clip / "clip.mp4",
        "--label",
        "1=disc",
    ]
    result = agss(*words)
    assert result.exit_code == 0, result.output
    assert any((tmp_path / "out").iterdir())
    assert agss(*words).exit_code == 2


def test_coco_of_a_run_holds_its_masks_and_scores(agss, done, tmp_path):
    assert agss("export", done, "--to", "coco", "--out", tmp_path / "out", "--label", "2=disc").exit_code == 0
    data = COCO(str(tmp_path / "out" / "annotations.json"))
    assert len(data.getImgIds()) == COUNT
    for one in data.loadAnns(data.getAnnIds()):
        label_map = read_label_map(done / "masks" / f"{one['image_id'] - 1:05d}.png")
        assert np.array_equal(data.annToMask(one), label_map == one["track_id"])
        assert 0 <= one["score"] <= 1
    categories = json.loads((tmp_path / "out" / "annotations.json").read_text())["categories"]
    assert [entry["name"] for entry in categories] == ["object", "disc"]


@pytest.mark.parametrize(
    ("more", "words"),
    [(["--label", "person"], "3=person"), (["--label", "9=x"], "no object 9"), (["--source", "no.mp4"], "no.mp4")],
)
def test_what_cannot_be_exported_is_said(agss, done, tmp_path, more, words):
    result = agss("export", done, "--to", "coco", "--out", tmp_path / "out", *more)
    assert result.exit_code == 2
    assert words in result.stderr
    assert agss("export", tmp_path, "--to", "coco", "--out", tmp_path / "out").exit_code == 2


def test_annotations_are_taken_as_masks_and_labels_travel_through(agss, clip, done, tmp_path):
    assert agss("export", done, "--to", "coco", "--out", tmp_path / "in", "--label", "1=disc").exit_code == 0
    content = json.loads((tmp_path / "in" / "annotations.json").read_text())
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] == 1]
    (tmp_path / "first.json").write_text(json.dumps(content))
    words = ["track", clip / "clip.mp4", "--masks", tmp_path / "first.json", "--out", tmp_path / "out", "--json"]
    told = json.loads(agss(*words).stdout)
    assert [about["label"] for about in told["objects"]] == ["disc", "object"]
    for number in range(COUNT):
        one, two = (read_label_map(folder / "masks" / f"{number:05d}.png") for folder in (done, tmp_path / "out"))
        assert np.array_equal(one, two)
    assert agss("export", tmp_path / "out", "--to", "coco", "--out", tmp_path / "again").exit_code == 0
    categories = json.loads((tmp_path / "again" / "annotations.json").read_text())["categories"]
    assert [entry["name"] for entry in categories] == ["disc", "object"]
