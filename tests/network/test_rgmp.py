"""The baseline: one pass for each object, built from the parts of the paper's network."""

from __future__ import annotations

import pytest
import torch

from agss_model.config import PRESETS
from agss_model.network import build_network
from agss_model.network.base import Question
from agss_model.network.equations import normalise
from agss_model.network.losses import iou_loss


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = build_network(PRESETS["rgmp"]).eval()
    with torch.no_grad():  # untrained predictions hardly differ; this makes differences visible
        network.decoder.pred2.weight.mul_(30)
    return network


def scene(objects=2, batch=1):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, batch, 3, 64, 64, generator=generator)
    masks = (torch.rand(2, batch, objects, 8, 8, generator=generator) > 0.6).float()
    masks = masks.repeat_interleave(8, 3).repeat_interleave(8, 4)
    return images[0], masks[0], images[1], masks[1]


@torch.inference_mode()
def test_objects_are_looked_at_one_by_one_and_compete_afterwards(network):
    first, masks, image, warped = scene(objects=3)
    alone, passes = [], []
    hook = network.decoder.register_forward_hook(lambda _, __, out: passes.append(out))
    target = network.encode(image)
    found = network.segment(target, Question([network.remember(network.encode(first), masks)], None, warped))
    together = list(passes)
    for n in range(3):
        reference = network.remember(network.encode(first), masks[:, n : n + 1])
        assert (reference.key.shape, reference.value.shape) == ((1, 0, 2, 2), (1, 1, 2048, 2, 2))
        network.segment(target, Question([reference], None, warped[:, n : n + 1]))
        alone.append(passes[-1])
    hook.remove()
    assert len(together) == 3
    assert torch.equal(torch.stack(together), torch.stack(alone))
    assert torch.equal(found, normalise(torch.stack(alone, 1)))


@torch.inference_mode()
def test_permuted_objects_give_permuted_probabilities(network):
    first, masks, image, warped = scene(objects=3)
    features, target, order = network.encode(first), network.encode(image), [2, 0, 1]
    found = network.segment(target, Question([network.remember(features, masks)], None, warped))
    permuted = network.segment(target, Question([network.remember(features, masks[:, order])], None, warped[:, order]))
    assert torch.allclose(permuted, found[:, order], atol=1e-5)
    assert (found[:, 0] - found[:, 1]).abs().max() > 0.01


@torch.inference_mode()
def test_a_reference_from_before_an_object_entered_does_not_count_for_it(network):
    first, masks, image, warped = scene(objects=2)
    early = network.remember(network.encode(first), masks[:, :1]).select([0, None])
    late = network.remember(network.encode(image), warped)
    assert early.known.tolist() == [[True, False]]
    passes = []
    hook = network.decoder.register_forward_hook(lambda _, __, out: passes.append(out))
    target = network.encode(image)
    network.segment(target, Question([early, late], None, warped))
    network.segment(target, Question([late], None, warped))
    hook.remove()
    assert torch.equal(passes[1], passes[3])
    assert not torch.equal(passes[0], passes[2])


def test_training_reaches_every_parameter_and_leaves_the_statistics_alone():
    torch.manual_seed(1)
    network = build_network(PRESETS["rgmp"]).train()
    statistics = {name: value.clone() for name, value in network.named_buffers()}
    first, masks, image, warped = scene()
    reference = network.remember(network.encode(first), masks)
    iou_loss(network.segment(network.encode(image), Question([reference], None, warped)), masks).backward()
    for name, parameter in network.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        assert reached != name.startswith("auxiliary."), name
        assert reached == parameter.requires_grad, name
    assert all(torch.equal(value, statistics[name]) for name, value in network.named_buffers())
