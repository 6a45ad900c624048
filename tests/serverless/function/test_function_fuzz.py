"""Thousands of damaged requests: each is refused with a reason or answered, and nothing of them stays.

`AGSS_FUZZ=20000 pytest -s tests/serverless/function/test_function_fuzz.py` is the long form.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from function_client import Clip, Function, box_around, picture, quick_network
from mutations import Mutator
from shared_folder import SHARED
from soak import Soak

from serverless.function.cache import FeatureCache
from serverless.function.scenes import Scenes

REQUESTS = int(os.environ.get("AGSS_FUZZ", "300"))
SEED = int(os.environ.get("AGSS_FUZZ_SEED", "0"))
RECORDED = [
    Path(__file__).parents[2] / "cvat" / "contract" / "requests.jsonl",
    SHARED / "fixtures" / "cvat" / "function_requests_recorded.jsonl",
]


def of_three_kinds(clip, t):
    """The objects of a frame as mask, polygon and rectangle."""
    left, top, right, bottom = box_around(clip.masks(t)[1])
    polygon = {"type": "polygon", "points": [left, top, right, top, right, bottom, left, bottom]}
    return [clip.shapes(t)[0], polygon, {"type": "rectangle", "points": box_around(clip.masks(t)[2])}]


def good_messages(function):
    """Requests of small clips, of those that CVAT was seen to send, and of those that failed before."""
    messages = []
    for seed in range(3):
        clip = Clip(3, size=(48, 64), seed=seed, speed=1)
        shapes = of_three_kinds(clip, 0)
        messages.append({"image": picture(clip.frame(0)), "shapes": shapes, "states": []})
        states = function.start(clip.frame(0), shapes)
        for t in range(1, 5):
            messages.append({"image": picture(clip.frame(t)), "shapes": [None] * 3, "states": states})
            states = function.follow(clip.frame(t), states)[1]
    clip = Clip(3, size=(96, 160))
    for line in (line for path in RECORDED if path.is_file() for line in path.read_text().splitlines()):
        body = json.loads(line)["body"]
        messages.append({**body, "image": picture(clip.frame(0))})
    messages += [json.loads(path.read_text()) for path in sorted((SHARED / "cases" / "function").glob("*.json"))]
    return messages


def check_answer(reply):
    assert len(reply["shapes"]) == len(reply["states"])
    for shape in reply["shapes"]:
        points = shape["points"] if isinstance(shape, dict) else shape or [0.0]
        assert points
        assert all(math.isfinite(number) for number in points)


@pytest.mark.slow
@pytest.mark.timeout(300 + REQUESTS)
def test_no_damaged_request_is_a_fault_of_ours_or_changes_what_comes_after():
    function = Function(Scenes(quick_network(), FeatureCache(4 << 20)))
    mutator = Mutator(good_messages(function), SEED)
    control = mutator.messages[3]
    expected, soak = function.post(control), Soak(REQUESTS)
    statuses, seconds = Counter(), []
    for number in range(1, REQUESTS + 1):
        body, began = mutator.body(), time.perf_counter()
        status, reply = function.send(body)
        seconds.append(time.perf_counter() - began)
        statuses[status] += 1
        assert status in (200, 400, 413, 422), (number, status, reply, function.log.lines[-3:], body[:2000])
        if status == 200:
            check_answer(reply)
        else:
            assert 0 < len(reply["error"]) < 600
        if number % 100 == 0:
            assert function.post(control) == expected
        function.log.lines.clear()
        soak.note(number)
    assert statuses[200] > REQUESTS // 20
    assert statuses[422] > REQUESTS // 20
    slowest = ", ".join(f"{value:.3f}" for value in np.percentile(seconds, [50, 99, 100]))
    print(f"{dict(statuses)}; seconds, half, 99 of 100 and all within: {slowest}; {soak.told()}")
    if REQUESTS >= 2000:
        soak.check()
