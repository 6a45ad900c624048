"""Going on from a state: the same masks as without the interruption, whatever happened in between."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from function_client import Clip, Function, box_around, box_overlap, changed, mask_of, overlap, picture

from agss_model.config import preset
from agss_model.network import build_network
from agss_model.tracking.frames import resized
from agss_model.tracking.memory import Memory
from agss_model.tracking.tracker import Tracker
from serverless.function import pictures, scenes
from serverless.function.cache import FeatureCache
from serverless.function.scenes import Scenes
from serverless.function.state import from_json

HEIGHT, WIDTH = 96, 160


@pytest.fixture(scope="module")
def function():
    return Function()


def restarted(function):
    """What a worker knows that was started again, or another replica: the network and nothing else."""
    return Function(Scenes(function.scenes.network, FeatureCache(1 << 26)))


def masks(shapes):
    return [shape and mask_of(shape["points"], HEIGHT, WIDTH) for shape in shapes]


def test_twenty_objects_are_found_frame_after_frame(function):
    clip = Clip(20, size=(240, 400))
    states = function.start(clip.frame(0), clip.shapes(0))
    for t in range(1, 5):
        found, states = function.follow(clip.frame(t), states)
    overlaps = [
        overlap(mask_of(shape["points"], 240, 400), truth) if shape else 0
        for shape, truth in zip(found, clip.masks(4), strict=True)
    ]
    assert np.mean(overlaps) > 0.6


def test_a_worker_that_was_killed_between_any_two_frames_changes_nothing(function):
    clip = Clip(3)
    start = function.start(clip.frame(0), clip.shapes(0))
    expected, last = function.track(clip.frames(1, 9), start)
    states, found = start, []
    for t in range(1, 9):
        shapes, states = restarted(function).follow(clip.frame(t), states)
        found.append(shapes)
    assert found == expected
    assert states == last
    assert any(len(state["frames"]) > 2 for state in states)  # a frame between was kept and lived through it


def test_two_replicas_in_turn_answer_as_one(function):
    clip = Clip(3)
    replicas = [restarted(function), restarted(function)]
    start = function.start(clip.frame(0), clip.shapes(0))
    expected, _ = function.track(clip.frames(1, 9), start)
    states, found = start, []
    for t in range(1, 9):
        shapes, states = replicas[t % 2].follow(clip.frame(t), states)
        found.append(shapes)
    assert found == expected


@pytest.mark.parametrize("chosen", [[0], [2], [0, 2], [3, 1], [4]])
def test_a_subset_goes_on_the_same_way_in_a_new_worker(function, chosen):
    clip = Clip(5, size=(120, 200))
    states = function.start(clip.frame(0), clip.shapes(0))
    _, states = function.track(clip.frames(1, 8), states)
    some = [states[k] for k in chosen]
    expected, _ = function.track(clip.frames(8, 11), some)
    found, _ = restarted(function).track(clip.frames(8, 11), some)
    assert found == expected
    for shape, k in zip(found[-1], chosen, strict=True):
        assert overlap(mask_of(shape["points"], 120, 200), clip.masks(10)[k]) > 0.6


def test_an_older_state_can_be_replayed(function):
    clip = Clip(3)
    states = function.start(clip.frame(0), clip.shapes(0))
    _, middle = function.track(clip.frames(1, 5), states)
    expected, _ = function.track(clip.frames(5, 9), middle)
    again, _ = function.track(clip.frames(5, 9), middle)
    elsewhere, _ = restarted(function).track(clip.frames(5, 9), middle)
    assert expected == again == elsewhere


def test_the_same_request_gives_the_same_answer_byte_for_byte(function):
    clip = Clip(3)
    states = function.start(clip.frame(0), clip.shapes(0))
    assert function.follow(clip.frame(1), states) == function.follow(clip.frame(1), states)


def test_the_order_of_objects_never_matters(function):
    clip = Clip(5, size=(120, 200))
    states = function.start(clip.frame(0), clip.shapes(0))
    _, states = function.track(clip.frames(1, 7), states)
    expected = function.follow(clip.frame(7), states)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(5)
        shapes, after = function.follow(clip.frame(7), [states[k] for k in order])
        assert shapes == [expected[0][k] for k in order]
        assert after == [expected[1][k] for k in order]


def test_the_order_of_shapes_never_matters_even_where_they_overlap(function):
    clip = Clip(1)
    large = {"type": "rectangle", "points": [4.0, 4.0, 100.0, 90.0]}
    small = clip.shapes(0)[0]
    one, two = (function.start(clip.frame(0), shapes) for shapes in ([large, small], [small, large]))
    assert one == two[::-1]


def test_interleaved_videos_do_not_touch_each_other(function):
    clips = [Clip(3, seed=1), Clip(2, seed=2, size=(120, 160)), Clip(3, seed=3, speed=1)]
    alone, states = [], []
    for clip in clips:
        start = restarted(function).start(clip.frame(0), clip.shapes(0))
        alone.append(restarted(function).track(clip.frames(1, 5), start)[0])
        states.append(start)
    together = [[] for _ in clips]
    for t in range(1, 5):
        for k, clip in enumerate(clips):
            shapes, states[k] = function.follow(clip.frame(t), states[k])
            together[k].append(shapes)
    assert together == alone


def test_objects_started_on_different_frames_go_on_in_one_pass(function, monkeypatch):
    clip = Clip(4, size=(120, 200))
    states = function.start(clip.frame(0), clip.shapes(0)[:1])
    for t in range(1, 4):
        _, states = function.follow(clip.frame(t), states)
        states = [*states, *function.start(clip.frame(t), [clip.shapes(t)[t]])]
    passes = []
    see = function.scenes.network.see
    monkeypatch.setattr(function.scenes.network, "see", lambda *a: passes.append(1) or see(*a))
    for t in range(4, 9):
        shapes, states = function.follow(clip.frame(t), states)
    assert len(passes) == 5
    for shape, truth in zip(shapes, clip.masks(8), strict=True):
        assert overlap(mask_of(shape["points"], 120, 200), truth) > 0.6


def test_objects_last_seen_on_different_frames_meet(function):
    clip = Clip(3, speed=1)
    first = function.start(clip.frame(0), clip.shapes(0)[:2])
    _, first = function.track(clip.frames(1, 4), first)
    late = function.start(clip.frame(1), [clip.shapes(1)[2]])  # two frames behind the others
    message = [*first, *late]
    expected = function.follow(clip.frame(4), message)
    assert restarted(function).follow(clip.frame(4), message) == expected
    for shape, truth in zip(expected[0], clip.masks(4), strict=True):
        assert overlap(mask_of(shape["points"], HEIGHT, WIDTH), truth) > 0.6


def test_one_pass_a_frame_however_many_objects(function, monkeypatch):
    function = restarted(function)
    calls = {"encode": 0, "see": 0}
    network = function.scenes.network
    for name in calls:
        original = getattr(network, name)

        def counted(*args, name=name, original=original, **options):
            calls[name] += 1
            return original(*args, **options)

        monkeypatch.setattr(network, name, counted)
    clip = Clip(20, size=(240, 400))
    states = function.start(clip.frame(0), clip.shapes(0))
    assert calls == {"encode": 0, "see": 0}
    _, states = function.follow(clip.frame(1), states)
    assert calls == {"encode": 2, "see": 1}  # the first frame is looked at when it is needed first
    function.follow(clip.frame(2), states)
    assert calls == {"encode": 3, "see": 2}


def test_small_and_large_objects_share_a_working_size_when_they_meet(function):
    """Small objects are looked at more closely; a request with both uses the larger size for all."""
    clip = Clip(2, size=(540, 960))
    clip.places, clip.side = [(40, 60), (300, 100)], 200
    tiny = np.zeros((540, 960), bool)
    tiny[20:44, 700:724] = True
    frame = clip.frame(0)
    frame[tiny] = 255
    large = function.start(frame, clip.shapes(0))
    shape = {"type": "polygon", "points": [700.0, 20.0, 724.0, 20.0, 724.0, 44.0, 700.0, 44.0]}
    small = function.start(frame, [shape])
    assert small[0]["working"] > large[0]["working"]
    _, after = function.follow(frame, [*large, *small])
    assert all(state["working"] == small[0]["working"] for state in after)
    found, _ = restarted(function).follow(frame, after)
    assert overlap(mask_of(found[0]["points"], 540, 960), clip.masks(0)[0]) > 0.6
    x, y = found[2]["points"][::2], found[2]["points"][1::2]
    assert box_overlap([min(x), min(y), max(x), max(y)], [700, 20, 724, 44]) > 0.4


def test_a_frame_that_does_not_change_can_come_again_and_again(function):
    clip = Clip(2)
    states = function.start(clip.frame(0), clip.shapes(0))
    for _ in range(8):
        shapes, states = function.follow(clip.frame(0), states)
    for mask, truth in zip(masks(shapes), clip.masks(0), strict=True):
        assert overlap(mask, truth) > 0.6


def test_equal_states_are_one_object(function):
    clip = Clip(2)
    states = function.start(clip.frame(0), clip.shapes(0))
    shapes, _ = function.follow(clip.frame(1), states)
    twice, _ = function.follow(clip.frame(1), [states[0], states[1], states[0]])
    assert twice == [shapes[0], shapes[1], shapes[0]]


def test_a_state_read_and_written_is_the_same(function):
    clip = Clip(3)
    states = function.start(clip.frame(0), clip.shapes(0))
    _, states = function.track(clip.frames(1, 8), states)
    for state in states:
        assert from_json(state).to_json() == state
        assert json.loads(json.dumps(state)) == state


def test_a_state_holds_all_that_a_tracker_holds(function):
    """The function finds what a tracker finds that is never interrupted."""
    clip = Clip(3)
    tracker = Tracker(function.scenes.network)
    tracker.add(clip.frame(0), dict(enumerate(clip.masks(0), 1)))
    states = function.start(clip.frame(0), clip.shapes(0))
    for t in range(1, 22):
        hidden = [1] if 4 <= t <= 11 else []  # lost when frames are kept, and found again
        result = tracker.step(clip.frame(t, hidden))
        shapes, states = function.follow(clip.frame(t, hidden), states)
        for object_id, mask in enumerate(masks(shapes), 1):
            truth = result.label_map == object_id
            assert overlap(mask, truth) > 0.99 if mask is not None else not truth.any(), (t, object_id)
        assert [state["since"] for state in states] == [tracker.snapshot().since] * 3


def test_frames_that_the_tracker_made_never_count_as_drawn(function, monkeypatch):
    clip, held = Clip(2), []
    recall = Memory.recall
    monkeypatch.setattr(Memory, "recall", lambda *a: held.append(recall(*a)) or held[-1])
    _, states = function.track(clip.frames(1, 13), function.start(clip.frame(0), clip.shapes(0)))
    assert any(len(state["frames"]) > 3 for state in states)
    weight = function.scenes.network.config.human_weight
    assert weight > 1
    assert {(len(h.human), h.human[0].weight) for h in held} == {(1, weight)}
    assert {reference.weight for h in held for reference in h.tracked} == {1}
    assert max(len(h.tracked) for h in held) == 2


def test_frames_between_are_carried_once_and_without_their_carrier_left_out(function):
    clip = Clip(5, size=(120, 200))
    states = function.start(clip.frame(0), clip.shapes(0))
    _, states = function.track(clip.frames(1, 9), states)
    between = states[0]["frames"][1]["picture"]
    carriers = [k for k, state in enumerate(states) if between in from_json(state).pictures]
    assert len(carriers) == 1
    without = [state for k, state in enumerate(states) if k not in carriers]
    expected = function.follow(clip.frame(9), without)
    assert restarted(function).follow(clip.frame(9), without) == expected
    assert all(between not in [look["picture"] for look in state["frames"]] for state in expected[1])


def grainy(clip, t):
    """A frame whose picture without loss is too large to be carried by every object."""
    grain = np.random.default_rng(t).integers(-12, 13, (clip.height, clip.width, 3))
    return (clip.frame(t) + grain).clip(0, 255).astype(np.uint8)


def test_large_pictures_are_carried_for_all_and_faint_copies_by_each(function):
    clip = Clip(5, size=(180, 300))
    states = function.start(grainy(clip, 0), clip.shapes(0))
    for t in range(1, 3):
        shapes, states = function.follow(grainy(clip, t), states)
    held = [from_json(state) for state in states]
    assert len({state.drawn.digest for state in held}) == len({state.frames[-1].digest for state in held}) == 1
    for digest, copies in ((held[0].drawn.digest, scenes.DRAWN_COPIES), (held[0].frames[-1].digest, 1)):
        assert sum(digest in state.pictures for state in held) == copies
    assert sum(len(state.pictures) for state in held) == 2 * len(held)
    small = [len(p.data) for state in held for p in state.pictures.values() if p.digest in _faint(state)]
    assert len(small) == 2 * len(held) - 1 - scenes.DRAWN_COPIES
    assert max(small) <= pictures.FAINT_BYTES

    alone = next(k for k, state in enumerate(held) if not {seen.digest for seen in state.frames} & set(state.pictures))
    expected = function.follow(grainy(clip, 3), [states[alone]])
    assert restarted(function).follow(grainy(clip, 3), [states[alone]]) == expected
    assert overlap(mask_of(expected[0][0]["points"], 180, 300), clip.masks(3)[alone]) > 0.6
    found, _ = function.follow(grainy(clip, 3), states)
    assert found != shapes


def _faint(state):
    return {seen.faint for seen in state.frames}


def test_a_frame_with_more_noise_than_a_camera_has_loses_a_little(monkeypatch):
    frame = np.random.default_rng(0).integers(0, 256, (352, 640, 3), np.uint8)
    assert len(pictures.encode(frame, (352, 640)).data) <= pictures.TRUE_BYTES
    monkeypatch.setattr(pictures, "TRUE_BYTES", 30_000)
    smooth = cv2.GaussianBlur(frame, (0, 0), 3)
    assert 15_000 < len(pictures.encode(smooth, (352, 640)).data) <= 30_000


def test_what_the_network_sees_is_what_a_tracker_sees():
    rng = np.random.default_rng(0)
    for size, working in (
        ((90, 160), (96, 160)),
        ((200, 300), (352, 528)),
        ((1080, 1920), (352, 640)),
        ((4, 700), (16, 640)),
    ):
        frame = cv2.resize(rng.integers(0, 256, (9, 16, 3), np.uint8), size[::-1])
        assert np.array_equal(pictures.encode(frame, working).pixels(working), resized(frame, working))


def test_states_go_on_with_other_weights(function):
    torch.manual_seed(1)
    other = Function(Scenes(build_network(preset("lite")).eval(), FeatureCache(1 << 24)))
    clip = Clip(2)
    states = function.start(clip.frame(0), clip.shapes(0))
    _, states = function.follow(clip.frame(1), states)
    shapes, after = other.follow(clip.frame(2), states)
    assert len(shapes) == len(after) == 2
    found, _ = function.follow(clip.frame(3), states)
    for mask, truth in zip(masks(found), clip.masks(3), strict=True):
        assert overlap(mask, truth) > 0.6


@pytest.mark.parametrize("architecture", ["paper", "rgmp"])
def test_networks_without_keys_serve_too(architecture):
    """Their features do not fit Redis, and their masks are carried at full size; the promises are the same."""
    torch.manual_seed(0)
    network = build_network(preset(architecture)).eval()
    one = Function(Scenes(network, FeatureCache(1 << 28)))
    clip = Clip(2, size=(64, 96))
    states = one.start(clip.frame(0), clip.shapes(0))
    assert states[0]["carried"] == states[0]["working"]
    first, middle = one.follow(clip.frame(1), states)
    expected = one.follow(clip.frame(2), middle)
    assert Function(Scenes(network, FeatureCache(1 << 28))).follow(clip.frame(2), middle) == expected
    assert len(first) == 2


def test_states_of_another_video_are_refused(function):
    states = function.start(Clip(1).frame(0), Clip(1).shapes(0))
    other = Clip(1, size=(120, 160))
    status, reply = function.post({"image": picture(other.frame(1)), "shapes": [None], "states": states})
    assert status == 422
    assert "160x96" in reply["error"]


@pytest.mark.parametrize("count", [1, 8])
def test_states_are_bounded_at_1080p(function, count):
    """Four megabytes of true pictures a request, and two faint ones and the masks an object; base64 adds a third."""
    rng = np.random.default_rng(0)
    coarse, fine = (
        cv2.resize(rng.uniform(0, 255, (*size, 3)).astype(np.float32), (1920, 1080)) for size in ((9, 16), (135, 240))
    )
    ground = (0.6 * coarse + 0.4 * fine).clip(0, 255).astype(np.uint8)
    clip = Clip(8, size=(1080, 1920))
    clip.ground = ground
    shapes = [{"type": "rectangle", "points": box_around(mask)} for mask in clip.masks(0)[:count]]
    states = function.start(clip.frame(0), shapes)
    for t in range(1, 3):
        _, states = function.follow(clip.frame(t), states)
    room = scenes.SHARED_BYTES + count * (2 * pictures.FAINT_BYTES + 12_000)
    assert sum(len(json.dumps(state)) for state in states) <= room * 4 / 3


def test_beyond_the_room_for_true_pictures_faint_ones_do(function, monkeypatch):
    monkeypatch.setattr(scenes, "SHARED_BYTES", 0)
    clip = Clip(2, size=(180, 300))
    states = function.start(grainy(clip, 0), clip.shapes(0))
    for t in range(1, 4):
        shapes, states = function.follow(grainy(clip, t), states)
    assert all(len(p.data) <= pictures.FAINT_BYTES for state in states for p in from_json(state).pictures.values())
    for shape, truth in zip(shapes, clip.masks(3), strict=True):
        assert overlap(mask_of(shape["points"], 180, 300), truth) > 0.6


def test_states_from_before_there_were_faint_pictures_go_on(function):
    clip = Clip(2)
    states = function.start(clip.frame(0), clip.shapes(0))
    old = [
        changed(state, frames=[{k: v for k, v in f.items() if k != "faint"} for f in state["frames"]])
        for state in states
    ]
    assert function.follow(clip.frame(1), old) == function.follow(clip.frame(1), states)


def test_a_state_of_another_version_says_so(function):
    clip = Clip(1)
    states = function.start(clip.frame(0), clip.shapes(0))
    message = {"image": picture(clip.frame(1)), "shapes": [None], "states": [changed(states[0], agss=2)]}
    status, reply = function.post(message)
    assert status == 422
    assert "version" in reply["error"]
