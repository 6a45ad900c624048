"""Masks as labels: exact for every mask we write, sensible for what the App writes."""

from __future__ import annotations

import fiftyone as fo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agss_model.errors import MaskError
from fiftyone_plugin.data.labels import decode_label, encode_mask, fingerprint

SIZES = [(854, 480), (640, 360), (1920, 1080), (3840, 2160), (127, 83), (1, 1), (1023, 767)]


def random_mask(rng, width, height):
    """A blob of random place and size; one in four touches the edge of the frame."""
    w, h = (int(rng.integers(1, min(side, 300) + 1)) for side in (width, height))
    x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
    if rng.random() < 0.25:
        x, y = int(rng.choice([0, width - w])), int(rng.choice([0, height - h]))
    mask = np.zeros((height, width), bool)
    mask[y : y + h, x : x + w] = rng.random((h, w)) < 0.5
    return mask


def label_of(mask):
    box, inside = encode_mask(mask)
    return fo.Detection(label="x", bounding_box=box, mask=inside)


def test_three_thousand_masks_come_back_exactly_from_us_and_from_fiftyone():
    rng = np.random.default_rng(0)
    done = 0
    while done < 3000:
        width, height = SIZES[done % 3] if done % 50 else SIZES[done // 50 % len(SIZES)]
        mask = random_mask(rng, width, height)
        if not mask.any():
            continue
        label = label_of(mask)
        done += 1
        assert np.array_equal(decode_label(label, width, height), mask), (width, height)
        theirs = label.to_segmentation(frame_size=(width, height)).mask > 0
        assert np.array_equal(theirs, mask), (width, height, label.bounding_box)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 4000), st.integers(1, 2500), st.data())
def test_any_frame_size(width, height, data):
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    w, h = data.draw(st.integers(1, min(40, width - x))), data.draw(st.integers(1, min(40, height - y)))
    mask = np.zeros((height, width), bool)
    mask[y : y + h, x : x + w] = True
    assert np.array_equal(decode_label(label_of(mask), width, height), mask)


def test_an_empty_mask_has_no_label():
    assert encode_mask(np.zeros((4, 5), bool)) is None


def disc(width, height, cx, cy, radius):
    y, x = np.mgrid[:height, :width] + 0.5
    return (x - cx) ** 2 + (y - cy) ** 2 <= radius**2


@pytest.mark.parametrize("scale", [0.43, 1.0, 1.7, 3.9])
def test_a_mask_brushed_at_the_resolution_of_a_screen_fits_its_box(scale):
    """The App stores uint8 masks of the canvas, in a box between the frame's pixels."""
    width, height, cx, cy, radius = 854, 480, 300.37, 201.81, 61.3
    box = [(cx - radius) / width, (cy - radius) / height, 2 * radius / width, 2 * radius / height]
    side = round(2 * radius * scale)
    brushed = disc(side, side, side / 2, side / 2, side / 2).astype(np.uint8)
    label = fo.Detection(label="x", bounding_box=box, mask=brushed)
    found, expected = decode_label(label, width, height), disc(width, height, cx, cy, radius)
    assert found.shape == (height, width)
    overlap = (found & expected).sum() / (found | expected).sum()
    assert overlap > (0.95 if scale < 1 else 0.985)
    if scale > 3:  # finer than the frame: right at every pixel's centre, but for the brush's own steps
        assert (found != expected).sum() < 20


def test_boxes_polygons_and_holes():
    box = fo.Detection(label="x", bounding_box=[0.1, 0.2, 0.5, 0.5])
    mask = decode_label(box, 100, 50)
    assert mask.sum() == 50 * 25
    assert mask[10:35, 10:60].all()
    square = [(0.1, 0.2), (0.6, 0.2), (0.6, 0.7), (0.1, 0.7)]
    hole = [(0.2, 0.3), (0.4, 0.3), (0.4, 0.5), (0.2, 0.5)]
    filled = fo.Polyline(label="x", points=[square], filled=True, closed=True)
    assert np.array_equal(decode_label(filled, 100, 50), mask)
    pierced = fo.Polyline(label="x", points=[square, hole], filled=True)
    assert decode_label(pierced, 100, 50).sum() == 50 * 25 - 20 * 10


def test_what_cannot_be_a_mask_is_named():
    line = fo.Polyline(label="x", points=[[(0, 0), (1, 1), (0, 1)]])
    with pytest.raises(MaskError, match="open line"):
        decode_label(line, 10, 10)
    with pytest.raises(MaskError, match="four numbers"):
        decode_label(fo.Detection(label="x", bounding_box=[0, 0, 1]), 10, 10)
    lost = fo.Detection(label="x", bounding_box=[0, 0, 1, 1], mask_path="gone.png")
    with pytest.raises(MaskError, match=r"gone\.png"):
        decode_label(lost, 10, 10)


def test_an_edit_shows_in_the_fingerprint():
    mask = disc(60, 40, 30, 20, 9)
    label = label_of(mask)
    before = fingerprint(label)
    assert fingerprint(fo.Detection.from_dict(label.to_dict())) == before
    label.confidence, label.index = 0.4, 7
    assert fingerprint(label) == before
    label.mask[3, 3] ^= True
    assert fingerprint(label) != before
