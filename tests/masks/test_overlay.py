from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agss_model.errors import MaskError
from agss_model.masks import DAVIS_PALETTE
from agss_model.masks.overlay import colour_of, draw_overlay


def scene(height=40, width=40):
    frame = np.full((height, width, 3), 100, np.uint8)
    label_map = np.zeros((height, width), np.uint8)
    label_map[10:30, 10:30] = 1
    return frame, label_map


def test_background_stays_and_the_inside_takes_the_objects_colour():
    frame, label_map = scene()
    before = frame.copy()
    drawn = draw_overlay(frame, label_map)
    assert np.array_equal(frame, before)
    far = np.ones((40, 40), bool)
    far[9:31, 9:31] = False
    assert np.array_equal(drawn[far], frame[far])
    red, green, blue = drawn[20, 20].astype(int)
    assert red > 100 > green == blue  # id 1 is dark red in the palette
    assert not np.array_equal(drawn[10, 10], drawn[20, 20])  # the contour


@pytest.mark.parametrize("ground", [0, 255])
@pytest.mark.parametrize("object_id", [1, 8, 21, 255])
def test_an_outline_is_seen_on_black_and_on_white_whatever_the_colour(ground, object_id):
    frame, label_map = scene()
    frame[:] = ground
    drawn = draw_overlay(frame, label_map * object_id)
    around, rim = drawn[20, 9].astype(int), drawn[20, 10].astype(int)
    assert around.max() == 0
    assert max(rim.max(), 255 if ground else 0) >= 150
    assert abs(rim.mean() - around.mean()) > 40 or ground


def test_a_frame_without_objects_is_unchanged():
    frame, label_map = scene(64, 64)
    assert np.array_equal(draw_overlay(frame, label_map * 0), frame)


def test_a_contour_separates_objects_that_touch():
    frame, label_map = scene()
    label_map[10:30, 20:30] = 2
    drawn = draw_overlay(frame, label_map)
    assert not np.array_equal(drawn[20, 19], drawn[20, 15])
    assert not np.array_equal(drawn[20, 20], drawn[20, 25])


def test_id_and_score_are_written_above_the_largest_part():
    frame, label_map = scene(200, 200)
    label_map[:] = 0
    label_map[100:150, 100:150] = 3
    label_map[180, 20] = 3
    with_text, without = draw_overlay(frame, label_map, {3: 0.5}), frame
    changed = (with_text != without).any(-1) & (label_map == 0)
    changed[99:151, 99:151] = changed[179:182, 19:22] = False  # the outlines
    y, x = np.nonzero(changed)
    assert 80 <= y.min() <= y.max() <= 100
    assert abs((x.min() + x.max()) / 2 - 125) < 5
    other = draw_overlay(frame, label_map, {3: 0.9})
    assert not np.array_equal(with_text, other)


def test_lost_objects_are_named_in_the_corner():
    frame, label_map = scene(200, 300)
    drawn = draw_overlay(frame, label_map * 0, lost=[4, 2])
    assert not np.array_equal(drawn[:20, :60], frame[:20, :60])
    assert np.array_equal(drawn[40:], frame[40:])


@given(st.integers(1, 65535))
def test_every_id_has_a_colour_of_the_palette_that_is_not_background(object_id):
    colour = colour_of(object_id)
    assert any(colour)
    if object_id <= 255:
        assert colour == tuple(DAVIS_PALETTE[object_id])


@given(height=st.integers(1, 70), width=st.integers(1, 70), data=st.data())
def test_any_size_and_any_ids_can_be_drawn(height, width, data):
    ids = data.draw(st.lists(st.integers(0, 65535), min_size=1, max_size=4))
    rng = np.random.default_rng(0)
    label_map = rng.choice(np.array(ids, np.uint16), (height, width))
    frame = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    drawn = draw_overlay(frame, label_map, dict.fromkeys(ids, 0.5), ids)
    assert drawn.shape == frame.shape
    assert drawn.dtype == np.uint8


@pytest.mark.parametrize("frame", [np.zeros((40, 40), np.uint8), np.zeros((40, 40, 3), np.float32)])
def test_other_frames_are_refused(frame):
    with pytest.raises(MaskError):
        draw_overlay(frame, np.zeros((40, 40), np.uint8))


def test_a_label_map_of_another_size_is_refused():
    frame, label_map = scene()
    with pytest.raises(MaskError, match="39x40"):
        draw_overlay(frame, label_map[:, :39])
