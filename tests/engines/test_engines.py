"""The same masks whatever runs the layers."""

from __future__ import annotations

import dataclasses
import logging
import os
import subprocess
import sys

import pytest
import torch

from agss_model import engines
from agss_model.config import preset
from agss_model.engines import pick_engine, use_engine
from agss_model.engines.compiled import CompiledRunner
from agss_model.engines.eight_bit import quantised
from agss_model.engines.graphs import export, on_onnxruntime
from agss_model.errors import ConfigError
from agss_model.network import build_network
from agss_model.network.base import Question
from agss_model.tracking.tracker import Tracker
from agss_model.weights.registry import load_model, shipped_models


def small(**changes):
    torch.manual_seed(0)
    config = dataclasses.replace(preset("lite"), width=(16, 12, 8), key_channels=16, **changes)
    return build_network(config).eval()


@pytest.fixture(scope="module")
def torch_and_onnx():
    if not engines.installed("onnx"):
        pytest.skip("needs the extra onnx")
    networks = small(), small()
    assert use_engine(networks[1], "onnx", threads=1) == "onnx"
    return networks


def arguments(network, objects, height=64, width=96):
    generator = torch.Generator().manual_seed(objects)
    image = torch.rand(1, 3, height, width, generator=generator)
    masks = torch.zeros(1, objects, height // 4, width // 4)
    for n in range(objects):
        masks[0, n, 2 * n % 9 : 2 * n % 9 + 5, 3 * n % 17 : 3 * n % 17 + 6] = 1
    features = network.encode(image)
    reference = network.remember(features, masks)
    return features, Question([reference], reference, masks)


@torch.inference_mode()
@pytest.mark.parametrize(("objects", "size"), [(1, (64, 96)), (2, (80, 64)), (7, (64, 96))])
def test_onnx_gives_the_probabilities_of_torch_for_any_size_and_number(torch_and_onnx, objects, size):
    plain, fast = torch_and_onnx
    expected = plain.segment(*arguments(plain, objects, *size))
    found = fast.segment(*arguments(fast, objects, *size))
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_onnx_runtime_tells_its_maker_nothing(torch_and_onnx, tmp_path):
    """Its library would leave an id and a queue of events in the user's cache, and send them."""
    code = (
        "import torch; from agss_model.engines.graphs import export, on_onnxruntime\n"
        "graph = export(torch.nn.ReLU().eval(), [torch.ones(1, 2)], {'x': [1]}, ['y'])\n"
        "print(float(on_onnxruntime(graph, 1)([torch.full((1, 2), 3.0).numpy()])[0].sum()))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "6.0"
    assert list(tmp_path.iterdir()) == []


def test_eight_bits_are_right_to_their_steps():
    if not engines.installed("int8"):
        pytest.skip("needs the extra onnx")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU6(), torch.nn.Conv2d(8, 4, 1)).eval()
    frames = [torch.rand(1, 3, 12, 14) for _ in range(4)]
    graph = export(module, [torch.ones(1, 3, 8, 8)], {"x": [2, 3]}, ["y"])
    level = logging.getLogger().level
    run = on_onnxruntime(quantised(graph, ({"x": frame.numpy()} for frame in frames)), 1)
    expected = module(frames[1]).detach()
    (found,) = run([frames[1].numpy()])
    error = (torch.from_numpy(found) - expected).abs().max()
    assert 0 < error < 0.03 * (expected.max() - expected.min())  # not the single precision, but close to it
    assert logging.getLogger().level == level


@torch.inference_mode()
def test_the_compilers_graphs_give_the_probabilities_of_torch():
    """Traced as for a GPU but run as they are: what is tested is that every size can be traced and is the same."""
    plain, fast = small(), small()
    fast.runner = CompiledRunner(fast, backend="eager")
    for objects in (1, 2, 7):
        expected = plain.segment(*arguments(plain, objects))
        torch.testing.assert_close(fast.segment(*arguments(fast, objects)), expected, atol=1e-5, rtol=1e-5)


def test_parameters_and_mode_are_left_as_they_were(torch_and_onnx):
    plain, fast = torch_and_onnx
    assert not fast.training
    assert fast.state_dict().keys() == plain.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), fast.parameters(), strict=True))


def test_training_stays_in_torch():
    network = small()

    class Refusing:
        def __getattr__(self, name):
            raise AssertionError(name)

    network.runner = Refusing()
    network.train()
    network.segment(*arguments(network, 2)).sum().backward()
    assert network.decoder.predict.weight.grad is not None


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["onnx", "int8", "openvino"])
def test_masks_of_the_shipped_weights_agree(engine, make_scene):
    """IoU with torch's masks at least 0.995, and the same scores; 0.97 where an engine computes in fewer bits."""
    if not engines.installed(engine):
        pytest.skip(f"needs the extra {engine}")
    if "lite" not in shipped_models():
        pytest.skip("no weights are shipped")
    plain, fast = load_model("lite", "cpu"), load_model("lite", "cpu")
    use_engine(fast, engine, threads=1)
    scene = make_scene(objects=2, size=(240, 320))
    trackers = [Tracker(network) for network in (plain, fast)]
    for tracker in trackers:
        tracker.add(scene.frame(0), scene.masks(0))
    for t in range(1, 6):
        results = [tracker.step(scene.frame(t)) for tracker in trackers]
        one, other = (result.label_map for result in results)
        for n in (1, 2):
            assert engine != "onnx" or abs(results[0].scores[n] - results[1].scores[n]) < 0.01
            union = ((one == n) | (other == n)).sum()
            assert union > 100
            assert ((one == n) & (other == n)).sum() / union >= (0.995 if engine == "onnx" else 0.97)


def test_auto_takes_onnx_where_it_is_installed_and_can_run(monkeypatch):
    monkeypatch.setattr(engines, "installed", lambda engine: engine == "onnx")
    assert pick_engine("auto", small()) == "onnx"
    assert pick_engine("auto", small(use_agnostic=False)) == "torch"
    monkeypatch.setattr(engines, "installed", lambda engine: False)
    assert pick_engine("auto", small()) == "torch"


def test_what_cannot_be_done_is_refused_with_a_way_out(monkeypatch):
    with pytest.raises(ConfigError, match=r"abacus.*torch, onnx, int8, openvino, compile"):
        pick_engine("abacus", small())
    with torch.device("meta"):
        paper = build_network(preset("paper"))
    with pytest.raises(ConfigError, match="lite only, not paper; use the engine torch"):
        pick_engine("onnx", paper)
    assert pick_engine("compile", small()) == "compile"
    with pytest.raises(ConfigError, match="both modules"):
        pick_engine("onnx", small(use_specific=False))
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs onnx, onnxscript, onnxruntime; install in the clone: pip .*\[onnx"):
        pick_engine("onnx", small())
