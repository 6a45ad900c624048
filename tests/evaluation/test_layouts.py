from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from davis_rules import j_and_f
from PIL import Image

from agss_model.errors import MaskError, MediaError, OutputError
from agss_model.evaluation import (
    SequenceScorer,
    evaluate_sequence,
    mean_score,
    open_dataset,
    read_image_set,
    region_similarity,
    write_results,
)
from agss_model.masks import read_label_map, write_label_map

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the evaluation data is not beside the repository")


def make(root, name, masks, count=None, sub="", step=1):
    """A sequence whose frame `step * k` has the k-th mask; None leaves a frame without annotation."""
    images, annotations = root / "JPEGImages" / sub / name, root / "Annotations" / sub / name
    images.mkdir(parents=True)
    annotations.mkdir(parents=True)
    height, width = next(mask for mask in masks if mask is not None).shape
    for index in range(count or len(masks)):
        cv2.imwrite(str(images / f"{index * step:05}.jpg"), np.zeros((height, width, 3), np.uint8))
    for index, mask in enumerate(masks):
        if mask is not None:
            write_label_map(annotations / f"{index * step:05}.png", mask)


def labels(*objects, size=(12, 16)):
    """A label map with a 3x3 square per (id, column)."""
    label_map = np.zeros(size, np.uint8)
    for object_id, column in objects:
        label_map[4:7, column : column + 3] = object_id
    return label_map


# DAVIS


@pytest.mark.parametrize("sub", ["", "480p"])
def test_a_davis_sequence_is_found_with_and_without_480p(tmp_path, sub):
    make(tmp_path, "two", [labels((1, 0), (2, 8))] * 4, sub=sub)
    make(tmp_path, "one", [labels((1, 0))] * 3, sub=sub)
    one, two = open_dataset(tmp_path)
    assert (one.name, two.name) == ("one", "two")
    assert [path.name for path in two.frames] == [f"0000{k}.jpg" for k in range(4)]
    assert two.ids == (1, 2)
    assert list(two.first_masks) == [0]
    np.testing.assert_array_equal(two.first_masks[0](), two.truth(0))
    assert two.scored_frames(1) == {1, 2}
    assert [sequence.name for sequence in open_dataset(tmp_path, names=["two"])] == ["two"]


def test_white_is_object_1_in_binary_davis_and_void_otherwise(tmp_path):
    make(tmp_path, "binary", [labels((255, 2)), labels((255, 3)), labels()])
    make(tmp_path, "multi", [labels((1, 2)), labels((1, 3), (255, 9)), labels((1, 3))])
    binary, multi = open_dataset(tmp_path)
    assert binary.ids == (1,)
    np.testing.assert_array_equal(binary.truth(1), labels((1, 3)))
    assert not binary.truth_and_void(1)[1].any()
    np.testing.assert_array_equal(multi.truth(1), labels((1, 3)))
    np.testing.assert_array_equal(multi.truth_and_void(1)[1], labels((255, 9)) > 0)
    # A prediction that spills into void pixels only is perfect.
    assert evaluate_sequence({1: labels((1, 3), (2, 9))}, multi).JF == 1
    assert evaluate_sequence({1: labels((1, 3), (1, 9))}, multi).JF == 1


def test_binary_masks_stored_as_rgb_are_read(tmp_path):
    make(tmp_path, "binary", [labels((255, 2))] * 3)
    for path in (tmp_path / "Annotations" / "binary").iterdir():
        Image.fromarray(np.repeat(labels((255, 2))[:, :, None], 3, axis=2)).save(path)
    (sequence,) = open_dataset(tmp_path)
    np.testing.assert_array_equal(sequence.truth(1), labels((1, 2)))


def test_lists_of_both_davis_years_give_names(tmp_path):
    (tmp_path / "2017.txt").write_text("bear\n\nbmx-bumps\n")
    (tmp_path / "2016.txt").write_text(
        "/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png\n"
        "/JPEGImages/480p/bear/00001.jpg /Annotations/480p/bear/00001.png\n"
        "/JPEGImages/480p/swan/00000.jpg /Annotations/480p/swan/00000.png\n"
    )
    assert read_image_set(tmp_path / "2017.txt") == ["bear", "bmx-bumps"]
    assert read_image_set(tmp_path / "2016.txt") == ["bear", "swan"]
    with pytest.raises(MediaError, match="cannot read the list"):
        read_image_set(tmp_path / "none.txt")


# YouTube-VOS


def youtube(tmp_path, meta):
    """Six frames, every second annotated; object 3 enters at frame 2, object 7 at frame 4."""
    truth = [labels((1, 0)), None, labels((1, 1), (3, 6)), None, labels((1, 2), (3, 7), (7, 12)), None]
    make(tmp_path, "clip", truth, step=5)
    if meta:
        frames = {"1": ["00000", "00010", "00020"], "3": ["00010", "00020"], "7": ["00020"]}
        objects = {object_id: {"category": "thing", "frames": names} for object_id, names in frames.items()}
        (tmp_path / "meta.json").write_text(json.dumps({"videos": {"clip": {"objects": objects}}}))
    (sequence,) = open_dataset(tmp_path, layout="youtube-vos")
    return sequence


@pytest.mark.parametrize("meta", [True, False])
def test_objects_of_youtube_vos_enter_with_their_first_mask(tmp_path, meta):
    sequence = youtube(tmp_path, meta)
    assert sequence.ids == (1, 3, 7)
    assert list(sequence.first_masks) == [0, 2, 4]
    np.testing.assert_array_equal(sequence.first_masks[2](), labels((3, 6)))
    np.testing.assert_array_equal(sequence.first_masks[4](), labels((7, 12)))
    assert sequence.truth(1) is None
    assert sequence.scored_frames(1) == {2, 4}
    assert sequence.scored_frames(3) == {4}
    assert sequence.scored_frames(7) == set()


@pytest.mark.parametrize(
    ("count", "given"), [(1, set()), (2, {6}), (3, {3, 6}), (4, {2, 4, 6}), (50, set(range(1, 7)))]
)
def test_frames_that_are_given_too_are_spread_evenly_shown_whole_and_not_scored(tmp_path, count, given):
    make(tmp_path, "clip", [labels((1, n), (2, n + 1)) for n in range(8)])
    sequence = open_dataset(tmp_path)[0].drawn_on(count)
    assert sequence.given == given
    assert set(sequence.first_masks) == {0} | given
    assert sequence.scored_frames(1) == set(range(1, 7)) - given
    for index, read in sequence.first_masks.items():
        np.testing.assert_array_equal(read(), sequence.truth(index))


def test_a_frame_that_is_given_too_shows_the_objects_that_are_followed_only(tmp_path):
    make(tmp_path, "clip", [labels((1, 0)), labels((1, 1)), labels((1, 2), (5, 8)), labels((1, 3))])
    sequence = open_dataset(tmp_path)[0].drawn_on(2)
    np.testing.assert_array_equal(sequence.first_masks[2](), labels((1, 2)))


def test_late_objects_are_scored_after_their_first_mask_only(tmp_path):
    sequence = youtube(tmp_path, meta=True)
    perfect = {index: sequence.truth(index) for index in (2, 4)}
    # Object 3 is missed where it enters, which does not count, and object 7 has no frame to score.
    perfect[2] = labels((1, 1))
    score = evaluate_sequence(perfect, sequence)
    assert set(score.objects) == {1, 3}
    assert (score.J, score.F, score.objects[1].frames, score.objects[3].frames) == (1, 1, 2, 1)
    perfect[4] = labels((1, 2))
    assert evaluate_sequence(perfect, sequence).objects[3].J == 0


def test_255_is_an_ordinary_id_in_youtube_vos(tmp_path):
    make(tmp_path, "clip", [labels((255, 2))] * 3)
    (sequence,) = open_dataset(tmp_path, layout="youtube-vos")
    assert sequence.ids == (255,)
    assert evaluate_sequence(dict.fromkeys((1, 2), labels((255, 2))), sequence).J == 1


# Scores


def test_first_and_last_frame_do_not_count_in_davis(tmp_path):
    make(tmp_path, "clip", [labels((1, 2), (2, 9))] * 5)
    (sequence,) = open_dataset(tmp_path)
    moved, wrong = labels((1, 3), (2, 9)), labels((2, 2))
    score = evaluate_sequence({0: wrong, 1: sequence.truth(1), 2: moved, 3: moved, 4: wrong}, sequence)
    # A 3x3 square moved by one column shares 6 of 12 pixels: J is 1, 1/2, 1/2 on the three frames that count.
    assert pytest.approx(2 / 3) == score.objects[1].J
    assert score.objects[1].frames == 3
    assert score.objects[2].JF == 1
    assert pytest.approx((2 / 3 + 1) / 2) == score.J
    assert pytest.approx((score.J + score.F) / 2) == score.JF


def test_the_mean_counts_every_object_the_same(tmp_path):
    make(tmp_path, "one", [labels((1, 2))] * 3)
    make(tmp_path, "two", [labels((1, 2), (2, 9))] * 3)
    one, two = open_dataset(tmp_path)
    scores = [evaluate_sequence({1: labels()}, one), evaluate_sequence({1: two.truth(1)}, two)]
    mean = mean_score(scores)
    assert pytest.approx((2 / 3, 2 / 3, 2 / 3)) == (mean.J, mean.F, mean.JF)
    with pytest.raises(MediaError, match="no scores"):
        mean_score([])


def test_missing_or_wrong_predictions_are_refused(tmp_path):
    make(tmp_path, "clip", [labels((1, 2))] * 5)
    make(tmp_path, "short", [labels((1, 2))] * 2)
    clip, short = open_dataset(tmp_path)
    with pytest.raises(MaskError, match="2 frames of object 1 have no prediction, the first is frame 2"):
        evaluate_sequence({1: labels()}, clip)
    with pytest.raises(MaskError, match="5x12 pixels but the frame is 16x12"):
        evaluate_sequence({1: labels()[:, :5]}, clip)
    with pytest.raises(MaskError, match="uint8 or uint16"):
        evaluate_sequence({1: labels().astype(np.int64)}, clip)
    with pytest.raises(MediaError, match="no frame to score"):
        evaluate_sequence({0: labels(), 1: labels()}, short)


# Results


def test_results_are_named_after_frames_and_read_back(tmp_path):
    make(tmp_path / "data", "clip", [labels((1, 2))] * 3, step=5)
    (davis,) = open_dataset(tmp_path / "data")
    (videos,) = open_dataset(tmp_path / "data", layout="youtube-vos")
    predictions = {index: labels((1, index)) for index in range(3)}
    assert write_results(tmp_path / "out", davis, predictions) == tmp_path / "out" / "clip"
    write_results(tmp_path / "out", videos, iter(predictions.items()))
    for folder in (tmp_path / "out" / "clip", tmp_path / "out" / "Annotations" / "clip"):
        assert sorted(path.name for path in folder.iterdir()) == ["00000.png", "00005.png", "00010.png"]
        np.testing.assert_array_equal(read_label_map(folder / "00010.png"), predictions[2])
        assert Image.open(folder / "00010.png").mode == "P"
    with pytest.raises(MediaError, match="frame 3 is outside clip"):
        write_results(tmp_path / "out", davis, {3: labels()})
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot make folder"):
        write_results(tmp_path / "file", davis, predictions)


# Bad data sets


def test_unusable_data_sets_are_refused(tmp_path):
    with pytest.raises(MediaError, match="JPEGImages does not exist"):
        open_dataset(tmp_path)
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "Annotations").mkdir()
    with pytest.raises(MediaError, match="no sequence with both"):
        open_dataset(tmp_path)
    with pytest.raises(MediaError, match="layout 'coco' is not known"):
        open_dataset(tmp_path, layout="coco")
    make(tmp_path, "clip", [labels((1, 2))] * 3)
    with pytest.raises(MediaError, match="no sequence dog; there are clip"):
        open_dataset(tmp_path, names=["dog"])
    (tmp_path / "JPEGImages" / "clip" / "00001.jpg").unlink()
    with pytest.raises(MediaError, match=r"annotation 00001 .* has no frame"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not YouTube-VOS metadata"),
        ('{"videos": [1]}', "not YouTube-VOS metadata"),
        ('{"videos": {"clip": {"objects": {"1": {"frames": []}}}}}', "not YouTube-VOS metadata"),
        ('{"videos": {"clip": {"objects": {"1": {"frames": ["00099"]}}}}}', "00099, which has no annotation"),
    ],
)
def test_damaged_metadata_is_refused(tmp_path, text, reason):
    make(tmp_path, "clip", [labels((1, 2))] * 3)
    (tmp_path / "meta.json").write_text(text)
    with pytest.raises(MediaError, match=reason):
        open_dataset(tmp_path, layout="youtube-vos")


# Real data


@needs_data
def test_davis_2016_sequences_score_1_against_themselves_and_less_when_moved():
    sequences = open_dataset(SHARED / "davis2016_dev")
    assert len(sequences) == 10
    assert all(sequence.ids == (1,) for sequence in sequences)
    sequence = sequences[0]
    scorer, moved = SequenceScorer(sequence), []
    for index in range(len(sequence.frames)):
        truth = sequence.truth(index)
        scorer.add(index, truth)
        shifted = np.roll(truth, 20, axis=1)
        moved.append(region_similarity(shifted == 1, truth == 1))
    score = scorer.result()
    assert (score.J, score.F, score.objects[1].frames) == (1, 1, len(sequence.frames) - 2)
    assert 0.3 < np.mean(moved) < 0.95


@needs_data
def test_the_multi_object_sequence_has_seven_objects_on_every_frame():
    (sequence,) = open_dataset(SHARED / "multi_dev")
    assert sequence.ids == (1, 2, 3, 4, 5, 6, 7)
    assert len(sequence.frames) == len(sequence.annotations) == 80
    assert sequence.truth(79).shape == (240, 432)


@needs_data
def test_the_official_measure_to_five_digits():
    """Every mask left in place for three frames, on real contours; first and last frame do not count."""
    (sequence,) = open_dataset(SHARED / "multi_dev")
    truth = [sequence.truth(number) for number in range(16)]
    short = replace(sequence, frames=sequence.frames[:16], annotations=dict(list(sequence.annotations.items())[:16]))
    found = [truth[3 * (number // 3)] for number in range(16)]
    ours = mean_score([evaluate_sequence(dict(enumerate(found)), short)]).JF
    assert ours == pytest.approx(j_and_f(found, truth), abs=5e-6)
    assert round(ours, 5) != round(j_and_f(found, truth, last=True), 5)
