from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F

from agss_model.config import preset
from agss_model.network import build_network
from agss_model.weights.files import save_weights
from training.loop.optimisation import new_network
from training.loop.settings import RunConfig
from training.loop.widening import standardise, widen


def without_target():
    torch.manual_seed(0)
    return build_network(dataclasses.replace(preset("lite"), use_target=False)).eval()


def test_a_target_model_that_says_what_the_memory_says_changes_nothing():
    old = without_target()
    new = widen(old.state_dict(), old.config.width)
    for layer, before, each in (("agnostic.enter", 112, 16), ("instance.enter", 0, 16), ("instance.attention", 48, 4),
                                ("decoder.evidence_fine", 0, 1)):  # fmt: skip
        x = torch.rand(1, old.state_dict()[f"{layer}.weight"].shape[1], 6, 7)
        memory, cut = x[:, before : before + each], before + 3 * each
        wider = torch.cat([x[:, :cut], memory, x[:, cut:]], 1)
        one, other = (F.conv2d(*given, padding=1) for given in (
            (x, old.state_dict()[f"{layer}.weight"]), (wider, new[f"{layer}.weight"])
        ))  # fmt: skip
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_a_run_goes_on_from_weights_of_before_the_target_model(tmp_path):
    old = without_target()
    save_weights(tmp_path / "old.safetensors", old.state_dict(), old.config, {})
    network = new_network(RunConfig(init=str(tmp_path / "old.safetensors")))
    assert network.config.use_target
    assert torch.equal(network.encoder.stem.weight, old.encoder.stem.weight)
    assert not network.target.log_scale.any()  # the run's first frames give it


def test_features_get_unit_variance_once():
    network = build_network(preset("lite")).eval()
    frames = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    standardise(network, frames)
    appearance = network.encode(frames).appearance.transpose(0, 1).flatten(1)
    deviation = appearance[:-1].std(1)
    assert deviation.max() < 1.001
    assert (deviation > 0.999).float().mean() > 0.9  # what hardly varies is not blown up
    before = network.target.log_scale.clone()
    standardise(network, frames * 0.5)
    assert torch.equal(network.target.log_scale, before)
