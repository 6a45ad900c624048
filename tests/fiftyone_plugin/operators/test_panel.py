"""The panel: what it reads, what it shows, and where a click leads."""

from __future__ import annotations

import asyncio
import json

import fiftyone as fo
import numpy as np
import pytest
from fiftyone.operators.executor import execute_or_delegate_operator
from fiftyone.operators.store import ExecutionStore

from fiftyone_plugin.data.clips import find_clips
from fiftyone_plugin.data.fields import Field
from fiftyone_plugin.data.order import known_order, remember_order
from fiftyone_plugin.operators.common import STORE
from fiftyone_plugin.operators.evaluate import LAST
from fiftyone_plugin.review.scores import COLUMNS, Timeline, read_timeline, traces, track_fields

BOX = [0.1, 0.1, 0.2, 0.2]


def person(index, confidence, **more):
    return fo.Detection(label="person", bounding_box=BOX, index=index, confidence=confidence, **more)


@pytest.fixture
def data():
    """One video of six frames: person 1 in all, person 2 drawn on the third, lost in the fifth."""
    made = fo.Dataset()
    sample = fo.Sample(filepath="/somewhere/street.mp4")
    sample.metadata = fo.VideoMetadata(total_frame_count=6, frame_rate=10)
    for number in range(1, 6):
        found = [person(1, number / 10, keyframe=False)]
        if number in (3, 4):
            found.append(person(2, 1.0, keyframe=number == 3))
        found.append(fo.Detection(label="loose", bounding_box=BOX))
        sample.frames[number] = fo.Frame(
            tracks=fo.Detections(detections=found, lost=[2] if number == 5 else [], run="x"),
            a_first_field=fo.Detections(detections=[]),
        )
    made.add_sample(sample)
    made.add_dynamic_frame_fields()
    yield made
    if fo.dataset_exists(made.name):
        made.delete()


def test_scores_are_read_by_object_and_frame(data):
    timeline = read_timeline(data, find_clips(data)[0], Field("tracks", True))
    assert timeline.names == ("person 1", "person 2")
    gap = np.nan
    expected = [[0.1, 0.2, 0.3, 0.4, 0.5, gap], [gap, gap, 1.0, 1.0, 0.0, gap]]
    np.testing.assert_array_equal(timeline.scores, expected)
    assert np.argwhere(timeline.human).tolist() == [[1, 2]]
    assert timeline.frames == 6
    assert timeline.doubtful(0.35) == 4


def test_a_field_of_anybody_can_be_shown(data):
    """Without any of the attributes that this plugin adds."""
    data.first().frames[1]["plain"] = fo.Detections(detections=[fo.Detection(label="car", bounding_box=BOX, index=4)])
    sample = data.first()
    sample.frames[2]["plain"] = fo.Detections(detections=[fo.Detection(label="car", bounding_box=BOX, index=4)])
    sample.save()
    timeline = read_timeline(data, find_clips(data)[0], Field("plain", True))
    assert timeline.names == ("car 4",)
    assert timeline.scores[0, 1] == 1.0


def test_tracked_fields_come_first(data):
    assert track_fields(data) == ["tracks", "a_first_field"]
    assert track_fields(fo.Dataset()) == []


def test_the_worst_of_several_frames_is_shown_where_a_video_is_long():
    frames = 3 * COLUMNS
    scores = np.ones((1, frames))
    scores[0, 4] = 0.25
    scores[0, 9:12] = np.nan
    heat, marks = traces(Timeline(("person 1",), scores, np.zeros((1, frames), bool)))
    assert len(heat["x"]) == COLUMNS
    assert heat["x"][:3] == [1, 4, 7]
    assert heat["z"][0][:4] == [1.0, 0.25, 1.0, None]
    assert marks["x"] == []
    json.dumps(heat, allow_nan=False)


def ask(operator, dataset, method, state=None, **more):
    """What the App is told when something happens in the panel: (operator, parameters) of each message."""
    panel = operator("tracking_scores")
    params = {"panel_id": "p", "__method__": method, "panel_state": state or {}, **more.pop("params", {})}
    request = {"dataset_name": dataset.name, "operator_uri": panel.uri, "params": params, **more}
    result = asyncio.run(execute_or_delegate_operator(panel.uri, request))
    result.raise_exceptions()
    return [(call["operator_uri"], call["params"]) for call in result.executor.to_json()["requests"]]


def shown(messages):
    return json.dumps([params for name, params in messages if name == "show_panel_output"])


def test_opened_it_shows_the_first_video_and_offers_the_operators(operator, data):
    messages = ask(operator, data, "on_load")
    pictures = [params["data"] for name, params in messages if name == "patch_panel_data"]
    assert pictures[-1]["timeline"][0]["y"] == ["person 1", "person 2"]
    text = shown(messages)
    for name in ("track_objects", "review_queue", "evaluate_tracking", "export_training"):
        assert f"@agss/vos/{name}" in text
    assert "street.mp4" in text
    assert "2 objects, 6 frames" in text


def test_a_click_opens_the_video_at_the_frame(operator, data):
    sample = data.first().id
    state = {"sample": sample, "field": "tracks", "objects": 2, "title": ""}
    click = {"x": 4, "y": "person 1"}
    steps = [name for name, _ in ask(operator, data, "jump", state, params=click) if name != "show_panel_output"]
    assert steps == ["open_sample", "@agss/vos/go_to_frame"]
    messages = ask(operator, data, "jump", state, params=click, current_sample=sample)
    assert [call for call in messages if call[0] != "show_panel_output"] == [
        ("@agss/vos/go_to_frame", {"frame_number": 4})
    ]


def test_of_a_clip_the_whole_video_is_shown(operator, data):
    """The review queue is a view of clips, whose ids are none of the dataset's."""
    clips = data.to_clips([[(2, 3)]])
    messages = ask(operator, data, "on_load", view=clips._serialize())
    assert "2 objects, 6 frames" in shown(messages)
    click = {"x": 4, "y": "person 1"}
    messages = ask(operator, data, "jump", {"field": "tracks"}, params=click, view=clips._serialize())
    assert [params["id"] for name, params in messages if name == "open_sample"] == [clips.first().id]
    assert clips.first().id != data.first().id
    assert [params["message"] for name, params in messages if name == "notify"] == [
        "Frame 4 is not in this clip, which shows frames 2 to 3 of the video."
    ]


def test_it_reads_again_only_when_something_changed(operator, data):
    messages = ask(operator, data, "on_load")
    state = {}
    for name, params in messages:
        if name == "patch_panel_state":
            state |= params["state"]
    again = ask(operator, data, "on_change_view", state)
    assert [name for name, _ in again if name == "patch_panel_data"] == []
    # A page that is loaded again still has the panel's state, but none of its data.
    assert "patch_panel_data" in [name for name, _ in ask(operator, data, "on_load", state)]
    sample = data.first()
    sample.frames[1]["tracks"].detections[0].confidence = 0.7
    sample.save()
    again = ask(operator, data, "on_change_view", state)
    assert [name for name, _ in again if name == "patch_panel_data"] != []


def test_it_says_where_to_look_first_and_steps_there(operator, data):
    data.first()
    said = shown(ask(operator, data, "on_load"))
    assert "Look first at" in said
    assert "frame 5 (0.00): lost: object 2" in said or "frame 5 (0.00): lost: person 2" in said
    steps = []
    for step in (1, 1, -1):
        messages = run_step(operator, data, step)
        steps += [params["frame_number"] for name, params in messages if name == "@agss/vos/go_to_frame"]
    assert steps[0] == steps[2]


def run_step(operator, dataset, step):
    found = operator("step_to_doubt")
    request = {
        "dataset_name": dataset.name, "operator_uri": found.uri, "params": {"step": step},
        "current_sample": dataset.first().id,
    }  # fmt: skip
    result = asyncio.run(execute_or_delegate_operator(found.uri, request))
    result.raise_exceptions()
    return [(call["operator_uri"], call["params"]) for call in result.executor.to_json()["requests"]]


@pytest.fixture
def images():
    """Two streets of three images each, mixed up; person 1 in all, person 2 lost in the second of the west street."""
    made = fo.Dataset()
    for frame in (2, 0, 1):
        for street in ("west", "east"):
            found = [person(1, (frame + 1) / 10, keyframe=frame == 0)]
            if street == "west" and frame == 0:
                found.append(person(2, 0.9))
            lost = [2] if street == "west" and frame == 1 else []
            tracks = fo.Detections(detections=found, lost=lost, run="x")
            made.add_sample(fo.Sample(f"/somewhere/{street}{frame}.jpg", street=street, order=frame, tracks=tracks))
    made.add_dynamic_sample_fields()
    yield made
    made.delete()


def one(dataset, street, frame):
    return dataset.match({"street": street, "order": frame}).first().id


def timeline(messages):
    pictures = [params["data"] for name, params in messages if name == "patch_panel_data"]
    return pictures[-1]["timeline"][0]


def test_of_images_the_sequence_is_shown_as_it_was_tracked(operator, images):
    remember_order(images, Field("tracks", False), ("order", "street"))
    selected = one(images, "west", 1)
    messages = ask(operator, images, "on_load", selected=[selected])
    assert "**west**: 2 objects, 3 frames" in shown(messages)
    assert timeline(messages)["z"] == [[0.1, 0.2, 0.3], [0.9, 0.0, None]]
    click = {"x": 3, "y": "person 1"}
    messages = ask(operator, images, "jump", {"field": "tracks"}, params=click, selected=[selected])
    assert [params["id"] for name, params in messages if name == "open_sample"] == [one(images, "west", 2)]


def test_of_images_in_groups_the_group_is_shown(operator, images):
    view = images.group_by("street", order_by="order")
    opened = one(images, "east", 0)
    messages = ask(operator, images, "on_load", view=view._serialize(), current_sample=opened)
    assert timeline(messages)["z"] == [[0.1, 0.2, 0.3]]
    click = {"x": 2, "y": "person 1"}
    messages = ask(
        operator, images, "jump", {"field": "tracks"}, params=click, view=view._serialize(), current_sample=opened
    )
    steps = [(name, params) for name, params in messages if name != "show_panel_output"]
    assert steps == [("@agss/vos/go_to_frame", {"frame_number": 2, "sample": one(images, "east", 1)})]


def test_images_that_make_no_sequence_say_what_is_missing(operator, images):
    remember_order(images, Field("tracks", False), ("order", None))
    text = shown(ask(operator, images, "on_load"))
    assert "have the same order" in text
    assert "group_field" in text


def test_the_order_of_images_is_kept_with_the_field(images):
    remember_order(images, Field("tracks", False), ("order", "street"))
    images.reload()
    assert known_order(images, "tracks") == ("order", "street")
    assert known_order(images, "nothing") == (None, None)


def test_what_is_gone_is_not_shown(operator, data):
    gone = data.first().id
    data.delete_samples([gone])
    assert "No object with an index" in shown(ask(operator, data, "on_load", current_sample=gone))


def test_the_numbers_of_the_last_evaluation_are_shown(operator, data):
    sample = data.first().id
    score = {"J": 0.71, "F": 0.73, "JF": 0.72, "frames": 5}
    clip = {"clip": "street.mp4", "sample": sample, "objects": {"person 1": score}}
    last = {
        "eval_key": "k", "pred_field": "tracks", "gt_field": "truth", "identity": 0.94, "switches": 1, "clips": [clip],
        "bare": [], **score,
    }  # fmt: skip
    assert "Last evaluation" not in shown(ask(operator, data, "on_load"))
    ExecutionStore.create(STORE, data._doc.id).set(LAST, last)
    text = shown(ask(operator, data, "on_load"))
    assert "identity kept 94%" in text
    assert "| 1 clip | 0.720 | 0.710 | 0.730 |" in text
    assert "| person 1 | 0.720 | 0.710 | 0.730 |" in text
    parts = [{**clip, "clip": f"street.mp4, frames {part}"} for part in ("1 to 2", "3 to 6")]
    ExecutionStore.create(STORE, data._doc.id).set(LAST, {**last, "clips": parts})
    text = shown(ask(operator, data, "on_load"))
    assert "| person 1 (street.mp4, frames 3 to 6) | 0.720 | 0.710 | 0.730 |" in text


def test_a_dataset_without_tracks_says_what_to_do(operator):
    empty = fo.Dataset()
    assert "draw objects on some frames" in shown(ask(operator, empty, "on_load"))
    empty.delete()
