"""Every preset runs forward and backward through the same verbs."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from agss_model.config import PRESETS
from agss_model.network import build_network
from agss_model.network.base import Question
from agss_model.network.losses import iou_loss

TRAINED = [name for name in PRESETS if name != "propagation"]


def run(network, height=64, width=128, objects=2):
    """One reference and one target frame, random."""
    generator = torch.Generator().manual_seed(0)
    first, image = torch.rand(2, 1, 3, height, width, generator=generator)
    side = network.mask_stride
    masks = (torch.rand(1, objects, height // 8, width // 8, generator=generator) > 0.5).float()
    masks = masks.repeat_interleave(8 // side, 2).repeat_interleave(8 // side, 3)
    reference = network.remember(network.encode(first), masks)
    return network.segment(network.encode(image), Question([reference], None, masks)), masks


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_runs_forward(name):
    torch.manual_seed(0)
    network = build_network(PRESETS[name]).eval()
    with torch.inference_mode():
        found, masks = run(network)
    assert found.shape == masks.shape
    assert 0 <= found.min() <= found.sum(1).max() <= 1 + 1e-5


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("normalised", [True, False])
def test_a_place_without_an_object_gets_nothing_and_takes_nothing(name, normalised):
    torch.manual_seed(0)
    network = build_network(dataclasses.replace(PRESETS[name], use_normalisation=normalised)).eval()
    with torch.inference_mode():
        features, masks = network.encode(torch.rand(1, 3, 64, 64)), torch.rand(1, 2, 64, 64)
        masks = masks[..., :: network.mask_stride, :: network.mask_stride]
        padded = torch.cat([masks, torch.zeros_like(masks[:, :1])], 1)
        expected = network.segment(features, Question([network.remember(features, masks)], None, masks))
        valid = torch.tensor([[True, True, False]])
        found = network.segment(features, Question([network.remember(features, padded)], None, padded, valid))
    assert torch.allclose(found[:, :2], expected, atol=1e-5)
    assert found[:, 2].abs().max() == 0


@pytest.mark.parametrize("name", TRAINED)
def test_every_trained_preset_runs_backward(name):
    torch.manual_seed(0)
    network = build_network(PRESETS[name]).train()
    found, masks = run(network)
    iou_loss(found, masks).backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)
    assert network.encoder.get_parameter(next(n for n, _ in network.encoder.named_parameters())).grad.abs().sum() > 0
