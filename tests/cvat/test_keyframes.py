from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thinning_cases import CASES, check

from agss_model.cvat.polygons.keyframes import LEAST, SIGNATURE_SHIFT, TOLERANCE, thin, thin_boxes
from agss_model.errors import ConfigError
from agss_model.masks.cvat_shapes import largest_part
from agss_model.masks.polygons import Polygon, polygons_to_mask


def blob(rng, size, centre, radius, wobble, phase):
    """A star-shaped region with a smooth outline that changes with `phase`."""
    y, x = np.mgrid[:size, :size] + 0.5
    angle = np.arctan2(y - centre[1], x - centre[0])
    edge = radius * (1 + sum(a * np.cos(k * angle + p + phase * k * 0.3) for k, (a, p) in enumerate(wobble, 2)))
    mask = np.hypot(x - centre[0], y - centre[1]) < edge
    return mask | (rng.random(mask.shape) < 0.5) & (np.abs(np.hypot(x - centre[0], y - centre[1]) - edge) < 0.6)


def dense(ring, step=0.1):
    ends = np.roll(ring, -1, axis=0)
    parts = [
        a + (b - a) * np.linspace(0, 1, max(2, int(np.hypot(*(b - a)) / step) + 1))[:, None]
        for a, b in zip(ring, ends, strict=True)
    ]
    return np.concatenate(parts)


def apart(one, two):
    """Symmetric Hausdorff distance of two closed curves, by brute force, to about 0.1."""
    a, b = dense(one), dense(two)
    distance = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    return max(distance.min(0).max(), distance.min(1).max())


def pairing(one, two):
    """How CVAT pairs vertices: by position along the closed outline, each with the nearest."""

    def positions(ring):
        lengths = [np.hypot(*(b - a)) for a, b in zip(ring, [*ring[1:], ring[0]], strict=True)]
        return np.cumsum([0, *lengths]) / sum(lengths)

    a, b = positions(one), positions(two)
    return [min(range(len(b)), key=lambda j: abs(b[j] - p)) for p in a]


def shown(keys, frame):
    """The polygon that CVAT shows in a frame."""
    before = max((k for k in keys if k.frame <= frame), key=lambda k: k.frame)
    if before.frame == frame:
        return before.points
    after = min((k for k in keys if k.frame > frame), key=lambda k: k.frame)
    assert pairing(before.points, after.points) == list(range(len(before.points) + 1))
    part = (frame - before.frame) / (after.frame - before.frame)
    return before.points * (1 - part) + after.points * part


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    count=st.integers(1, 9),
    speed=st.floats(-3, 3),
    change=st.floats(0, 0.3),
    tolerance=st.sampled_from([LEAST, 1.0, 2.0, 3.5]),
    skip=st.integers(1, 3),
)
def test_every_frame_keeps_within_the_tolerance(seed, count, speed, change, tolerance, skip):
    rng = np.random.default_rng(seed)
    wobble = [(rng.uniform(0, 0.12), rng.uniform(0, 6)) for _ in range(4)]
    frames = [7 + skip * i for i in range(count)]
    rings = [
        largest_part(blob(rng, 64, (32 + speed * i, 32 - speed * i / 2), rng.uniform(11, 12), wobble, change * i)).outer
        for i in range(count)
    ]
    keys = thin(frames, rings, tolerance)
    assert [k.frame for k in keys] == sorted({k.frame for k in keys})
    assert keys[0].frame == frames[0]
    assert keys[-1].frame == frames[-1]
    for key in keys:
        np.testing.assert_array_equal(key.points, np.round(key.points, 1))
    for frame, ring in zip(frames, rings, strict=True):
        polygon = shown(keys, frame)
        assert apart(polygon, ring) <= tolerance + 1e-9


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.tolerance}")
def test_what_kinds_of_movement_need(case):
    keys = thin(
        range(case.frames), [largest_part(mask).outer for mask in case.masks()], case.tolerance + SIGNATURE_SHIFT
    )
    check(case, {key.frame: key.points for key in keys})


def test_what_only_moves_needs_two_keyframes():
    rng = np.random.default_rng(0)
    shape = largest_part(blob(rng, 64, (32, 32), 20, [(0.1, 1), (0.2, 2)], 0)).outer
    frames = list(range(40))
    keys = thin(frames, [shape + np.array([3 * f, 2 * f]) for f in frames], 2.0)
    assert [k.frame for k in keys] == [0, 39]
    assert len(keys[0].points) < 60 < len(shape)


def test_a_turn_needs_a_keyframe_there():
    square = np.array([[0, 0], [30, 0], [30, 20], [0, 20]], float)
    frames = list(range(21))
    keys = thin(frames, [square + np.array([4 * min(f, 20 - f), 0]) for f in frames], 1.0)
    assert 10 in {k.frame for k in keys}
    assert len(keys) <= 5


def test_more_tolerance_gives_fewer_keyframes():
    """A shape that turns and changes a little."""
    rng = np.random.default_rng(3)
    rings = []
    for t in range(24):
        wobble = [(0.15, 1 + 0.07 * t), (0.1 + 0.02 * np.sin(t / 4), 2 + 0.1 * t), (0.05, 0.15 * t)]
        rings.append(largest_part(blob(rng, 110, (40 + t, 55), 28, wobble, 0)).outer)
    counts = [len(thin(range(24), rings, tolerance)) for tolerance in (1.5, 3.0, 5.0)]
    assert counts[0] > counts[1] > counts[2]
    assert counts[1] <= 16
    assert counts[2] <= 8


def test_a_tiny_object_keeps_its_outline():
    pixel = np.array([[5, 5], [6, 5], [6, 6], [5, 6]], float)
    keys = thin([0, 1], [pixel, pixel + 1], 2.0)
    assert all(len(k.points) >= 3 for k in keys)
    assert apart(keys[0].points, pixel) < 0.2


@pytest.mark.parametrize("across", [8, 12, 16, 20, 32])
def test_a_small_ball_stays_a_ball_at_the_usual_tolerance(across):
    """Two pixels are nothing to a large object and a quarter of one of eight pixels."""
    y, x = np.mgrid[:60, :110] + 0.5
    masks = [np.hypot(x - 20 - 5 * t, y - 40 + 4 * t - 0.3 * t * t) <= across / 2 for t in range(12)]
    keys = thin(range(12), [largest_part(mask).outer for mask in masks], TOLERANCE)
    for frame, mask in enumerate(masks):
        polygon = polygons_to_mask([Polygon(shown(keys, frame))], width=110, height=60)
        assert (polygon & mask).sum() / (polygon | mask).sum() > 0.85, frame


@pytest.mark.parametrize(("side", "most"), [(4, 0.4), (8, 0.8), (20, 2.0), (60, 2.0)])
def test_boxes_may_be_beside_small_objects_by_less(side, most):
    wanted = [[5.0 * t, 0.0, 5.0 * t + side, float(side)] for t in range(9)]
    for t in (4, 5):
        wanted[t][0], wanted[t][2] = wanted[t][0] + 1.2, wanted[t][2] + 1.2
    keys = thin_boxes(range(9), wanted, TOLERANCE)
    for (one, a), (two, b) in pairwise(keys):
        for t in range(one, two + 1):
            box = np.array(a) + (t - one) / (two - one) * (np.array(b) - np.array(a))
            assert np.abs(box - wanted[t]).max() <= most
    assert (len(keys) == 2) == (most > 1.2)


@pytest.mark.parametrize("tolerance", [0, 0.1, 0.49, 21, float("nan")])
def test_tolerances_out_of_bounds_are_refused(tolerance):
    with pytest.raises(ConfigError, match="tolerance"):
        thin_boxes([0], [[0, 0, 9, 9]], tolerance)
    with pytest.raises(ConfigError, match="tolerance"):
        thin([0], [np.array([[0, 0], [9, 0], [9, 9]], float)], tolerance)


TABLE = json.loads((Path(__file__).parent / "cases" / "keyframes.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry["case"])
def test_the_table_that_the_button_is_held_to_as_well(entry):
    rings = [np.array(ring, float).reshape(-1, 2) for ring in entry["rings"]]
    keys = thin(entry["frames"], rings, entry["tolerance"])
    assert [{"frame": key.frame, "points": key.points.ravel().tolist()} for key in keys] == entry["keys"]


def test_what_only_trembles_needs_hardly_any_keyframes():
    [entry] = [entry for entry in TABLE if entry["case"] == "stands and trembles"]
    assert [key["frame"] for key in entry["keys"]] == [0, 13]


def test_what_leaves_the_picture_keeps_its_vertices_while_its_outline_shrinks():
    """CVAT counts places along the outline from the first vertex; that one must lie where little else moves."""
    [entry] = [entry for entry in TABLE if entry["case"] == "leaves the picture"]
    assert len(entry["keys"]) <= 6
