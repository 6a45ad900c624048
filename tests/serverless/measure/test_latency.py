"""The table of times says how many objects, how large pictures and states were, and only what was measured."""

from __future__ import annotations

import base64
import io
import json
import sys

import pytest
from function_client import quick_network
from PIL import Image

from agss_model.evaluation.benchmark import Scene
from serverless.function.cache import FeatureCache
from serverless.function.scenes import Scenes
from serverless.function.settings import FunctionSettings
from serverless.measure import latency
from serverless.measure.latency import WARMING, measure


@pytest.fixture
def asked(monkeypatch):
    """All requests that reach the function, with its answers."""
    found, answer = [], latency.answer
    monkeypatch.setattr(latency, "build_scenes", lambda *_: Scenes(quick_network(), FeatureCache(1 << 26)))

    def noted(scenes, body):
        text = answer(scenes, body)
        found.append((body if isinstance(body, dict) else json.loads(body), json.loads(text)))
        return text

    monkeypatch.setattr(latency, "answer", noted)
    return found


def test_what_is_said_of_a_step_is_what_went_to_the_function_and_came_back(asked):
    row = measure(Scene(2, 160, 96, "large"), 2, FunctionSettings())
    first, *steps = asked
    assert [shape["type"] for shape in first[0]["shapes"]] == ["mask", "mask"]
    assert len(steps) == WARMING + 2
    assert [message["states"] for message, _ in steps] == [reply["states"] for _, reply in asked[:-1]]
    pictures = [message["image"] for message, _ in asked]
    assert len(set(pictures)) == len(pictures), "the clip stands still"
    assert {Image.open(io.BytesIO(base64.b64decode(text))).size for text in pictures} == {(160, 96)}

    states = asked[-1][1]["states"]
    assert row.objects == row.found == 2
    assert len(row.seconds) == len(row.processor) == 2
    assert min(row.seconds + row.processor) > 0
    assert row.image_bytes == len(pictures[-1])
    assert row.state_bytes == [len(json.dumps(state, separators=(",", ":"))) for state in states]
    assert row.working == tuple(states[0]["working"])


def test_the_command_prints_a_row_for_each_number_of_objects(asked, monkeypatch, capsys):
    words = ["latency", "--objects", "1,3", "--size", "160x96", "--object-size", "large", "--steps", "1"]
    monkeypatch.setattr(sys, "argv", words)
    latency.main()
    _, one, three, _ = capsys.readouterr().out.splitlines()
    for count, line in ((1, one), (3, three)):
        objects, median, fastest, _, found, working, _, state, states = line.split()
        assert objects == found == str(count)
        assert float(median) == float(fastest)  # of one step
        assert working == "160x96"
        assert float(states) == pytest.approx(count * float(state), abs=1)


def test_no_step_is_no_measurement(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["latency", "--steps", "0"])
    with pytest.raises(SystemExit):
        latency.main()
    assert "--steps 0 measures nothing" in capsys.readouterr().err
