"""Requests with objects coming and going: memory stays where it was.

AGSS_REQUESTS in the environment makes it longer.
"""

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pytest
import torch
from function_client import Clip, Function, changed, picture
from soak import Soak

from agss_model.config import preset
from agss_model.network import build_network
from serverless.function.cache import FeatureCache
from serverless.function.scenes import Scenes

REQUESTS = int(os.environ.get("AGSS_REQUESTS", "400"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_memory_is_flat_over_many_requests_with_objects_coming_and_going():
    torch.manual_seed(0)
    network = build_network(
        dataclasses.replace(preset("lite"), small_object_enlargement=1.0, small_frame=16, max_enlargement=1.0)
    ).eval()
    function = Function(Scenes(network, FeatureCache(40_000)))
    clips = [Clip(3, size=(48, 64), seed=seed, speed=1) for seed in range(4)]
    states = [function.start(clip.frame(0), clip.shapes(0)) for clip in clips]
    rng = np.random.default_rng(0)
    soak, statuses = Soak(REQUESTS), set()
    for number in range(REQUESTS):
        k = int(rng.integers(len(clips)))
        clip, t = clips[k], int(rng.integers(20))
        message = {"image": picture(clip.frame(t)), "shapes": [None] * len(states[k]), "states": states[k]}
        if number % 20 == 5:  # an object comes
            shape = clip.shapes(t)[int(rng.integers(3))]
            message = {**message, "shapes": [*message["shapes"], shape], "states": [*message["states"], None]}
        if number % 20 == 10 and len(states[k]) > 1:  # some leave
            message = {**message, "shapes": [None], "states": message["states"][:1]}
        if number % 20 == 15:  # something hostile
            message["states"] = [changed(message["states"][0], pictures=["AAAA"])]
        status, reply = function.post(message)
        statuses.add(status)
        if status == 200:
            states[k] = reply["states"][-6:]
        function.log.lines.clear()
        soak.note(number + 1)
    assert statuses == {200, 422}
    soak.check()
    assert function.scenes.cache.bytes <= 40_000
    assert function.scenes.cache.evicted > REQUESTS // 20
    assert all(len(json.dumps(state)) < 80_000 for some in states for state in some)
