"""Through the function or through the tracker: the same masks."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
from function_client import Clip as Squares
from function_client import Function, overlap, quick_network

from agss_model.errors import MediaError
from agss_model.masks import mask_to_shape, shape_to_mask, write_label_map
from agss_model.weights.registry import load_model
from serverless.function.cache import FeatureCache
from serverless.function.scenes import Scenes
from serverless.measure import accuracy
from serverless.measure.accuracy import MeasuredClip, annotated, compare, demonstration


def test_the_function_finds_what_the_tracker_finds():
    squares = Squares(3)
    void = np.zeros((squares.height, squares.width), bool)
    labels = [sum(mask * np.uint8(k) for k, mask in enumerate(squares.masks(t), 1)) for t in range(8)]
    clip = MeasuredClip(
        "squares", lambda: iter(squares.frames(0, 8)), labels[0], {t: lambda t=t: (labels[t], void) for t in (4, 7)}
    )
    found = compare(clip, Scenes(quick_network(), FeatureCache(1 << 26)))
    assert found.agreement > 0.99
    assert found.function == pytest.approx(found.tracker, abs=0.01)
    assert found.tracker > 0.6
    assert 0 < found.state_bytes < 300_000


@pytest.mark.parametrize("kind", ["mask", "polygon", "rectangle"])
def test_small_objects_in_a_small_frame_are_found_to_the_pixel_in_every_kind(kind):
    """Twenty squares of 16 pixels in 160x96: neither looking too coarsely nor a polygon's corners may cost them."""
    squares, function = Squares(20), Function(Scenes(load_model("lite"), FeatureCache(1 << 28)))
    assert squares.side == 16
    shapes = [{"type": kind, "points": mask_to_shape(kind, mask)} for mask in squares.masks(0)]
    found, _ = function.track(squares.frames(1, 4), function.start(squares.frame(0), shapes))
    for t, answers in enumerate(found, 1):
        for answer, truth in zip(answers, squares.masks(t), strict=True):
            mask = shape_to_mask(kind, answer["points"], width=squares.width, height=squares.height)
            assert overlap(mask, truth) > 0.9


@pytest.fixture
def davis(tmp_path):
    """Two sequences of four frames in DAVIS' layout; in the second object 2 comes in in frame 2."""
    squares = Squares(2)
    for name, late in (("both", 0), ("late", 2)):
        images, annotations = tmp_path / "JPEGImages" / name, tmp_path / "Annotations" / name
        images.mkdir(parents=True)
        annotations.mkdir(parents=True)
        for t, frame in enumerate(squares.frames(0, 4)):
            one, two = squares.masks(t)
            cv2.imwrite(str(images / f"{t:05d}.jpg"), frame[..., ::-1])
            write_label_map(annotations / f"{t:05d}.png", one.astype(np.uint8) + 2 * two.astype(np.uint8) * (t >= late))
    return tmp_path


def test_sequences_are_scored_in_the_frames_in_which_davis_scores_them(davis):
    """Never in the first nor in the last; and where an object is not yet there, for the others."""
    found = {clip.name: clip for clip in annotated(davis, None)}
    assert list(found) == ["both", "late"]
    assert [sorted(clip.truths) for clip in found.values()] == [[1, 2], [1, 2]]
    assert np.unique(found["late"].first).tolist() == [0, 1]
    assert len(list(found["both"].frames())) == 4
    labels, void = found["late"].truths[2]()
    assert np.unique(labels).tolist() == [0, 1, 2]
    assert not void.any()
    assert [clip.name for clip in annotated(davis, ["late"])] == ["late"]
    with pytest.raises(MediaError, match="absent"):
        list(annotated(davis, ["absent"]))


def test_the_command_prints_a_row_for_each_sequence_asked_for(davis, monkeypatch, capsys):
    monkeypatch.setattr(accuracy, "build_scenes", lambda *_: Scenes(quick_network(), FeatureCache(1 << 26)))
    monkeypatch.setattr(sys, "argv", ["accuracy", "--data", str(davis), "--sequences", "both"])
    accuracy.main()
    head, row, _ = capsys.readouterr().out.splitlines()
    assert head.split() == ["clip", "tracker", "J&F", "function", "J&F", "agreement", "states", "kB"]
    name, tracker, function, agreement, kilobytes = row.split()
    assert name == "both"
    assert 0.5 < float(tracker) <= 1
    assert float(function) == pytest.approx(float(tracker), abs=0.02)
    assert float(agreement) > 0.98
    assert 0 < float(kilobytes) < 300


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_on_the_demonstration_the_function_is_as_accurate_as_the_tracker():
    found = compare(demonstration(), Scenes(load_model("lite"), FeatureCache(1 << 28)))
    assert found.function == pytest.approx(found.tracker, abs=0.02)
    assert found.agreement > 0.98
