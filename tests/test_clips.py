from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agss_model.clips import Block, blocks, fuse, propagate
from agss_model.errors import MaskError, MediaError
from agss_model.fusing import SHARPNESS
from agss_model.masks import to_label_map
from agss_model.tracking.results import FrameResult
from agss_model.tracking.tracker import Tracker


class Source:
    """A clip out of a `Scene`."""

    name, fps = "scene", 25.0

    def __init__(self, scene, count):
        self.scene, self.count = scene, count
        self.size = (scene.width, scene.height)

    def __len__(self):
        return self.count

    def read(self, index):
        return self.scene.frame(index)

    def frames(self, start=None, stop=None, step=1):
        numbers = range(self.count)[slice(start, stop, step)]
        return (self.scene.frame(t) for t in numbers)


def key(scene, t, ids=(1, 2)):
    return to_label_map({i: m for i, m in scene.masks(t).items() if i in ids})


def test_forward_equals_the_tracker(lite, scene):
    results = list(propagate(Source(scene, 5), {0: key(scene, 0)}, lite, direction="forward"))
    tracker = Tracker(lite)
    expected = [tracker.add(scene.frame(0), scene.masks(0))] + [tracker.step(scene.frame(t)) for t in range(1, 5)]
    assert [r.frame_index for r in results] == list(range(5))
    for one, two in zip(results, expected, strict=True):
        np.testing.assert_array_equal(one.label_map, two.label_map)


def test_an_error_on_the_way_ends_the_thread_that_reads_ahead(lite, scene, monkeypatch):
    """Also while somebody holds the error, and with it everything that it passed."""

    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Tracker, "step", broken)
    with pytest.raises(KeyboardInterrupt) as error:
        list(propagate(Source(scene, 60), {0: key(scene, 0)}, lite, direction="forward"))
    assert error.value is not None
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_backward_comes_in_falling_order(lite, scene):
    results = list(propagate(Source(scene, 6), {4: key(scene, 4)}, lite, direction="backward", start=1))
    assert [r.frame_index for r in results] == [4, 3, 2, 1]


def test_both_covers_every_frame_once_in_order_and_keyframes_stay_exact(lite, scene):
    keys = {2: key(scene, 2), 6: key(scene, 6)}
    results = list(propagate(Source(scene, 9), keys, lite))
    assert [r.frame_index for r in results] == list(range(9))
    for number, label_map in keys.items():
        np.testing.assert_array_equal(results[number].label_map, label_map)
        assert results[number].human == {1, 2}
    assert results[4].human == frozenset()


def test_a_part_of_the_clip(lite, scene):
    results = list(propagate(Source(scene, 9), {0: key(scene, 0), 7: key(scene, 7)}, lite, start=3, stop=6))
    assert [r.frame_index for r in results] == [3, 4, 5]


def test_objects_that_enter_at_the_second_keyframe(lite, scene):
    keys = {0: key(scene, 0, (1,)), 4: key(scene, 4, (2,))}
    results = list(propagate(Source(scene, 6), keys, lite))
    assert results[2].object_ids == (1, 2)
    assert results[5].object_ids == (1, 2)  # a keyframe that adds an object does not end the others
    for number, object_id in ((0, 1), (4, 2)):
        np.testing.assert_array_equal(results[number].label_map == object_id, keys[number] == object_id)
        assert results[number].human == {object_id}


def test_a_correction_of_one_object_leaves_the_others_to_their_own_keyframes(lite, scene):
    keys = {1: key(scene, 1), 4: key(scene, 4, (2,)), 7: key(scene, 7)}
    results = list(propagate(Source(scene, 10), keys, lite))
    assert [r.frame_index for r in results] == list(range(10))
    assert all(r.object_ids == (1, 2) for r in results)
    assert results[4].human == {2}
    np.testing.assert_array_equal(results[4].label_map == 2, keys[4] == 2)
    without = list(propagate(Source(scene, 10), {1: keys[1], 7: keys[7]}, lite))
    for outside in (0, 1, 7, 8, 9):  # beyond keyframes that show every object nothing can change
        np.testing.assert_array_equal(results[outside].label_map, without[outside].label_map)


def test_blocks_cover_the_clip_and_end_where_every_object_is_drawn():
    drawn = {2: frozenset({1}), 4: frozenset({1, 2}), 7: frozenset({2}), 8: frozenset({1, 2})}
    assert blocks(drawn, 10) == [
        Block(range(4), (2, 4)),
        Block(range(4, 8), (4, 7, 8)),
        Block(range(8, 10), (8,)),
    ]
    assert blocks({0: frozenset({1})}, 3) == [Block(range(3), (0,))]
    assert blocks({1: frozenset({1}), 3: frozenset({1})}, 5, "forward") == [
        Block(range(1, 3), (1,)),
        Block(range(3, 5), (1, 3)),
    ]
    assert blocks({1: frozenset({1}), 3: frozenset({1})}, 5, "backward") == [
        Block(range(2), (1, 3)),
        Block(range(2, 4), (3,)),
    ]


@pytest.mark.parametrize(("start", "stop"), [(0, 2), (0, 10), (2, 5), (4, 5), (5, 10)])
def test_any_part_equals_that_part_of_the_whole(lite, scene, start, stop):
    keys = {2: key(scene, 2, (1,)), 4: key(scene, 4), 7: key(scene, 7, (2,))}
    whole = list(propagate(Source(scene, 10), keys, lite))
    part = list(propagate(Source(scene, 10), keys, lite, start=start, stop=stop))
    assert [r.frame_index for r in part] == list(range(start, stop))
    for result in part:
        np.testing.assert_array_equal(result.label_map, whole[result.frame_index].label_map)
        assert result.scores == whole[result.frame_index].scores


@pytest.mark.parametrize(
    ("keys", "arguments", "error", "words"),
    [
        ({}, {}, MaskError, "No keyframe"),
        ({9: None}, {}, MediaError, "Keyframe 9"),
        ({0: None}, {"start": 4, "stop": 99}, MediaError, "0 to 5"),
        ({0: np.ones((5, 5), np.uint8)}, {}, MaskError, "5x5"),
    ],
)
def test_bad_input(lite, scene, keys, arguments, error, words):
    keys = {n: key(scene, 0) if k is None else k for n, k in keys.items()}
    with pytest.raises(error, match=words):
        list(propagate(Source(scene, 6), keys, lite, **arguments))


labels = arrays(np.uint8, (4, 5), elements=st.integers(0, 2))
scores = st.fixed_dictionaries({1: st.floats(0, 1), 2: st.floats(0, 1)})


@settings(max_examples=60, deadline=None)
@given(one=labels, two=labels, one_scores=scores, two_scores=scores, progress=st.floats(0.05, 0.95))
def test_fusion_is_symmetric_and_keeps_what_both_say(one, two, one_scores, two_scores, progress):
    a, b = FrameResult(3, (1, 2), one, one_scores), FrameResult(3, (1, 2), two, two_scores)
    ab, ba = fuse(a, b, progress), fuse(b, a, 1 - progress)
    agree = one == two
    np.testing.assert_array_equal(ab.label_map[agree], one[agree])
    assert ((ab.label_map == one) | (ab.label_map == two)).all()
    weights = [(1 - progress) * (0.05 + 0.95 * one_scores[i]) ** SHARPNESS for i in (1, 2)]
    others = [progress * (0.05 + 0.95 * two_scores[i]) ** SHARPNESS for i in (1, 2)]
    shares = [x / (x + y) for x, y in zip(weights, others, strict=True)]
    if min(abs(x + y - 1) for x in shares for y in shares) > 1e-9:  # no tie
        np.testing.assert_array_equal(ab.label_map, ba.label_map)


def test_the_surer_side_wins():
    one, two = np.array([[1, 0]], np.uint8), np.array([[0, 1]], np.uint8)
    sure = fuse(FrameResult(1, (1,), one, {1: 0.9}), FrameResult(1, (1,), two, {1: 0.1}), 0.5)
    np.testing.assert_array_equal(sure.label_map, one)
    assert "forward and backward disagree" in sure.reasons[1]
    nearer = fuse(FrameResult(1, (1,), one, {1: 0.5}), FrameResult(1, (1,), two, {1: 0.5}), 0.9)
    np.testing.assert_array_equal(nearer.label_map, two)


def test_who_lost_an_object_does_not_give_its_pixels_to_another():
    """Backward, nearer to its keyframe and sure of object 2, has lost object 1, which forward sees clearly."""
    forward = FrameResult(1, (1, 2), np.array([[1, 1, 2, 2]], np.uint8), {1: 0.8, 2: 0.7})
    backward = FrameResult(1, (1, 2), np.array([[2, 2, 2, 2]], np.uint8), {1: 0.0, 2: 0.8})
    np.testing.assert_array_equal(fuse(forward, backward, 0.7).label_map, forward.label_map)
