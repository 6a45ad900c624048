"""What runs the network may differ from replica to replica: states go on anywhere, and nothing else is shared."""

from __future__ import annotations

import functools

import fakeredis
import numpy as np
import pytest
from function_client import Clip, Function, mask_of, overlap, quick_network

from agss_model import engines
from agss_model.engines import use_engine
from agss_model.errors import ConfigError
from agss_model.weights.registry import load_model
from serverless.function import service
from serverless.function.cache import FeatureCache, fingerprint
from serverless.function.redis_store import RedisStore
from serverless.function.scenes import Scenes
from serverless.function.settings import FunctionSettings

HEIGHT, WIDTH = 96, 160
pytestmark = pytest.mark.skipif(not engines.installed("onnx"), reason="needs the extra onnx")


@functools.cache
def onnx_network():
    network = load_model("lite", small_object_enlargement=1.0, small_frame=16, max_enlargement=1.0)
    assert use_engine(network, "auto", threads=1) == "onnx"
    return network


def replica(network):
    return Function(Scenes(network, FeatureCache(1 << 26)))


def masks(shapes):
    return [mask_of(shape["points"], HEIGHT, WIDTH) for shape in shapes]


def test_objects_go_on_from_one_engine_to_another_and_back():
    clip = Clip(3)
    plain = replica(quick_network())
    start = plain.start(clip.frame(0), clip.shapes(0))
    expected, _ = plain.track(clip.frames(1, 6), start)
    states = start
    for t in range(1, 6):
        # A new worker every time, so that everything comes from the state.
        shapes, states = replica((quick_network(), onnx_network())[t % 2]).follow(clip.frame(t), states)
        for one, other in zip(masks(shapes), masks(expected[t - 1]), strict=True):
            assert overlap(one, other) >= 0.995


def test_with_an_engine_too_the_answer_follows_from_the_request_alone():
    clip = Clip(3)
    warm = replica(onnx_network())
    states = warm.start(clip.frame(0), clip.shapes(0))
    for t in range(1, 6):
        cold = replica(onnx_network()).follow(clip.frame(t), states)
        warmly = warm.follow(clip.frame(t), states)
        assert cold == warmly
        states = warmly[1]


def test_replicas_with_different_engines_never_read_what_the_other_saw():
    server = fakeredis.FakeServer()
    clip = Clip(2)

    def sharing(network, engine):
        far = RedisStore(fakeredis.FakeRedis(server=server), fingerprint(network, engine), lambda _: None)
        return Function(Scenes(network, FeatureCache(1 << 26, far=far)))

    start = replica(quick_network()).start(clip.frame(0), clip.shapes(0))
    alone = replica(quick_network()).track(clip.frames(1, 4), start)
    sharing(onnx_network(), "onnx").track(clip.frames(1, 4), start)
    assert fakeredis.FakeRedis(server=server).keys()
    assert sharing(quick_network(), "torch").track(clip.frames(1, 4), start) == alone


def test_the_function_takes_the_engine_of_its_settings_and_says_so(monkeypatch):
    names, lines = [], []
    monkeypatch.setattr(service, "connect_redis", lambda host, port, name, *_: names.append(name))
    for engine in ("torch", "onnx", "auto"):
        scenes = service.build_scenes(FunctionSettings(engine=engine, threads=1, redis_host="redis"), lines.append)
        assert (scenes.network.runner is None) == (engine == "torch")
    assert [line.partition("engine ")[2].partition(",")[0] for line in lines] == ["torch", "onnx", "onnx"]
    assert names[0] != names[1]
    assert names[1] == names[2]


def test_without_its_packages_auto_is_torch_and_an_engine_asked_for_stops_the_start(monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    lines = []
    service.build_scenes(FunctionSettings(threads=1), lines.append)
    assert "engine torch" in lines[0]
    with pytest.raises(ConfigError, match=r"\[onnx\]"):
        service.build_scenes(FunctionSettings(engine="onnx", threads=1), lines.append)
    with pytest.raises(ConfigError, match="abacus"):
        service.build_scenes(FunctionSettings(engine="abacus", threads=1), lines.append)


def test_the_engine_comes_from_a_variable():
    assert FunctionSettings.from_environment({"AGSS_ENGINE": "torch"}).engine == "torch"
    assert FunctionSettings.from_environment({}).engine == "auto"


def test_a_mask_that_moved_is_another_answer():
    """The comparison above can fail."""
    clip = Clip(1)
    assert overlap(clip.masks(0)[0], np.roll(clip.masks(0)[0], 1, 1)) < 0.995
