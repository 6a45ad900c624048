from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agss_model.config import preset
from agss_model.errors import MaskError, MediaError, WeightsError
from agss_model.network import build_network
from agss_model.tracking.tracker import Tracker


def run(tracker, scene, frames, start=0):
    return [tracker.step(scene.frame(t), t) for t in range(start, frames)]


def test_given_masks_come_back_exactly(lite, scene):
    result = Tracker(lite).add(scene.frame(0), scene.masks(0))
    for object_id, mask in scene.masks(0).items():
        np.testing.assert_array_equal(result.label_map == object_id, mask)
    assert result.frame_index == 0
    assert result.human == {1, 2}
    assert result.scores == {1: 1.0, 2: 1.0}


def test_frames_are_counted_and_label_maps_have_the_frames_size(lite, scene):
    tracker = Tracker(lite)
    tracker.add(scene.frame(0), scene.masks(0))
    results = run(tracker, scene, 4, 1)
    assert [r.frame_index for r in results] == [1, 2, 3]
    assert all(r.label_map.shape == (96, 128) and r.label_map.dtype == np.uint8 for r in results)
    assert all(set(np.unique(r.label_map)) <= {0, 1, 2} for r in results)
    assert all(set(np.unique(r.label_map)) - {0} == set(r.object_ids) - r.lost for r in results)


@settings(max_examples=8, deadline=None)
@given(ids=st.lists(st.integers(1, 65535), min_size=2, max_size=2, unique=True))
def test_ids_are_names_only(ids):
    """Tracking under other ids gives the same masks under those ids, whatever their order."""
    from tests.conftest import Scene

    scene = Scene()
    torch.manual_seed(0)
    network = build_network(preset("lite")).eval()
    plain, named = Tracker(network), Tracker(network)
    plain.add(scene.frame(0), scene.masks(0))
    named.add(scene.frame(0), {ids[k - 1]: m for k, m in scene.masks(0).items()})
    for t in (1, 2):
        one, two = plain.step(scene.frame(t)), named.step(scene.frame(t))
        assert two.object_ids == tuple(sorted(ids))
        for k in (1, 2):
            # Another order of the objects is another order of floating-point sums, so a tied pixel may change sides.
            assert ((one.label_map == k) != (two.label_map == ids[k - 1])).sum() <= 2


def test_ids_above_255_need_16_bits(lite, scene):
    tracker = Tracker(lite)
    result = tracker.add(scene.frame(0), {300: scene.masks(0)[1]})
    assert result.label_map.dtype == np.uint16
    assert set(np.unique(result.label_map)) == {0, 300}
    assert tracker.step(scene.frame(1)).label_map.dtype == np.uint16


def test_object_that_enters_later_joins_and_the_others_go_on(lite, scene):
    tracker = Tracker(lite)
    tracker.add(scene.frame(0), {2: scene.masks(0)[2]})
    tracker.step(scene.frame(1))
    result = tracker.add(scene.frame(2), {1: scene.masks(2)[1]})
    assert result.object_ids == (1, 2)
    assert result.human == {1}
    np.testing.assert_array_equal(result.label_map == 1, scene.masks(2)[1])
    assert tracker.step(scene.frame(3)).object_ids == (1, 2)


def test_all_objects_share_one_pass(lite, make_scene):
    """The encoder runs once a frame, however many objects there are."""
    calls = []
    lite.encoder.register_forward_hook(lambda *_: calls.append(1))
    scene = make_scene(objects=5, size=(128, 128))
    tracker = Tracker(lite)
    tracker.add(scene.frame(0), scene.masks(0))
    tracker.step(scene.frame(1))
    tracker.step(scene.frame(2))
    assert len(calls) == 3


def test_removed_object_leaves_and_the_others_keep_their_ids(lite, scene):
    tracker = Tracker(lite)
    tracker.add(scene.frame(0), scene.masks(0))
    tracker.step(scene.frame(1))
    tracker.remove([1])
    result = tracker.step(scene.frame(2))
    assert result.object_ids == (2,)
    assert 1 not in np.unique(result.label_map)


def test_removing_one_object_equals_never_having_had_it_in_the_memory(lite, make_scene):
    scene = make_scene(objects=2)
    both = Tracker(lite)
    both.add(scene.frame(0), scene.masks(0))
    both.remove([2])
    alone = Tracker(lite)
    alone.add(scene.frame(0), {1: scene.masks(0)[1]})
    np.testing.assert_array_equal(both.step(scene.frame(1)).label_map, alone.step(scene.frame(1)).label_map)


def test_correction_of_the_current_frame_replaces_the_mask_and_is_remembered(lite, scene):
    tracker = Tracker(lite)
    tracker.add(scene.frame(0), scene.masks(0))
    tracker.step(scene.frame(1))
    result = tracker.add(scene.frame(1), {1: scene.masks(1)[1]}, 1)
    np.testing.assert_array_equal(result.label_map == 1, scene.masks(1)[1])
    assert [e.frame_index for e in tracker.memory.permanent] == [0, 1]
    assert tracker.memory.permanent[1].known() == {1}
    assert tracker.frame_index == 1


def test_human_masks_stay_and_tracked_frames_are_few(lite, scene):
    tracker = Tracker(lite)
    tracker.add(scene.frame(0), scene.masks(0))
    sizes = []
    for t in range(1, 60):
        tracker.step(scene.frame(t % 20))
        sizes.append(len(tracker.memory.permanent) + len(tracker.memory.recent))
    assert tracker.memory.permanent[0].frame_index == 0
    assert max(sizes) <= 1 + lite.config.max_recent


def test_human_frames_outweigh_tracked_ones(lite, scene, monkeypatch):
    seen = []
    see = type(lite).see

    def watched(self, features, asked):
        seen.append([r.weight for r in asked.references])
        return see(self, features, asked)

    monkeypatch.setattr(type(lite), "see", watched)
    tracker = Tracker(lite)
    tracker.add(scene.frame(0), scene.masks(0))
    run(tracker, scene, 2, 1)
    tracker.memory.recent = [dataclasses.replace(tracker.memory.permanent[0], frame_index=1)]
    run(tracker, scene, 3, 2)
    assert seen == [[2.0], [2.0, 1.0]]


def test_empty_correction_says_that_the_object_is_gone(lite, scene):
    tracker = Tracker(lite)
    tracker.add(scene.frame(0), scene.masks(0))
    tracker.step(scene.frame(1))
    result = tracker.add(scene.frame(1), {1: np.zeros((96, 128), bool)}, 1)
    assert 1 in result.lost
    assert result.object_ids == (1, 2)


@pytest.mark.parametrize("config", [{}, {"use_flow": False}, {"windows": False}, {"top_k": 8}, {"max_recent": 0}])
def test_saved_tracker_continues_with_the_same_masks(tmp_path, scene, config):
    torch.manual_seed(0)
    network = build_network(dataclasses.replace(preset("lite"), **config)).eval()
    tracker = Tracker(network)
    tracker.add(scene.frame(0), scene.masks(0))
    run(tracker, scene, 8, 1)
    tracker.save(tmp_path / "state.safetensors")
    again = Tracker.load(tmp_path / "state.safetensors", network)
    for t in range(8, 12):
        one, two = tracker.step(scene.frame(t)), again.step(scene.frame(t))
        np.testing.assert_array_equal(one.label_map, two.label_map)
        assert one.scores == two.scores
        assert one.frame_index == two.frame_index == t


def test_damaged_state_and_state_of_another_network_are_refused(tmp_path, lite, scene):
    path = tmp_path / "state.safetensors"
    tracker = Tracker(lite)
    tracker.add(scene.frame(0), scene.masks(0))
    tracker.save(path)
    other = build_network(dataclasses.replace(preset("lite"), max_side=512)).eval()
    with pytest.raises(WeightsError, match="other settings"):
        Tracker.load(path, other)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="damaged"):
        Tracker.load(path, lite)


def test_dense_and_windowed_paths_give_the_same_masks(make_scene):
    scene = make_scene(objects=3, size=(192, 256))
    torch.manual_seed(3)
    network = build_network(preset("lite")).eval()
    dense = build_network(dataclasses.replace(preset("lite"), windows=False)).eval()
    dense.load_state_dict(network.state_dict())
    one, two = Tracker(network), Tracker(dense)
    one.add(scene.frame(0), scene.masks(0))
    two.add(scene.frame(0), scene.masks(0))
    for t in (1, 2):
        first, second = one.step(scene.frame(t)), two.step(scene.frame(t))
    assert first.object_ids == second.object_ids


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (17, 16), (33, 47)])
def test_frames_of_odd_sizes(lite, shape):
    frame = np.full((*shape, 3), 90, np.uint8)
    tracker = Tracker(lite)
    tracker.add(frame, {1: np.ones(shape, bool)})
    assert tracker.step(frame).label_map.shape == shape


def test_grey_and_alpha_frames(lite, scene):
    rgb = scene.frame(0)
    grey = rgb[..., 0]
    tracker = Tracker(lite)
    tracker.add(grey, scene.masks(0))
    assert tracker.step(grey[..., None]).label_map.shape == (96, 128)
    alpha = np.dstack([rgb, np.full((96, 128), 7, np.uint8)])
    one, two = Tracker(lite), Tracker(lite)
    one.add(rgb, scene.masks(0))
    two.add(alpha, scene.masks(0))
    np.testing.assert_array_equal(one.step(scene.frame(1)).label_map, two.step(scene.frame(1)).label_map)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda s: (s.frame(0), {}), MaskError, "No masks"),
        (lambda s: (s.frame(0), {0: s.masks(0)[1]}), MaskError, "0"),
        (lambda s: (s.frame(0), {70000: s.masks(0)[1]}), MaskError, "70000"),
        (lambda s: (s.frame(0), {1: np.zeros((96, 128), bool)}), MaskError, "no pixel"),
        (lambda s: (s.frame(0), {1: s.masks(0)[1][:50]}), MaskError, "128x50"),
        (lambda s: (s.frame(0), {1: s.masks(0)[1], 2: s.masks(0)[1]}), MaskError, "overlaps"),
        (lambda s: (s.frame(0).astype(np.float32), s.masks(0)), MediaError, "uint8"),
        (lambda s: (s.frame(0)[:, :, :2], s.masks(0)), MediaError, r"\(96, 128, 2\)"),
        (lambda s: (s.frame(0)[:0], s.masks(0)), MediaError, "128x0"),
    ],
)
def test_bad_input_says_what_is_wrong(lite, scene, change, error, words):
    frame, masks = change(scene)
    with pytest.raises(error, match=words):
        Tracker(lite).add(frame, masks)


def test_more_than_255_objects_are_refused(lite):
    frame = np.zeros((32, 32, 3), np.uint8)
    masks = {}
    for k in range(256):
        masks[k + 1] = np.zeros((32, 32), bool)
        masks[k + 1][k // 32, k % 32] = True
    with pytest.raises(MaskError, match="256 objects"):
        Tracker(lite).add(frame, masks)


def test_step_needs_objects_and_frames_of_one_size(lite, scene):
    tracker = Tracker(lite)
    with pytest.raises(MaskError, match="give masks first"):
        tracker.step(scene.frame(0))
    tracker.add(scene.frame(0), scene.masks(0))
    with pytest.raises(MediaError, match="64x96"):
        tracker.step(scene.frame(1)[:, :64])
    with pytest.raises(MaskError, match="9"):
        tracker.remove([9])
    with pytest.raises(MediaError, match="-1"):
        tracker.step(scene.frame(1), -1)


@pytest.mark.parametrize("name", ["paper", "rgmp", "lite", "propagation"])
def test_every_network_tracks(name, scene):
    torch.manual_seed(0)
    network = build_network(preset(name)).eval()
    tracker = Tracker(network)
    tracker.add(scene.frame(0), scene.masks(0))
    result = tracker.step(scene.frame(1))
    assert result.object_ids == (1, 2)
    assert result.label_map.shape == (96, 128)
    tracker.remove([1])
    assert tracker.step(scene.frame(2)).object_ids == (2,)


@pytest.mark.parametrize(
    ("size", "side", "working"),
    [
        ((480, 854), 200, (352, 640)),
        ((480, 854), 20, (544, 960)),
        ((240, 320), 60, (352, 480)),
        ((240, 320), 20, (480, 640)),
        ((240, 320), 28, (416, 544)),
        ((96, 160), 40, (144, 240)),
        ((96, 160), 16, (288, 480)),
        ((96, 160), 4, (288, 480)),
    ],
)
def test_small_objects_are_looked_at_more_closely(lite, size, side, working):
    mask = np.zeros(size, bool)
    mask[20 : 20 + side, 20 : 20 + side] = True
    tracker = Tracker(lite)
    tracker.add(np.zeros((*size, 3), np.uint8), {1: mask})
    assert tracker.geometry.working == working


def test_a_refused_first_frame_leaves_no_trace(lite, scene):
    tracker = Tracker(lite)
    with pytest.raises(MaskError):
        tracker.add(np.zeros((50, 50, 3), np.uint8), {1: np.zeros((50, 50), bool)})
    assert tracker.add(scene.frame(0), scene.masks(0)).object_ids == (1, 2)
