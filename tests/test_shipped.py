"""The shipped weights, end to end, on real pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import agss_model
from agss_model import Tracker, load_model, open_source
from agss_model.evaluation import open_dataset, region_similarity
from agss_model.masks import read_label_map, to_masks
from agss_model.video import ImageFrames
from agss_model.weights.registry import shipped_models

DEMO = Path(agss_model.__file__).parent / "demo_clip"


def track(network, frames, first):
    tracker = Tracker(network)
    return [tracker.add(f, to_masks(first)) if i == 0 else tracker.step(f) for i, f in enumerate(frames)]


@pytest.fixture(scope="module")
def shipped():
    return load_model("lite")


def test_shipped_file_is_small_and_has_a_card():
    path, _ = shipped_models()["lite"]
    assert path.stat().st_size <= 20_000_000
    card = path.with_suffix(".md").read_text()
    assert all(words in card for words in ("Training data", "Scores", "Licence", shipped_models()["lite"][1]))


def test_pedestrians_of_the_demo_are_followed(shipped):
    first = read_label_map(DEMO / "pedestrians_first.png")
    with open_source(DEMO / "pedestrians.mp4") as source:
        results = track(shipped, source.frames(0, 4), first)
    assert results[-1].object_ids == (1, 2, 3, 4, 5, 6, 7)
    for object_id in (1, 2, 3, 6, 7):  # 4 and 5 cross
        before = np.argwhere(first == object_id).mean(0)
        after = np.argwhere(results[-1].label_map == object_id).mean(0)
        assert np.linalg.norm(after - before) < 40
        area = (results[-1].label_map == object_id).sum() / (first == object_id).sum()
        assert 0.6 < area < 1.6


@pytest.mark.slow
def test_places_that_pedestrians_left_do_not_stay_labelled(shipped):
    first, last = (read_label_map(DEMO / f"pedestrians_{name}.png") for name in ("first", "last"))
    with open_source(DEMO / "pedestrians.mp4") as source:
        found = track(shipped, source.frames(), first)[-1].label_map
    for object_id in np.unique(found[found > 0]):
        y, x = np.nonzero(found == object_id)
        assert np.ptp(x) < 80, f"{object_id} is spread over the picture"
        assert np.ptp(y) < 150
    kept = [i for i in (1, 2, 3, 4, 7) if region_similarity(found == i, last == i) > 0.5]
    assert kept == [1, 2, 3, 4, 7]


def test_the_same_frames_give_the_same_masks(shipped):
    first = read_label_map(DEMO / "pedestrians_first.png")
    with open_source(DEMO / "pedestrians.mp4") as source:
        frames = list(source.frames(0, 3))
    for one, two in zip(track(shipped, frames, first), track(shipped, frames, first), strict=True):
        np.testing.assert_array_equal(one.label_map, two.label_map)
        assert one.scores == two.scores


@pytest.mark.slow
@pytest.mark.parametrize(("name", "bar"), [("blackswan", 0.90), ("dog", 0.80), ("car-shadow", 0.80)])
def test_real_sequences_from_their_first_mask(shipped, shared_data, name, bar):
    (sequence,) = open_dataset(shared_data / "davis2016_dev", names=[name])
    frames = ImageFrames(sequence.frames[:25], name=name)
    results = track(shipped, frames.frames(), sequence.first_masks[0]())[1:]
    overlaps = [region_similarity(r.label_map == 1, sequence.truth(r.frame_index) == 1) for r in results]
    assert np.mean(overlaps) >= bar


@pytest.mark.slow
def test_all_seven_objects_come_back(shipped, shared_data):
    (sequence,) = open_dataset(shared_data / "multi_dev", names=["schoolgirls"])
    frames = ImageFrames(sequence.frames[:12], name="schoolgirls")
    results = track(shipped, frames.frames(), sequence.first_masks[0]())
    assert results[-1].object_ids == (1, 2, 3, 4, 5, 6, 7)
    assert set(np.unique(results[-1].label_map)) == set(range(8))
