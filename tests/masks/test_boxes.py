from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agss_model.masks.boxes import object_in_box


def box(height, width, top, bottom, left, right):
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    return mask


def scene():
    """A bright disc on a dark, shaded ground."""
    y, x = np.mgrid[:120, :160]
    frame = np.stack([40 + x / 8, 50 + y / 8, 60 + 0 * x], 2).astype(np.uint8)
    disc = (x - 80) ** 2 + (y - 60) ** 2 <= 30**2
    frame[disc] = (230, 210, 90)
    return frame, disc


def test_a_box_is_filled_with_the_object_in_it():
    frame, disc = scene()
    found = object_in_box(frame, box(120, 160, 27, 93, 47, 113))
    assert (found & disc).sum() / (found | disc).sum() > 0.9


def test_where_nothing_stands_out_the_ellipse_is_taken():
    found = object_in_box(np.full((100, 100, 3), 90, np.uint8), box(100, 100, 20, 60, 10, 90))
    y, x = np.mgrid[:100, :100] + 0.5
    ellipse = ((y - 40) / 20) ** 2 + ((x - 50) / 40) ** 2 <= 1
    assert (found == ellipse).all()


def test_the_same_box_gives_the_same_object():
    frame, _ = scene()
    wanted = box(120, 160, 27, 93, 47, 113)
    first = object_in_box(frame, wanted)
    object_in_box(frame, box(120, 160, 0, 60, 0, 60))
    assert (object_in_box(frame, wanted) == first).all()


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_something_inside_the_box_is_found_in_any_box(data):
    height, width = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 60))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
    frame = np.random.default_rng(data.draw(st.integers(0, 9))).integers(0, 255, (height, width, 3), dtype=np.uint8)
    wanted = box(height, width, top, bottom, left, right)
    found = object_in_box(frame, wanted)
    assert found.dtype == np.bool_
    assert found.any()
    assert not (found & ~wanted).any()


@pytest.mark.parametrize("size", [(1, 8192), (8192, 1), (3, 3000)])
def test_extreme_boxes_are_filled_too(size):
    found = object_in_box(np.zeros((*size, 3), np.uint8), np.ones(size, bool))
    assert found.any()
