"""Through the function or through the tracker: the same masks."""

from __future__ import annotations

import numpy as np
import pytest
from function_client import Clip as Squares
from function_client import Function, overlap, quick_network

from agss_model.masks import mask_to_shape, shape_to_mask
from agss_model.weights.registry import load_model
from serverless.function.cache import FeatureCache
from serverless.function.scenes import Scenes
from serverless.measure.accuracy import MeasuredClip, compare, demonstration


def test_the_function_finds_what_the_tracker_finds():
    squares = Squares(3)
    void = np.zeros((squares.height, squares.width), bool)
    labels = [sum(mask * np.uint8(k) for k, mask in enumerate(squares.masks(t), 1)) for t in range(8)]
    clip = MeasuredClip(
        "squares", lambda: iter(squares.frames(0, 8)), labels[0], {t: lambda t=t: (labels[t], void) for t in (4, 7)}
    )
    found = compare(clip, Scenes(quick_network(), FeatureCache(1 << 26)))
    assert found.agreement > 0.99
    assert found.function == pytest.approx(found.tracker, abs=0.01)
    assert found.tracker > 0.6
    assert 0 < found.state_bytes < 300_000


@pytest.mark.parametrize("kind", ["mask", "polygon", "rectangle"])
def test_small_objects_in_a_small_frame_are_found_to_the_pixel_in_every_kind(kind):
    """Twenty squares of 16 pixels in 160x96: neither looking too coarsely nor a polygon's corners may cost them."""
    squares, function = Squares(20), Function(Scenes(load_model("lite"), FeatureCache(1 << 28)))
    assert squares.side == 16
    shapes = [{"type": kind, "points": mask_to_shape(kind, mask)} for mask in squares.masks(0)]
    found, _ = function.track(squares.frames(1, 4), function.start(squares.frame(0), shapes))
    for t, answers in enumerate(found, 1):
        for answer, truth in zip(answers, squares.masks(t), strict=True):
            mask = shape_to_mask(kind, answer["points"], width=squares.width, height=squares.height)
            assert overlap(mask, truth) > 0.9


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_on_the_demonstration_the_function_is_as_accurate_as_the_tracker():
    found = compare(demonstration(), Scenes(load_model("lite"), FeatureCache(1 << 28)))
    assert found.function == pytest.approx(found.tracker, abs=0.02)
    assert found.agreement > 0.98
