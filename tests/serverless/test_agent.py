"""The SDK function, driven by the code of cvat-cli's agent."""

from __future__ import annotations

import concurrent.futures
import gc
from itertools import count
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
from cvat_cli._internal import agent_driver_tracking as driver_module
from cvat_cli._internal.agent import (
    RecoverableExecutor,
    _default_tracking_state_id_generator,
    _worker_init,
    _worker_job_get_function_spec,
    get_function_driver_class,
)
from cvat_cli._internal.agent_driver import BadArError, set_worker_current_function
from cvat_cli._internal.common import FunctionLoader
from cvat_sdk.auto_annotation import BadFunctionError, TrackableShape
from cvat_sdk.masks import decode_mask, encode_mask
from stand_ins import let_segment

from agss_model.errors import ConfigError
from agss_model.masks import SHAPE_TYPES, mask_to_shape, shape_to_mask
from serverless.agent import AgssFunction, RequestPicture, create
from serverless.function.cache import FeatureCache
from serverless.function.contract import ShapeMessage
from serverless.function.scenes import Scenes


class Inline:
    """Stands in for the agent's worker process: the same calls, here."""

    def submit(self, function, *arguments):
        future = concurrent.futures.Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def result(self, future):
        return future.result()


class Agent:
    """The agent's tracking driver over one clip."""

    def __init__(self, function, scene) -> None:
        set_worker_current_function(function)
        numbers = count(1)
        kind = get_function_driver_class(function.spec)
        assert kind is driver_module.AgentTrackingFunctionDriver
        kind.init_worker(lambda: f"state-{next(numbers)}")
        self.driver = kind(None, Inline(), function.spec)
        self.driver._get_sample_from_ar_params = lambda ar: (self._sample(scene, ar["frame"]), None)

    @staticmethod
    def _sample(scene, frame):
        return SimpleNamespace(media=SimpleNamespace(load_image=lambda: PIL.Image.fromarray(scene.frame(frame))))

    def start(self, frame, shapes, task=1):
        request = {"type": "init_tracking", "task": task, "frame": frame, "shapes": shapes}
        return self.driver.calculate_result_for_ar(request, None)["states"]

    def track(self, frame, states, task=1):
        request = {"type": "track", "task": task, "frame": frame, "states": states}
        return self.driver.calculate_result_for_ar(request, None)["shapes"]


@pytest.fixture(autouse=True)
def passes(lite, monkeypatch):
    """How many objects each pass of the network had. Untrained, it would lose them all, so it believes the flow."""
    seen = []

    def segment(features, asked):
        seen.append(asked.warped.shape[1])
        return asked.warped

    let_segment(monkeypatch, lite, segment)
    return seen


@pytest.fixture
def function(lite):
    return AgssFunction(Scenes(lite, FeatureCache(64 << 20)))


def masks(scene, frame, ids=None):
    return [
        {"type": "mask", "points": encode_mask(m)} for i, m in scene.masks(frame).items() if ids is None or i in ids
    ]


def test_three_objects_one_pass_per_frame(function, make_scene, passes):
    scene = make_scene(3)
    agent = Agent(function, scene)
    states = agent.start(0, masks(scene, 0))
    for frame in range(1, 5):
        shapes = agent.track(frame, states)
        assert len(shapes) == 3
        for shape in shapes:
            assert shape["type"] == "mask"
            assert decode_mask(shape["points"], image_width=scene.width, image_height=scene.height).any()
    assert passes == [3] * 4


def test_the_answers_are_those_of_the_tracker(function, lite, scene):
    """Asking object by object gives what one call for all gives."""
    agent = Agent(function, scene)
    states = agent.start(0, masks(scene, 0))
    scenes = Scenes(lite, FeatureCache(64 << 20))
    together = [scenes.start(scene.frame(0), [ShapeMessage(**shape)])[0] for shape in masks(scene, 0)]
    for frame in range(1, 4):
        shapes = agent.track(frame, states[::-1])[::-1]
        followed = scenes.follow(scene.frame(frame), together)
        together = [one.state for one in followed]
        assert [shape["points"] for shape in shapes] == [one.points for one in followed]


def test_objects_started_later_join_the_pass(function, make_scene, passes):
    scene = make_scene(3)
    agent = Agent(function, scene)
    states = agent.start(0, masks(scene, 0, {1, 2}))
    agent.track(1, states)
    states += agent.start(1, masks(scene, 1, {3}))
    for frame in range(2, 5):
        agent.track(frame, states)
    assert passes == [2, 2, 1, 3, 3]


def test_an_object_that_is_left_behind_goes_on_from_where_it_was(function, lite, make_scene, passes):
    scene = make_scene(2)
    agent = Agent(function, scene)
    one, two = agent.start(0, masks(scene, 0))
    for frame in (1, 2, 3):
        agent.track(frame, [one])
    late = [agent.track(frame, [two])[0] for frame in (1, 2)]
    assert passes == [2, 1, 1, 1, 1]  # the first request could not know that the other stays behind
    alone = Agent(AgssFunction(Scenes(lite, FeatureCache(64 << 20))), scene)
    both = alone.start(0, masks(scene, 0))
    alone.track(1, both[:1])
    assert [alone.track(frame, both[1:])[0] for frame in (1, 2)] == late
    assert None not in late


@pytest.mark.parametrize("kind", ["mask", "polygon", "rectangle"])
def test_each_object_is_answered_in_its_own_type(function, scene, kind):
    agent = Agent(function, scene)
    given = {"type": kind, "points": mask_to_shape(kind, scene.masks(0)[1])}
    other = {"type": "mask", "points": mask_to_shape("mask", scene.masks(0)[2])}
    states = agent.start(0, [given, other])
    for frame in (1, 2):
        shapes = agent.track(frame, states)
        assert [shape["type"] for shape in shapes] == [kind, "mask"]
        found = shape_to_mask(kind, shapes[0]["points"], width=scene.width, height=scene.height)
        truth = scene.masks(frame)[1]
        assert (found & truth).sum() / (found | truth).sum() > 0.6


def test_a_lost_object_is_none(function, scene, monkeypatch):
    from dataclasses import replace

    agent = Agent(function, scene)
    states = agent.start(0, [{"type": "rectangle", "points": [5, 5, 30, 30]}])
    original = function._scenes.follow

    def lose(frame, states):
        return [replace(one, state=replace(one.state, lost=True)) for one in original(frame, states)]

    monkeypatch.setattr(function._scenes, "follow", lose)
    assert agent.track(1, states) == [None]


def test_states_of_tasks_do_not_mix(function, scene):
    agent = Agent(function, scene)
    states = agent.start(0, masks(scene, 0))
    with pytest.raises(BadArError, match="not for task"):
        agent.track(1, states, task=2)


@pytest.mark.parametrize(
    "shape",
    [
        {"type": "mask", "points": [9, 1, 1, 2, 2]},
        {"type": "polygon", "points": [500, 500, 510, 500, 510, 510]},
        {"type": "mask", "points": [1e12, 0, 0, 3, 3]},
        {"type": "rectangle", "points": [1, float("nan"), 3, 4]},
    ],
)
def test_bad_shapes_are_told_to_the_user_and_harm_nobody(function, scene, shape):
    agent = Agent(function, scene)
    with pytest.raises(BadFunctionError):
        agent.start(0, [shape])
    states = agent.start(0, masks(scene, 0))
    assert len(agent.track(1, states)) == 2


def test_memory_is_bounded(lite, scene):
    function = AgssFunction(Scenes(lite, FeatureCache(1 << 20)), max_states=3)
    picture = function.preprocess_image(None, PIL.Image.fromarray(scene.frame(0)))
    shape = TrackableShape(type="mask", points=encode_mask(scene.masks(0)[1]))
    states = [function.init_tracking_state(None, picture, shape) for _ in range(5)]
    assert [state.state is None for state in states] == [True, True, False, False, False]
    with pytest.raises(BadFunctionError, match="start tracking this one again"):
        function.track(None, RequestPicture(scene.frame(1)), states[0])
    del states
    gc.collect()
    fresh = [function.init_tracking_state(None, picture, shape) for _ in range(3)]
    assert all(state.state is not None for state in fresh)
    assert len(function._kept) <= 4


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_pictures_of_all_kinds(function, scene, mode):
    image = PIL.Image.fromarray(scene.frame(0)).convert(mode)
    picture = function.preprocess_image(None, image)
    assert picture.frame.shape == (scene.height, scene.width, 3)
    assert picture.frame.dtype == np.uint8


def test_the_command_line_makes_it_with_parameters():
    loaded = FunctionLoader("serverless.agent", None, {"device": "cpu", "threads": 1, "max_states": 7}).load()
    assert loaded.spec.supported_shape_types == set(SHAPE_TYPES)
    assert loaded._max_states == 7
    assert callable(loaded.preprocess_image)  # the agent calls it without asking


def test_settings_out_of_bounds():
    with pytest.raises(ConfigError, match="max_states"):
        create(device="cpu", max_states=0)


@pytest.mark.slow
def test_in_a_worker_process_of_the_agent(make_scene):
    """Everything that goes there and back can be pickled; with shipped weights."""
    scene = make_scene(3)
    loader = FunctionLoader("serverless.agent", None, {"device": "cpu", "threads": 1})
    with RecoverableExecutor(_worker_init, [loader, _default_tracking_state_id_generator]) as executor:
        spec = executor.result(executor.submit(_worker_job_get_function_spec))
        agent = Agent.__new__(Agent)
        agent.driver = get_function_driver_class(spec)(None, executor, spec)
        agent.driver._get_sample_from_ar_params = lambda ar: (agent._sample(scene, ar["frame"]), None)
        states = agent.start(0, masks(scene, 0))
        for frame in range(1, 4):
            shapes = agent.track(frame, states)
        for number, shape in enumerate(shapes, 1):
            found = decode_mask(shape["points"], image_width=scene.width, image_height=scene.height)
            truth = scene.masks(3)[number]
            assert (found & truth).sum() / (found | truth).sum() > 0.5
        with pytest.raises(BadFunctionError):
            agent.start(0, [{"type": "mask", "points": [9, 1, 1, 2, 2]}])
