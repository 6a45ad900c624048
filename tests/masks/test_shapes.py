from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agss_model.cvat.checks import checked_shape
from agss_model.cvat.records import SHAPE_KINDS
from agss_model.errors import MaskError
from agss_model.masks import decode_cvat_mask, encode_cvat_mask, mask_to_shape, shape_to_mask
from agss_model.masks.cvat_shapes import CODECS, SHAPE_TYPES, codec_of, largest_part
from serverless.job.writing.tracks import _thinned

masks = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))).filter(lambda m: m.any())


@settings(max_examples=80, deadline=None)
@given(mask=masks)
def test_masks_come_back_exactly_and_rectangles_are_the_box(mask):
    height, width = mask.shape
    np.testing.assert_array_equal(shape_to_mask("mask", mask_to_shape("mask", mask), width=width, height=height), mask)
    box = shape_to_mask("rectangle", mask_to_shape("rectangle", mask), width=width, height=height)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    expected = np.zeros_like(mask)
    expected[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    np.testing.assert_array_equal(box, expected)


@settings(max_examples=60, deadline=None)
@given(mask=masks, pad=st.tuples(*[st.integers(0, 3)] * 4))
def test_what_reaches_beyond_the_image_is_cut_off(mask, pad):
    """A mask in a larger frame, seen from an image inside that frame."""
    left, top, right, bottom = pad
    height, width = mask.shape
    runs = encode_cvat_mask(mask)
    points = [*runs[:-4], runs[-4] - left, runs[-3] - top, runs[-2] - left, runs[-1] - top]
    size = max(1, width - left - right), max(1, height - top - bottom)
    seen = decode_cvat_mask(points, width=size[0], height=size[1], clip=True)
    expected = np.zeros(size[::-1], bool)
    part = mask[top : top + size[1], left : left + size[0]]
    expected[: part.shape[0], : part.shape[1]] = part
    np.testing.assert_array_equal(seen, expected)


def test_clipping_expands_no_bombs():
    with pytest.raises(MaskError, match="16384"):
        decode_cvat_mask([10**9, 0, 0, 10**5, 10**4 - 1], width=5, height=5, clip=True)
    with pytest.raises(MaskError, match="its box has 4"):
        decode_cvat_mask([10**15, -1, -1, 0, 0], width=5, height=5, clip=True)


def test_a_polygon_is_the_largest_part():
    mask = np.zeros((20, 20), bool)
    mask[1:3, 1:3] = mask[5:15, 5:15] = True
    mask[8:12, 8:12] = False
    points = mask_to_shape("polygon", mask)
    assert {tuple(p) for p in np.reshape(points, (-1, 2))} == {(5, 5), (15, 5), (15, 15), (5, 15)}
    assert len(largest_part(mask).holes) == 1


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ([1, 1, 3, 3], 4),
        ([3, 3, 1, 1], 4),
        ([1.6, 1.6, 1.9, 1.9], 1),
        ([-5, -5, 1, 1], 1),
        ([2, 2, 2, 5], 0),
        ([30, 0, 40, 9], 0),
        ([0, 0, 99, 99], 100),
    ],
)
def test_rectangles(box, pixels):
    assert shape_to_mask("rectangle", box, width=10, height=10).sum() == pixels


@pytest.mark.parametrize(
    ("kind", "points"), [("ellipse", [1, 2, 3, 4]), ("rectangle", [1, 2, 3]), ("rectangle", [1, 2, 3, float("nan")])]
)
def test_bad_shapes_are_refused(kind, points):
    with pytest.raises(MaskError):
        shape_to_mask(kind, points, width=10, height=10)


def test_nothing_is_no_shape():
    for kind in ("mask", "polygon", "rectangle"):
        with pytest.raises(MaskError):
            mask_to_shape(kind, np.zeros((4, 4), bool))


def test_the_table_of_kinds_is_complete():
    assert tuple(CODECS) == SHAPE_TYPES
    assert set(SHAPE_KINDS) <= set(SHAPE_TYPES)
    assert len({codec_of(name).written for name in SHAPE_TYPES}) == len(SHAPE_TYPES)


@pytest.mark.parametrize("name", ["ellipse", "skeleton", "Mask", "", "__class__"])
def test_a_kind_that_is_none_is_named_and_never_taken_for_another(name):
    mask, points = np.ones((4, 4), bool), [0.0, 0.0, 3.0, 0.0, 3.0, 3.0]
    for ask in (
        lambda: codec_of(name),
        lambda: shape_to_mask(name, points, width=4, height=4),
        lambda: mask_to_shape(name, mask),
        lambda: checked_shape(name, points, width=4, height=4),
        lambda: _thinned(name, [0], {0: np.array(points).reshape(-1, 2)}, 2.0),
    ):
        with pytest.raises(MaskError, match=f"{name!r}.*mask|{name!r}.*polygon"):
            ask()


@pytest.mark.parametrize("name", ["rectangle", "ellipse"])
def test_what_is_not_read_is_not_read_as_a_mask(name):
    with pytest.raises(MaskError, match=f"{name!r} is not read"):
        checked_shape(name, [0, 16, 0, 0, 3, 3], width=4, height=4)
