"""Clips without masks get those that tracking there and back agrees on, and no others."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

from agss_model.config import AgssConfig
from agss_model.errors import ConfigError, MaskError, OutputError, WeightsError
from agss_model.evaluation import region_similarity
from agss_model.masks.labels import object_ids
from agss_model.network import build_network
from agss_model.tracking.results import FrameResult
from agss_model.video import open_source
from agss_model.weights.registry import load_model
from tests.support.for_training.little_data import make_stills
from training.data.stills import load_stills
from training.data.video_clips import open_videos
from training.pseudo_labels import label as labelling
from training.pseudo_labels.__main__ import main
from training.pseudo_labels.agreement import agreeing
from training.pseudo_labels.label import FRAMES, SIDE, Beginning, label, label_clips
from training.pseudo_labels.regions import OBJECTS, stand_out
from training.pseudo_labels.salience import fit, load_head, salience_map, save_head

SIZE = (96, 128)


def disc(x, y=48, radius=20, size=SIZE):
    return cv2.circle(np.zeros(size, np.uint8), (x, y), radius, 1, -1).astype(bool)


def picture_of(mask, seed=0):
    """A bright red thing on green noise."""
    picture = np.random.default_rng(seed).integers(0, 60, (*mask.shape, 3), np.uint8)
    picture[..., 1] += 90
    picture[mask] = (220, 40, 40)
    return picture


def red(picture):
    """What stands out, told by its colour: a stand-in for the head."""
    return (picture[..., 0].astype(np.float32) > 120).astype(np.float32)


def write_clip(folder, places):
    folder.mkdir(parents=True)
    for number, x in enumerate(places):
        mask = disc(x) if x is not None else np.zeros(SIZE, bool)
        cv2.imwrite(str(folder / f"{number:03d}.png"), picture_of(mask, number)[..., ::-1])


@pytest.fixture(scope="module")
def network():
    return load_model("lite")


@pytest.fixture
def clips(tmp_path):
    write_clip(tmp_path / "clips" / "moving", range(40, 70, 3))
    write_clip(tmp_path / "clips" / "empty", [None] * 10)
    return tmp_path / "clips"


def test_the_outline_of_what_stands_out_is_found_from_a_rough_map():
    truth = disc(60)
    rough = cv2.GaussianBlur(disc(62, radius=17).astype(np.float32), (0, 0), 5)
    found = stand_out(picture_of(truth), rough)
    assert region_similarity(found.label_map == 1, truth) > 0.95
    assert 0.5 < found.clarity <= 1


def test_larger_parts_have_lower_numbers_and_no_more_than_three_are_found():
    masks = [disc(x, y, r) for x, y, r in ((20, 20, 8), (60, 60, 20), (105, 25, 12), (110, 80, 14))]
    found = stand_out(picture_of(np.logical_or.reduce(masks)), np.logical_or.reduce(masks).astype(np.float32))
    assert object_ids(found.label_map) == tuple(range(1, OBJECTS + 1))
    areas = [(found.label_map == i).sum() for i in object_ids(found.label_map)]
    assert areas == sorted(areas, reverse=True)
    assert region_similarity(found.label_map == 1, masks[1]) > 0.9


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_where_nothing_or_everything_is_salient_nothing_stands_out(value):
    assert stand_out(picture_of(disc(60)), np.full(SIZE, value, np.float32)) is None


def result(label_map, **scores):
    scores = {int(name[1:]): value for name, value in scores.items()}
    return FrameResult(3, object_ids(label_map), label_map, scores)


def test_only_objects_that_both_ways_show_alike_are_kept():
    there = disc(40) * np.uint8(1)
    assert (agreeing(result(there, i1=0.9), there, (1,)) == there).all()
    shifted = disc(52) * np.uint8(1)
    assert agreeing(result(there, i1=0.9), shifted, (1,)) is None
    assert agreeing(result(there, i1=0.6), there, (1,)) is None, "the tracker doubts it itself"
    assert agreeing(result(np.zeros_like(there)), there, (1,)) is None


def test_a_frame_in_which_an_object_would_be_left_without_label_is_not_kept():
    both = disc(30) * np.uint8(1)
    both[disc(95)] = 2
    lost = disc(30) * np.uint8(1)
    assert agreeing(result(both, i1=0.9, i2=0.9), lost, (1, 2)) is None


def test_a_clip_gets_masks_that_training_can_read(clips, tmp_path, network):
    said = []
    out = tmp_path / "out"
    assert label_clips(clips, out, network, red, said.append) == 1
    [sequence], held = open_videos(out, "davis")
    assert (sequence.name, held, len(sequence.annotations)) == ("moving", 0, 10)
    ious = [
        region_similarity(sequence.truth_and_void(number)[0] == 1, disc(x)) for number, x in enumerate(range(40, 70, 3))
    ]
    assert min(ious) > 0.85
    assert json.loads((out / "left_out.json").read_text()) == {"empty": "nothing stands out"}
    assert said == ["empty: left out, nothing stands out", "moving: 10 of 10 frames"]


def test_what_is_there_is_not_made_again_and_what_was_cut_short_is(clips, tmp_path, network, monkeypatch):
    out = tmp_path / "out"
    write_label_map, written = labelling.write_label_map, []

    def fails_at_the_third(path, label_map):
        written.append(path)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        write_label_map(path, label_map)

    monkeypatch.setattr(labelling, "write_label_map", fails_at_the_third)
    with pytest.raises(OutputError, match="No space left"):
        label_clips(clips, out, network, red, lambda line: None)
    assert not list((out / "Annotations").iterdir()), "no half of a clip"
    assert label_clips(clips, out, network, red, lambda line: None) == 1
    said = []
    assert label_clips(clips, out, network, red, said.append) == 1
    assert said == []


def test_a_clip_in_which_both_ways_disagree_is_left_out(tmp_path, network):
    write_clip(tmp_path / "clips" / "jumping", [30, 100] * 6)
    with open_source(tmp_path / "clips" / "jumping") as clip, pytest.raises(MaskError, match="8 are needed"):
        label(Beginning(clip), network, lambda picture: red(picture) * disc(30).astype(np.float32))


def test_of_a_long_large_clip_the_beginning_is_kept_at_the_size_of_training(tmp_path):
    folder = tmp_path / "long"
    folder.mkdir()
    for number in range(FRAMES + 3):
        cv2.imwrite(str(folder / f"{number:03d}.jpg"), np.full((400, 960, 3), number * 5, np.uint8))
    with open_source(folder) as clip:
        kept = Beginning(clip)
    assert (len(kept), kept.size) == (FRAMES, (SIDE, 200))
    assert [int(kept.read(n).mean() / 5 + 0.5) for n in (0, 7, FRAMES - 1)] == [0, 7, FRAMES - 1]


def test_a_damaged_record_is_named(clips, tmp_path, network):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "left_out.json").write_text("[")
    with pytest.raises(OutputError, match=r"left_out\.json is damaged"):
        label_clips(clips, tmp_path / "out", network, red, print)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, network):
    pool = load_stills(make_stills(tmp_path_factory.mktemp("stills"), count=26), size=96)
    return fit(network, pool, lambda line: None, epochs=6)


def test_the_head_finds_things_in_stills_it_has_not_seen(fitted, network):
    head, iou = fitted
    assert iou > 0.6
    truth = disc(60)
    found = salience_map(head, network, picture_of(truth))
    assert found.shape == SIZE
    assert found.dtype == np.float32
    assert found[truth].mean() > found[~truth].mean() + 0.4


def test_the_same_seed_gives_the_same_head_and_a_file_brings_it_back(fitted, network, tmp_path):
    path = tmp_path / "salience.safetensors"
    save_head(fitted[0], path, "a" * 64, fitted[1], network.config)
    picture = picture_of(disc(50))
    again = load_head(path, "a" * 64)
    assert (salience_map(again, network, picture) == salience_map(fitted[0], network, picture)).all()
    with pytest.raises(WeightsError, match="not fitted for these weights"):
        load_head(path, "b" * 64)


def test_too_few_stills_and_weights_without_target_model_are_refused(network, tmp_path):
    pool = load_stills(make_stills(tmp_path / "stills", count=6), size=96)
    with pytest.raises(ConfigError, match="6 stills are too few"):
        fit(network, pool, print)
    plain = build_network(AgssConfig(architecture="paper"))
    with pytest.raises(ConfigError, match="no target model"), torch.inference_mode():
        salience_map(None, plain, picture_of(disc(50)))


def test_the_command_goes_on_and_ends_bad_input_with_a_sentence(clips, tmp_path, capsys):
    stills = make_stills(tmp_path / "stills", count=13)
    asked = {"clips": clips, "stills": stills, "out": tmp_path / "out", "device": "cpu", "engine": "torch"}
    main(**asked)
    head = (tmp_path / "out" / "salience.safetensors").read_bytes()
    assert "clips are labelled in" in capsys.readouterr().out
    main(**asked)
    assert (tmp_path / "out" / "salience.safetensors").read_bytes() == head
    assert "epoch" not in capsys.readouterr().out, "fitted once"
    (tmp_path / "none").mkdir()
    with pytest.raises(SystemExit, match="2"):
        main(**asked | {"clips": tmp_path / "none"})
    assert "holds no clips" in capsys.readouterr().err
