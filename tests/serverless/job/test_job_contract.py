"""Against what CVAT answers, see tests/cvat/contract."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fake_cvat import TOKEN, FakeCvat, Function, colours

from agss_model.cvat.authorship import Names, author, sign_mask, was_ours
from agss_model.cvat.server.client import connect
from serverless.job.objects import Groups, make_targets, name_first
from serverless.job.read import read_drawings, shown

SIZE = (120, 80)
NAMES = Names({21: "thing", 22: "quay"})


@pytest.fixture(scope="module")
def recorded():
    folder = Path(__file__).resolve().parents[2] / "cvat" / "contract"

    def read(name):
        text = (folder / name).read_text()
        return [json.loads(line) for line in text.splitlines()] if name.endswith("l") else json.loads(text)

    return read


def test_a_recorded_task_is_read(recorded):
    """Fourteen masks of two objects, and a polygon track that ends outside in the last frame."""
    data = recorded("annotations.json")
    drawings, notes = read_drawings(data["shapes"], data["tracks"], range(7), SIZE, NAMES)
    assert notes == []
    assert len(drawings) == 16
    groups = Groups([1, 2])
    assert name_first(drawings, groups) == []
    targets = make_targets(drawings, groups, {})
    assert {(t.label_id, t.group) for t in targets} == {(21, 1), (21, 2), (22, -31)}
    assert shown(data["tracks"][0], 6) == range(6)


def test_recorded_shapes_of_others_are_not_taken_for_own_ones(recorded):
    """Their source is semi-auto as well."""
    data = recorded("annotations.json")
    assert {shape["source"] for shape in data["shapes"]} == {"semi-auto"}
    for item in data["shapes"] + data["tracks"]:
        assert author(item, NAMES) == "person"
        assert not was_ours(item, NAMES)
    for shape in data["shapes"]:
        signed = sign_mask(shape, NAMES)
        assert author(signed, NAMES) == "ours"
        assert abs(signed["score"] - shape["score"]) < 0.0011


def keys(item):
    """Names, also within lists of objects."""
    found = dict.fromkeys(item)
    for key, value in item.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            found[key] = keys(value[0])
    return found


def test_the_stand_in_answers_in_the_recorded_form(recorded):
    data = recorded("annotations.json")
    with FakeCvat([np.zeros((80, 120, 3), np.uint8)] * 7) as cvat:
        cvat.functions["all-objects"] = Function(colours)
        shape, track = data["shapes"][0], data["tracks"][0]
        cvat.draw(1, shape["type"], 0, shape["points"], group=1)
        cvat.draw_track(1, "polygon", {s["frame"]: s["points"] for s in track["shapes"]})
        server = connect(cvat.url, token=TOKEN)
        answer = server.get("/api/jobs/1/annotations")
        assert keys(answer["shapes"][0]) == keys(shape)
        assert keys(answer["tracks"][0]) == keys(track)
        about = next(f for f in recorded("functions.json") if f["id"] == "all-objects")
        answer = server.get("/api/lambda/functions/all-objects")
        assert keys(answer) == keys(about)
        assert set(answer["supported_shape_types"]) == set(about["supported_shape_types"])


def test_the_stand_in_sends_functions_what_was_recorded(recorded):
    """Keys of the body; nulls in place of shapes when states are sent."""
    requests = recorded("requests.jsonl")
    first, second = requests[0]["body"], requests[1]["body"]
    seen = []

    def echo(body):
        seen.append(body)
        return {"shapes": body["shapes"], "states": [{"n": 0} for _ in body["shapes"]]}

    with FakeCvat([np.zeros((80, 120, 3), np.uint8)] * 7) as cvat:
        cvat.functions["multi"] = Function(echo)
        server = connect(cvat.url, token=TOKEN)
        path = "/api/lambda/functions/multi"
        states = server.call(path, {"job": 1, "frame": 0, "shapes": first["shapes"]})["states"]
        server.call(path, {"job": 1, "frame": 1, "states": states})
    for body, expected in zip(seen, (first, second), strict=True):
        assert body.keys() == expected.keys()
        assert body["shapes"] == expected["shapes"]
        assert len(body["states"]) == len(expected["states"])
