"""The tracker function through a CVAT server that runs, as a client of CVAT calls it."""

from __future__ import annotations

import os

import numpy as np
import pytest
from live_cvat import FRAMES, SIZE, Live, iou, truth

from agss_model.cvat.server.client import CvatError
from agss_model.masks.cvat_shapes import mask_to_shape, shape_to_mask

pytestmark = pytest.mark.slow
FUNCTION = os.environ.get("AGSS_TEST_CVAT_FUNCTION", "agss-vos")


@pytest.fixture
def called(live: Live):
    """A call of the function for this job: shapes and states of an answer."""
    try:
        about = live.server.get(f"/api/lambda/functions/{FUNCTION}")
    except CvatError as error:
        pytest.skip(f"needs the function {FUNCTION} deployed in that CVAT: {error}")
    assert about["kind"] == "tracker"
    assert set(about["supported_shape_types"]) == {"mask", "polygon", "rectangle"}

    def call(kind: str, frame: int, **what: object) -> dict:
        body = {"type": kind, "job": live.info.job, "task": live.info.task, "frame": live.at(frame), **what}
        return live.server.call(f"/api/lambda/functions/{FUNCTION}", body)

    return call


@pytest.mark.parametrize("count", [3, 20])
@pytest.mark.parametrize("kind", ["mask", "polygon", "rectangle"])
def test_objects_are_followed_in_the_type_they_were_given(live, called, kind, count):
    numbers = [1 + place % 2 for place in range(count)]
    shapes = [{"type": kind, "points": list(map(float, mask_to_shape(kind, truth(n, 0))))} for n in numbers[:2]]
    if count > 2:  # objects that overlap would compete: the others are small ones, in places of their own
        shapes += [_small(kind, place) for place in range(count - 2)]
    states = called("init_tracking", 0, shapes=shapes)["states"]
    assert len(states) == count
    for frame in range(1, 4):
        reply = called("track", frame, states=states)
        states = reply["states"]
        assert len(states) == len(reply["shapes"]) == count
        for number, shape in zip((1, 2), reply["shapes"], strict=False):
            assert shape["type"] == kind
            mask = shape_to_mask(kind, shape["points"], width=SIZE[1], height=SIZE[0], clip=True)
            assert iou(mask, _right(kind, number, frame)) > 0.8
    alone = called("track", 4, states=states[1:2])  # objects can go on alone
    assert len(alone["states"]) == 1
    mask = shape_to_mask(kind, alone["shapes"][0]["points"], width=SIZE[1], height=SIZE[0], clip=True)
    assert iou(mask, _right(kind, 2, 4)) > 0.7


def _right(kind: str, number: int, frame: int) -> np.ndarray:
    """Where an object is, as a shape of that type can say it: of a rectangle at most 0.78 would be the ellipse."""
    mask = truth(number, frame)
    if kind == "rectangle":
        return shape_to_mask(kind, mask_to_shape(kind, mask), width=SIZE[1], height=SIZE[0])
    return mask


def _small(kind: str, place: int) -> dict:
    mask = np.zeros(SIZE, bool)
    left, top = 4 + 6 * (place % 18), 70 + 12 * (place // 18)
    mask[top : top + 5, left : left + 4] = True
    return {"type": kind, "points": list(map(float, mask_to_shape(kind, mask)))}


@pytest.mark.parametrize("model", [[], ["--model", "function", "--function-id", FUNCTION]], ids=["here", "function"])
def test_a_whole_job_with_the_network(live, called, model):
    live.exact = False
    live.draw("mask", 1, 0)
    live.draw("polygon", 2, 0)
    live.machine(*model)
    for number in (1, 2):
        assert all(live.find(number, frame) for frame in range(FRAMES))
    assert "nothing had to be changed" in live.machine(*model, on="b")


def test_states_of_nobody_are_refused(live, called):
    with pytest.raises(CvatError) as refused:
        called("track", 1, states=["{}:1:forged"])
    assert refused.value.status == 400
