from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agss_model.errors import MaskError
from agss_model.evaluation import boundary_f, boundary_map, region_similarity

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=16)
PAIRS = SHAPES.flatmap(lambda shape: st.tuples(hnp.arrays(np.bool_, shape), hnp.arrays(np.bool_, shape)))


def square(size, top, left, side):
    mask = np.zeros(size, np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def boundary_by_pixel(mask):
    """Pixels, as (y, x), that differ from the right, lower or lower right neighbour inside the image."""
    height, width = mask.shape
    found = []
    for y in range(height):
        for x in range(width):
            near = [(min(y + dy, height - 1), min(x + dx, width - 1)) for dy, dx in ((0, 1), (1, 0), (1, 1))]
            if any(mask[y, x] != mask[place] for place in near):
                found.append((y, x))
    return np.array(found, dtype=float).reshape(-1, 2)


def f_by_distances(prediction, truth, tolerance):
    """F from the distances between all boundary pixels."""
    ours, theirs = boundary_by_pixel(prediction), boundary_by_pixel(truth)
    if len(ours) == 0 and len(theirs) == 0:
        return 1.0
    if len(ours) == 0 or len(theirs) == 0:
        return 0.0
    squared = ((ours[:, None, :] - theirs[None, :, :]) ** 2).sum(axis=2)
    near = squared <= math.ceil(tolerance * math.sqrt(truth.shape[0] ** 2 + truth.shape[1] ** 2)) ** 2
    precision, recall = near.any(axis=1).mean(), near.any(axis=0).mean()
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


@given(PAIRS, st.sampled_from([0.008, 0.03, 0.15, 0.3]))
def test_f_agrees_with_distances_between_all_boundary_pixels(pair, tolerance):
    assert boundary_f(*pair, tolerance=tolerance) == pytest.approx(f_by_distances(*pair, tolerance), abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_f_agrees_with_distances_on_blobs_far_apart_in_a_larger_image(seed):
    rng = np.random.default_rng(seed)
    masks = []
    for _ in range(2):
        mask = np.zeros((90, 160), np.bool_)
        for _ in range(2):
            mask |= square(mask.shape, rng.integers(0, 85), rng.integers(0, 150), rng.integers(1, 40))
        masks.append(mask)
    for tolerance in (0.008, 0.05):
        assert boundary_f(*masks, tolerance=tolerance) == pytest.approx(f_by_distances(*masks, tolerance), abs=1e-12)


@given(PAIRS)
def test_both_measures_are_bounded_and_symmetric(pair):
    first, second = pair
    for measure in (region_similarity, boundary_f):
        value = measure(first, second)
        assert 0 <= value <= 1
        assert value == pytest.approx(measure(second, first), abs=1e-12)
        assert measure(first, first) == 1


@given(PAIRS)
def test_j_is_intersection_over_union(pair):
    first, second = (set(map(tuple, np.argwhere(mask).tolist())) for mask in pair)
    expected = len(first & second) / len(first | second) if first | second else 1.0
    assert region_similarity(*pair) == pytest.approx(expected)


def test_empty_masks():
    empty, blob = np.zeros((20, 20), np.bool_), square((20, 20), 5, 5, 4)
    assert region_similarity(empty, empty) == boundary_f(empty, empty) == 1
    assert region_similarity(empty, blob) == boundary_f(empty, blob) == 0
    assert region_similarity(blob, empty) == boundary_f(blob, empty) == 0


def test_a_mask_over_the_whole_image_has_no_boundary():
    empty, full = np.zeros((9, 9), np.bool_), np.ones((9, 9), np.bool_)
    assert not boundary_map(full).any()
    assert boundary_f(full, empty) == 1
    assert region_similarity(full, empty) == 0


def test_values_by_hand():
    # A 4x4 square and the same one moved right by 2: 8 pixels shared, 24 covered.
    first, second = square((30, 40), 10, 10, 4), square((30, 40), 10, 12, 4)
    assert region_similarity(first, second) == pytest.approx(8 / 24)
    # The boundary of a square of side n is a ring of side n + 1, starting one pixel up and left: 4 n pixels.
    assert boundary_map(first).sum() == 16
    assert np.argwhere(boundary_map(first)).min(axis=0).tolist() == [9, 9]
    # ceil(0.008 * 50) = 1 pixel. Of the ring (columns 9..13) the other ring (columns 11..15) is within 1 pixel of:
    # columns 10..13 of both horizontal sides (8), and of the vertical sides the pixels next to those sides, (10, 13)
    # and (12, 13): 10 of 16.
    assert boundary_f(first, second) == pytest.approx(10 / 16)
    # ceil(0.03 * 50) = 2 pixels reach every pixel.
    assert boundary_f(first, second, tolerance=0.03) == 1


def test_void_pixels_count_in_neither_mask():
    truth, prediction = square((20, 20), 5, 5, 6), square((20, 20), 5, 5, 6)
    void = np.zeros((20, 20), np.bool_)
    void[:, 12:] = True
    prediction[5:11, 12:18] = True
    assert region_similarity(prediction, truth) == pytest.approx(0.5)
    assert region_similarity(prediction, truth, void) == 1
    assert boundary_f(prediction, truth) < 1
    assert boundary_f(prediction, truth, void=void) == 1


def test_a_single_pixel_image():
    dot, empty = np.ones((1, 1), np.bool_), np.zeros((1, 1), np.bool_)
    assert region_similarity(dot, dot) == boundary_f(dot, dot) == 1
    assert region_similarity(dot, empty) == 0


@pytest.mark.parametrize("measure", [region_similarity, boundary_f])
def test_what_are_not_masks_of_one_size_is_refused(measure):
    mask = np.zeros((4, 4), np.bool_)
    with pytest.raises(MaskError, match="one size"):
        measure(mask, mask[:3])
    with pytest.raises(MaskError, match="uint8"):
        measure(mask.astype(np.uint8), mask)
    with pytest.raises(MaskError, match="void"):
        measure(mask, mask, void=mask[:2])


def test_a_tolerance_of_zero_is_refused():
    with pytest.raises(MaskError, match="tolerance"):
        boundary_f(np.zeros((4, 4), np.bool_), np.zeros((4, 4), np.bool_), tolerance=0)
