"""The operators as FiftyOne finds and runs them: from the App, from Python, delegated."""

from __future__ import annotations

import asyncio
import threading
import time

import fiftyone as fo
import fiftyone.operators as foo
import pytest
import yaml
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import execute_or_delegate_operator
from fiftyone.plugins.context import build_plugin_contexts
from little_videos import drawn, plain, video_sample, write_video
from plugin_source import PLUGIN

from agss_model.errors import AgssError


@pytest.fixture
def data(scene, tmp_path):
    made = fo.Dataset()
    path = write_video(tmp_path / "squares.mp4", scene, frames=5)
    made.add_sample(video_sample(path, {1: drawn(scene, 1)}))
    yield made
    if fo.dataset_exists(made.name):
        made.delete()


@pytest.fixture(autouse=True)
def _small(little_network, monkeypatch):
    """The shipped weights on small frames, wherever an operator loads them."""
    monkeypatch.setattr("fiftyone_plugin.track.tracking.load_network", lambda *_: little_network)


def from_app(operator, dataset, opened=None, **params):
    """The messages that the App gets, as (operator, parameters)."""
    request = {"dataset_name": dataset.name, "operator_uri": operator.uri, "params": params, "current_sample": opened}
    result = asyncio.run(execute_or_delegate_operator(operator.uri, request))
    result.raise_exceptions()
    assert result.is_generator
    return [(m.body["operator_uri"], m.body["params"]) if isinstance(m.body, dict) else read(m) for m in result.result]


def read(message):
    body = message.body.to_json()
    return body["operator_uri"], body["params"]


def test_the_plugin_loads_and_names_everything_it_registers(operator):
    operator("track_objects")
    contexts = build_plugin_contexts()
    assert [context.errors for context in contexts if context.has_errors()] == []
    named = yaml.safe_load((PLUGIN / "fiftyone.yml").read_text())
    (ours,) = [context for context in contexts if context.name == named["name"]]
    registered = {instance.name for instance in ours.instances}
    assert registered == set(named["operators"]) | set(named.get("panels", []))


def test_every_operator_declares_its_risk_and_has_a_form(operator, data):
    for name in ("track_objects", "review_queue", "evaluate_tracking", "export_training", "import_annotations"):
        found = operator(name)
        assert found.risk_level.value in ("low", "medium")
        context = foo.ExecutionContext({"dataset_name": data.name, "params": {}})
        form = found.resolve_type(context, "inputs").to_json()
        assert form["type"]["properties"]
        assert found.config.allow_delegated_execution


def test_operators_with_a_place_for_a_button_have_one_there(operator):
    places = {"track_objects": "samples-grid-secondary-actions", "apply_to_track": "samples-viewer-actions"}
    for name, place in {**places, "export_training": None}.items():
        placement = operator(name).resolve_placement(None)
        found = placement and placement.to_json()
        assert (found and (found["place"], found["view"]["label"])) == (place and (place, operator(name).LABEL))


def test_a_form_without_a_field_says_so(operator):
    empty = fo.Dataset()
    context = foo.ExecutionContext({"dataset_name": empty.name, "params": {}})
    form = operator("track_objects").resolve_type(context, "inputs").to_json()
    refusal = form["type"]["properties"]["refusal"]
    assert refusal["invalid"]
    assert "draw or import labels first" in refusal["view"]["description"]
    empty.delete()


def test_from_python_the_result_is_the_summary(operator, data):
    result = operator("track_objects")(data, "gt", "tracks")
    assert result["tracked"] == 1
    assert result["summary"] == "1 clip tracked: 2 objects, 5 frames."
    assert len(plain(data, "tracks")) == 5
    with pytest.raises(AgssError, match="no field 'nothing'"):
        operator("track_objects")(data, "nothing")


def test_by_fiftyones_own_function_too(operator, data):
    uri = operator("track_objects").uri
    params = {"input_annotation_field": "gt"}
    result = foo.execute_operator(uri, {"view": data.view(), "params": params}).result
    assert result["tracked"] == 1
    assert len(plain(data, "gt_propagated")) == 5
    with pytest.raises(foo.executor.ExecutionError):
        foo.execute_operator(uri, {"view": data.view(), "params": {}})


def test_the_app_gets_progress_a_reload_and_the_summary(operator, data):
    messages = from_app(operator("track_objects"), data, input_annotation_field="gt", output_annotation_field="tracks")
    names = [name for name, _ in messages]
    assert names[0] == "set_progress"
    assert names[-2:] == ["reload_dataset", "show_output"]
    assert messages[-1][1]["results"]["summary"].startswith("1 clip tracked")


def test_what_is_open_is_opened_anew_after_its_labels_were_written(operator, data):
    """An Annotate mode that goes on with the labels it knew undoes by their places, and so takes others away."""
    opened = data.first().id
    track = {"input_annotation_field": "gt", "output_annotation_field": "tracks"}
    names = [name for name, _ in from_app(operator("track_objects"), data, opened, **track)]
    assert names[-3:] == ["reload_dataset", "@agss/vos/reopen", "show_output"]
    names = [name for name, _ in from_app(operator("review_queue"), data, opened, field="tracks", threshold=0)]
    assert "@agss/vos/reopen" not in names


def test_only_the_selected_samples(operator, data):
    path = data.first().filepath
    data.add_sample(fo.Sample(filepath=path))
    data.last().frames[1] = fo.Frame(gt=data.first().frames[2]["gt"].copy())
    chosen = data.first().id
    found = operator("track_objects")
    params = {"input_annotation_field": "gt", "output_annotation_field": "tracks", "view_target": "SELECTED_SAMPLES"}
    request = {"dataset_name": data.name, "selected": [chosen], "params": params}
    result = asyncio.run(execute_or_delegate_operator(found.uri, request)).result
    assert (result["tracked"], result["bare"]) == (1, [])


def test_the_app_is_told_what_went_wrong_on_the_way(operator, data):
    sample = data.first()
    sample.filepath = sample.filepath.replace("squares", "moved")
    sample.save()
    messages = from_app(operator("track_objects"), data, input_annotation_field="gt")
    (text,) = [params["message"] for name, params in messages if name == "notify"]
    assert "moved.mp4 does not exist on this machine" in text
    stays = messages[-1][1]  # also when the note has gone
    assert messages[-1][0] == "show_output"
    assert stays["results"]["summary"].startswith("nothing could be tracked")
    assert "Failed:" not in stays["results"]["summary"]
    ((clip, reason),) = [tuple(row.values()) for row in stays["results"]["failures"]]
    assert "moved.mp4" in clip
    assert "does not exist on this machine" in reason
    assert "failures" in stays["outputs"]["type"]["properties"]


def test_a_run_in_the_app_has_a_button_that_ends_it(operator, data):
    messages = from_app(operator("track_objects"), data, input_annotation_field="gt")
    first = next(params for name, params in messages if name == "show_output")
    assert first["outputs"]["type"]["properties"]["stop"]["view"]["operator"] == "@agss/vos/stop_tracking"


def test_delegated(operator, data):
    queued = operator("track_objects")(data, "gt", "tracks", delegate=True)
    assert queued.delegated
    assert not data.has_frame_field("tracks")
    service = DelegatedOperationService()
    service.execute_queued_operations(dataset_name=data.name)
    (done,) = service.list_operations(dataset_name=data.name)
    assert done.run_state == "completed"
    assert done.result.result["summary"].startswith("1 clip tracked")
    assert done.status.label
    assert len(plain(data, "tracks")) == 5


def test_a_delegated_run_ends_when_it_is_marked_as_failed(operator, data, monkeypatch):
    """Which is how `fiftyone delegated fail` cancels."""
    operator("track_objects")(data, "gt", "tracks", delegate=True)
    service = DelegatedOperationService()
    (queued,) = service.list_operations(dataset_name=data.name)
    ticks = iter(range(0, 10000, 2))
    monkeypatch.setattr("fiftyone_plugin.track.tracking.time", _Clock(ticks))
    original = foo.ExecutionContext.set_progress

    def fail(self, *args, **kwargs):
        service.set_failed(queued.id)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(foo.ExecutionContext, "set_progress", fail)
    service.execute_queued_operations(dataset_name=data.name)
    assert 0 < len(plain(data, "tracks")) < 5


class _Clock:
    """Time that runs fast."""

    def __init__(self, ticks):
        self.monotonic = lambda: float(next(ticks))
        self.perf_counter = time.perf_counter


def test_stop_tracking_ends_a_run_at_its_next_frame(operator, data, monkeypatch):
    ticks = iter(range(0, 10000, 2))
    monkeypatch.setattr("fiftyone_plugin.track.tracking.time", _Clock(ticks))
    found = operator("track_objects")
    request = {"dataset_name": data.name, "operator_uri": found.uri, "params": {"input_annotation_field": "gt"}}
    messages = asyncio.run(execute_or_delegate_operator(found.uri, request)).result
    next(messages)
    stopper = threading.Thread(target=lambda: operator("stop_tracking")(data))
    stopper.start()
    stopper.join()
    *_, last = messages
    results = read(last)[1]["results"]
    assert results["stopped"]
    assert 0 < len(plain(data, "gt_propagated")) < 5


def test_without_the_package_operators_say_what_to_install(operator, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "fiftyone_plugin.operators", None)
    (context,) = [c for c in build_plugin_contexts() if c.name == "@agss/vos"]
    assert not context.has_errors()
    names = {instance.name for instance in context.instances}
    assert {"track_objects", "review_queue", "evaluate_tracking"} <= names
    found = next(instance for instance in context.instances if instance.name == "track_objects")
    form = found.resolve_input(None).to_json()
    assert 'pip install ".[fiftyone]"' in str(form)
    with pytest.raises(RuntimeError, match="pip install"):
        found()
