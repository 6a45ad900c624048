"""A first look without any file: `--box` and `--points`."""

from __future__ import annotations

import shlex

import cv2
import numpy as np
import pytest

from agss_model.config import preset
from agss_model.errors import MaskError
from agss_model.masks import read_label_map
from agss_model.masks.points import object_at_points
from agss_model.network import build_network
from agss_model.runs.given.hints import found_by
from agss_model.tracking.tracker import Tracker


def box_of(clip, object_id):
    mask = read_label_map(clip / "truth" / "00000.png") == object_id
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return x, y, width, height, mask


def iou(one, two):
    return (one & two).sum() / (one | two).sum()


@pytest.mark.parametrize("weights", ["propagation", "lite"])
def test_a_box_and_points_become_objects_with_their_ids(agss, clip, tmp_path, weights):
    x, y, width, height, first = box_of(clip, 1)
    left, top, w, h, second = box_of(clip, 2)
    points = f"7=+{left + w / 2},{top + h / 2};{left + w / 2 + 2},{top + h / 2};-{left - 6},{top + h / 2}"
    words = ["--box", f"4={x},{y},{width},{height}", "--points", points, "--overlay", "none", "--to", "2"]
    result = agss("track", clip / "clip.mp4", "--out", tmp_path / "out", *words, weights=weights)
    assert result.exit_code == 0, result.output
    found = read_label_map(tmp_path / "out" / "masks" / "00000.png")
    assert set(np.unique(found)) == {0, 4, 7}
    assert iou(found == 4, first) > 0.6
    assert iou(found == 7, second) > 0.4


def test_what_to_correct_names_the_masks_of_the_run(agss, clip, tmp_path, monkeypatch):
    monkeypatch.setattr("agss_model.review.LOW", 1.1)  # everything is to be looked at
    x, y, width, height, _ = box_of(clip, 1)
    words = ["--box", f"4={x},{y},{width},{height}", "--overlay", "none", "--to", "2"]
    result = agss("track", clip / "clip.mp4", "--out", tmp_path / "out", *words)
    last = " ".join(result.stdout.split())
    assert f"copy {tmp_path}/out/masks/00000.png into {tmp_path}/masks_to_correct, draw object 4" in last
    command = shlex.split(last.split("then: ")[1])
    assert command[-2:] == ["--masks", f"{tmp_path}/masks_to_correct"]
    assert not {"--box", words[1]} & set(command)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--masks or, for a first look, with --box"),
        (["--box", "1,2,3,4"], "write it as 1=x,y,w,h"),
        (["--box", "1=1,2,3"], "1=x,y,w,h, in pixels"),
        (["--box", "1=1,2,nan,3"], "in pixels"),
        (["--box", "0=1,2,3,4"], "0"),
        (["--box", "1=900,2,3,4"], "has no pixel of frame 0"),
        (["--box", "1=1,2,30,40", "--points", "1=+4,4"], "object 1 is given twice"),
        (["--points", "1=-4,4"], "no point on the object"),
        (["--points", "1=+4,400"], "outside the frame"),
        (["--points", "1=+4,4", "--frame", "99"], "99"),
    ],
)
def test_what_cannot_be_meant_is_explained(agss, clip, tmp_path, words, message):
    result = agss("track", clip / "clip.mp4", "--out", tmp_path / "out", *words)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("gone", [False, True])
def test_points_stay_what_they_are_where_the_network_finds_the_object_again(monkeypatch, gone):
    frame = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    network = build_network(preset("propagation")).eval()
    step = Tracker.step

    def other(self, image):
        result = step(self, image)
        result.label_map[:] = 0 if gone else 1
        return result

    monkeypatch.setattr(Tracker, "step", other)
    mask = found_by(network, frame, ((5, 5), (50.5, 30)), ((30, 20), (0, 39)))
    assert mask[5, 5]
    assert mask[30, 50]
    assert not mask[20, 30]
    assert not mask[39, 0]
    assert bool(mask.mean() > 0.9) is not gone


def test_points_stay_what_they_are_said_to_be():
    frame = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    mask = object_at_points(frame, ((5, 5), (50.5, 30)), ((30, 20), (0, 39)))
    assert mask[5, 5]
    assert mask[30, 50]
    assert not mask[20, 30]
    assert not mask[39, 0]
    assert np.array_equal(mask, object_at_points(frame, ((5, 5), (50.5, 30)), ((30, 20), (0, 39))))
    with pytest.raises(MaskError, match="at least one"):
        object_at_points(frame, ())
