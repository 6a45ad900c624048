"""Grouped datasets and dynamic groups: every form, run and panel takes them as it takes plain videos."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone.operators.executor import execute_or_delegate_operator
from little_videos import drawn, video_sample, write_images, write_video

FORMS = ("track_objects", "review_queue", "evaluate_tracking", "export_training")


@pytest.fixture(autouse=True)
def _small(little_network, monkeypatch):
    monkeypatch.setattr("fiftyone_plugin.track.tracking.load_network", lambda *_: little_network)


@pytest.fixture
def grouped(scene, tmp_path):
    """Two video slices and one of images."""
    made = fo.Dataset()
    made.add_group_field("group", default="left")
    group = fo.Group()
    path = write_video(tmp_path / "a.mp4", scene, 4)
    left, right = (video_sample(path, {0: drawn(scene, 0)}) for _ in range(2))
    front = fo.Sample(filepath=write_images(tmp_path / "images", scene, 1)[0])
    for name, sample in (("left", left), ("right", right), ("front", front)):
        sample["group"] = group.element(name)
    made.add_samples([left, right, front])
    yield made
    made.delete()


@pytest.fixture
def scenes(scene, tmp_path):
    """Videos, shown in dynamic groups."""
    made = fo.Dataset()
    path = write_video(tmp_path / "a.mp4", scene, 4)
    for name in "ab":
        sample = video_sample(path, {0: drawn(scene, 0)})
        sample["scene"] = name
        made.add_sample(sample)
    yield made.group_by("scene")
    made.delete()


def request(view, group_slice=None, **params):
    stages = view.view()._serialize()
    return {"dataset_name": view._dataset.name, "view": stages, "group_slice": group_slice, "params": params}


def form(operator, name, view, group_slice=None, **more):
    context = foo.ExecutionContext(request(view, group_slice) | more)
    return operator(name).resolve_type(context, "inputs").to_json()["type"]["properties"]


def run(operator, view, group_slice=None, **params):
    """As the App does."""
    found = operator("track_objects")
    asked = {**request(view, group_slice, **params), "operator_uri": found.uri}
    result = asyncio.run(execute_or_delegate_operator(found.uri, asked))
    result.raise_exceptions()
    return [m.body if isinstance(m.body, dict) else m.body.to_json() for m in result.result]


@pytest.mark.parametrize("name", FORMS)
def test_forms_offer_the_fields_of_the_slice(operator, grouped, scenes, name):
    for view, active in ((grouped, "right"), (grouped, None), (scenes, None)):
        properties = form(operator, name, view, active)
        assert "refusal" not in properties
        assert "gt" in json.dumps(properties)
        assert "sort_field" not in properties


def test_a_slice_of_images_says_that_it_has_no_labels(operator, grouped):
    for name in FORMS:
        refusal = form(operator, name, grouped, "front")["refusal"]["view"]["description"]
        assert "in slice 'front'; choose another slice, or draw" in refusal


def test_the_active_slice_is_tracked(operator, grouped):
    run(operator, grouped, "right", input_annotation_field="gt", output_annotation_field="tracks")
    grouped.group_slice = "right"
    assert grouped.first().frames[3]["tracks"] is not None
    grouped.group_slice = "left"
    assert 3 not in grouped.first().frames or grouped.first().frames[3]["tracks"] is None


def test_videos_in_dynamic_groups_are_tracked_queued_and_evaluated(operator, scenes):
    run(operator, scenes, input_annotation_field="gt", output_annotation_field="tracks")
    dataset = scenes._dataset
    assert dataset.count("frames.tracks") == 8
    assert operator("review_queue")(scenes, "tracks", threshold=1)["entries"] > 0
    dataset.clone_frame_field("tracks", "truth")
    for sample in dataset.iter_samples(autosave=True):
        for frame in sample.frames.values():
            for label in frame["truth"].detections:
                label["tracked"] = None
    assert operator("evaluate_tracking")(scenes, "tracks", "truth")["JF"] == 1


@pytest.mark.parametrize(("active", "grid"), [("left", "left"), ("right", "right"), ("right", "front")])
def test_the_panel_shows_the_open_sample_of_any_slice(operator, grouped, active, grid):
    run(operator, grouped, active, input_annotation_field="gt", output_annotation_field="tracks")
    grouped.group_slice = active
    panel = operator("tracking_scores")
    asked = request(grouped, grid)
    asked["params"] = {"panel_id": "p", "__method__": "on_load", "panel_state": {}}
    asked |= {"operator_uri": panel.uri, "current_sample": grouped.first().id}
    result = asyncio.run(execute_or_delegate_operator(panel.uri, asked))
    result.raise_exceptions()
    assert "2 objects, 4 frames" in json.dumps(result.executor.to_json()["requests"])


@pytest.mark.parametrize("grid", ["left", "front"])
def test_what_is_changed_in_another_slice_than_the_grids_is_carried_on(operator, grouped, grid):
    run(operator, grouped, "right", input_annotation_field="gt", output_annotation_field="tracks")
    grouped.group_slice = "right"
    sample = grouped.first()
    changed = sample.frames[2]["tracks"].detections[0]
    changed.label = "renamed"
    sample.save()
    found = operator("apply_to_track")
    chosen = {"label_id": changed.id, "sample_id": sample.id, "frame_number": 2, "field": "frames.tracks"}
    asked = request(grouped, grid, label_field="tracks") | {"operator_uri": found.uri, "selected_labels": [chosen]}
    assert "refusal" not in form(operator, "apply_to_track", grouped, grid, selected_labels=[chosen])
    result = asyncio.run(execute_or_delegate_operator(found.uri, asked))
    result.raise_exceptions()
    list(result.result)  # the App asks until there is no more
    sample.reload()
    said = [[one.label for one in sample.frames[n]["tracks"].detections].count("renamed") for n in (1, 2, 3, 4)]
    assert said == [0, 1, 1, 1]


def messages(operator, name, view, group_slice, opened, **params):
    """What the App is told: (operator, parameters) of each message."""
    found = operator(name)
    asked = {**request(view, group_slice, **params), "operator_uri": found.uri, "current_sample": opened}
    result = asyncio.run(execute_or_delegate_operator(found.uri, asked))
    result.raise_exceptions()
    return [(call["operator_uri"], call["params"]) for call in result.executor.to_json()["requests"]]


def test_the_panel_and_the_keys_follow_to_the_slice_that_is_looked_at(operator, grouped):
    """FiftyOne names the sample by which a group was opened, whichever of its slices is shown."""
    opened = grouped.first().id
    grouped.group_slice = "right"
    sample = grouped.first()
    sample["name"] = "other"
    sample.filepath = str(Path(sample.filepath).with_name("right.mp4"))
    sample.frames[3] = fo.Frame(gt=fo.Detections(detections=[fo.Detection(label="a", index=1, confidence=0.1)]))
    sample.save()
    looked, grouped.group_slice = sample.id, "left"
    panel = {"panel_id": "p", "panel_state": {"field": "gt"}, "sample": looked}
    told = messages(operator, "tracking_scores", grouped, "left", opened, __method__="look", **panel)
    assert {"looked": looked} in [params["state"] for name, params in told if name == "patch_panel_state"]
    assert "**right.mp4**" in json.dumps(told)
    assert "AgssLooked" in json.dumps(told)
    panel["panel_state"]["looked"] = looked
    found = dict(messages(operator, "tracking_scores", grouped, "left", opened, __method__="forward", **panel))
    assert found["@agss/vos/step_to_doubt"] == {"step": 1, "sample": looked}
    found = dict(messages(operator, "step_to_doubt", grouped, "left", opened, step=1, sample=looked))
    assert found["@agss/vos/go_to_frame"] == {"frame_number": 3}
    found = dict(messages(operator, "step_to_doubt", grouped, "left", opened, step=1))
    assert "Nothing to look at" in found["notify"]["message"]


def test_a_slice_is_exported_and_imported(operator, grouped, tmp_path):
    operator("export_training")(grouped, "gt", str(tmp_path / "out"), layout="cvat")
    result = operator("import_annotations")(grouped, str(tmp_path / "out"), "back")
    assert (result["clips"], result["frames"], result["objects"]) == (1, 1, 2)
    grouped.group_slice = "left"
    assert len(grouped.first().frames[1]["back"].detections) == 2
