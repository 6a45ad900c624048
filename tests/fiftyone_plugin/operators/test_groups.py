"""Grouped datasets and dynamic groups: every form, run and panel takes them as it takes plain videos."""

from __future__ import annotations

import asyncio
import json

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


def form(operator, name, view, group_slice=None):
    context = foo.ExecutionContext(request(view, group_slice))
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
    assert "in slice 'front'" in form(operator, "track_objects", grouped, "front")["refusal"]["view"]["description"]


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


@pytest.mark.parametrize("active", ["left", "right"])
def test_the_panel_shows_the_open_sample_of_any_slice(operator, grouped, active):
    run(operator, grouped, active, input_annotation_field="gt", output_annotation_field="tracks")
    grouped.group_slice = active
    panel = operator("tracking_scores")
    asked = request(grouped, active)
    asked["params"] = {"panel_id": "p", "__method__": "on_load", "panel_state": {}}
    asked |= {"operator_uri": panel.uri, "current_sample": grouped.first().id}
    result = asyncio.run(execute_or_delegate_operator(panel.uri, asked))
    result.raise_exceptions()
    assert "2 objects, 4 frames" in json.dumps(result.executor.to_json()["requests"])


def test_a_slice_is_exported_and_imported(operator, grouped, tmp_path):
    operator("export_training")(grouped, "gt", str(tmp_path / "out"), layout="cvat")
    result = operator("import_annotations")(grouped, str(tmp_path / "out"), "back")
    assert (result["clips"], result["frames"], result["objects"]) == (1, 1, 2)
    grouped.group_slice = "left"
    assert len(grouped.first().frames[1]["back"].detections) == 2
