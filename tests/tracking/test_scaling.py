"""The price of more objects, in counted operations: the same on every machine, however busy it is."""

from __future__ import annotations

from itertools import islice

import pytest
from torch.utils.flop_counter import FlopCounterMode

from agss_model.evaluation.benchmark import Scene, Subject
from agss_model.weights.registry import load_model, shipped_models


def operations(objects: int, size: str = "typical") -> int:
    """Multiplications and additions in convolutions and matrix products for tracking one frame of 854x480."""
    scene = Scene(objects, object_size=size)
    subject = Subject(load_model("lite"), scene)
    subject.measure()
    frame, _ = next(islice(scene.frames(), subject.tracker.frame_index + 1, None))
    with FlopCounterMode(display=False) as counter:
        subject.tracker.step(frame)
    return counter.get_total_flops()


@pytest.fixture(scope="module")
def one() -> int:
    if "lite" not in shipped_models():
        pytest.skip("no weights are shipped; untrained ones see every object everywhere")
    return operations(1)


@pytest.mark.slow
@pytest.mark.parametrize(("objects", "bound"), [(10, 1.4), (20, 1.7)])
def test_operations_hardly_grow_with_the_number_of_objects(one, objects, bound):
    assert one < operations(objects) < bound * one
