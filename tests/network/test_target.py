from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from agss_model.config import preset
from agss_model.network import build_network
from agss_model.network.base import Reference
from agss_model.network.target import RIDGE, TargetModel
from agss_model.weights import load_model

CHANNELS = (2, 3, 4)
WIDTH = 2 * sum(CHANNELS) + 1


@pytest.fixture(autouse=True)
def _no_gradients(request):
    with torch.set_grad_enabled("gradients" in request.node.name):
        yield


def levels(clips=1, seed=0, height=5, width=6):
    rng = torch.Generator().manual_seed(seed)
    sizes = zip(CHANNELS, (4, 2, 1), strict=True)
    return tuple(torch.randn(clips, c, s * height, s * width, generator=rng) for c, s in sizes)


def frame(model, objects, seed, known=None, weight=1.0):
    """A reference with random shares, and the features and shares it was made of."""
    appearance = model.look(levels(seed=seed))
    value = torch.rand(1, objects, 16, 5, 6, generator=torch.Generator().manual_seed(seed + 100))
    gram, cross = model.remember(appearance, value)
    flags = torch.ones(1, objects, dtype=torch.bool) if known is None else torch.tensor([known])
    return Reference(appearance, value, flags, weight, gram, cross), appearance, value


def regression(frames, weights, slot):
    """The same by numpy: weighted means over frames, the ridge relative to the mean square of a feature."""
    gram, cross = np.zeros((WIDTH, WIDTH)), np.zeros((WIDTH, 16))
    for (_, appearance, value), weight in zip(frames, weights, strict=True):
        x = appearance[0].flatten(1).double().numpy().T
        gram += weight / sum(weights) * x.T @ x / len(x)
        cross += weight / sum(weights) * x.T @ value[0, slot].flatten(1).double().numpy().T / len(x)
    ridge = RIDGE * np.trace(gram) / WIDTH
    return np.linalg.solve(gram + ridge * np.eye(WIDTH), cross).T


def test_features_of_a_cell_are_the_pooled_levels_their_means_and_a_constant():
    fine, middle, coarse = levels()
    appearance = TargetModel(CHANNELS).look((fine, middle, coarse))
    assert appearance.shape == (1, WIDTH, 5, 6)
    assert torch.equal(appearance[:, :4], coarse)
    assert appearance[0, 4, 2, 3] == pytest.approx(float(middle[0, 0, 4:6, 6:8].mean()), abs=1e-6)
    assert appearance[0, 7, 2, 3] == pytest.approx(float(fine[0, 0, 8:12, 12:16].mean()), abs=1e-6)
    assert appearance[0, 9, 2, 3] == pytest.approx(float(coarse[0, 0, 1:4, 2:5].mean()), abs=1e-6)
    assert appearance[0, 9, 0, 0] == pytest.approx(float(coarse[0, 0, :2, :2].mean()), abs=1e-6)
    assert (appearance[:, -1] == 1).all()


def test_models_are_the_ridge_regression_over_all_frames_by_their_weights():
    model = TargetModel(CHANNELS)
    frames = [frame(model, 2, 0, weight=2.0), frame(model, 2, 1), frame(model, 2, 2)]
    solved = model.solve([f[0] for f in frames])
    for slot in range(2):
        expected = regression(frames, [2.0, 1.0, 1.0], slot)
        np.testing.assert_allclose(solved[0, slot].detach().numpy(), expected, atol=1e-5)


def test_each_object_is_solved_over_the_frames_that_know_it():
    model = TargetModel(CHANNELS)
    told = [(True, True, False, False), (True, False, True, False), (True, True, False, False)]
    frames = [frame(model, 4, seed, known) for seed, known in enumerate(told)]
    solved = model.solve([f[0] for f in frames])
    for slot, own in enumerate(([0, 1, 2], [0, 2], [1])):
        expected = regression([frames[i] for i in own], [1.0] * len(own), slot)
        np.testing.assert_allclose(solved[0, slot].detach().numpy(), expected, atol=1e-5)
    assert not solved[0, 3].any()  # known nowhere
    assert not model.share(frames[0][1], [f[0] for f in frames])[0, 3].any()


def test_clips_of_a_batch_and_objects_of_a_clip_do_not_see_each_other():
    model = TargetModel(CHANNELS)
    one, two = frame(model, 2, 0)[0], frame(model, 2, 1)[0]
    fields = ("key", "value", "known", "gram", "cross")
    both = Reference(**{name: torch.cat([getattr(one, name), getattr(two, name)]) for name in fields})
    together = model.solve([both])
    torch.testing.assert_close(together, torch.cat([model.solve([one]), model.solve([two])]))
    alone = one.select([1])
    torch.testing.assert_close(model.solve([alone])[:, 0], together[:1, 1])


def test_evidence_is_nothing_for_no_share_and_one_for_all_of_it():
    model = TargetModel(CHANNELS)
    share = torch.tensor([-1.0, 0.0, 0.2, 0.6, 1.0])
    evidence = model.evidence(share)
    assert evidence[:2].tolist() == [0, 0]
    assert evidence[-1].item() == pytest.approx(1)
    assert (evidence[2:].diff() > 0).all()


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_features_of_any_size_can_be_solved_for(scale):
    model = TargetModel(CHANNELS)
    appearance, value = model.look(levels()) * scale, torch.rand(1, 1, 16, 5, 6)
    gram, cross = model.remember(appearance, value)
    found = model.share(
        appearance, [Reference(appearance, value, torch.ones(1, 1, dtype=torch.bool), gram=gram, cross=cross)]
    )
    assert found.isfinite().all()


def test_what_a_look_alike_confuses_is_told_apart():
    """Two textures in the first frame, one of them an object: in the next frame they have changed places."""
    network = load_model("lite")
    rng = torch.Generator().manual_seed(0)
    colours = torch.tensor([[0.8, 0.4, 0.3], [0.7, 0.5, 0.3]])[:, :, None, None]
    left, right = (colours + 0.1 * torch.randn(2, 3, 128, 128, generator=rng)).clamp(0, 1)
    first, second = torch.cat([left, right], 2)[None], torch.cat([right, left], 2)[None]
    masks = torch.zeros(1, 1, 32, 64)
    masks[..., :32] = 1
    reference = network.remember(network.encode(first), masks)
    share = network.target.share(network.encode(second).appearance, [reference])
    evidence = network.target.evidence(share)[0, 0].mean(0)
    assert evidence[:, 9:].mean() > 0.6 > 0.2 > evidence[:, :7].mean()


def test_models_asked_for_again_are_those_of_the_references_at_hand():
    model = TargetModel(CHANNELS)
    references = [frame(model, 2, seed)[0] for seed in range(2)]
    appearance = model.look(levels(seed=5))
    for asked in (
        references,
        references,
        references[:1],
        [references[0], dataclasses.replace(references[1], weight=3.0)],
    ):
        expected = (model.solve(asked).flatten(1, 2) @ appearance.flatten(2)).reshape(1, 2, 16, 5, 6)
        torch.testing.assert_close(model.share(appearance, asked), expected)


def test_gradients_reach_features_and_settings():
    network = build_network(preset("lite")).train()
    appearance = network.encode(torch.rand(1, 3, 64, 96)).appearance
    value = torch.rand(1, 2, 16, 4, 6)
    gram, cross = network.target.remember(appearance, value)
    reference = Reference(appearance, value, torch.ones(1, 2, dtype=torch.bool), gram=gram, cross=cross)
    network.target.evidence(network.target.share(appearance, [reference])).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.target.parameters())
    assert network.encoder.stem.weight.grad.abs().sum() > 0


def test_without_it_there_are_no_such_layers_and_no_statistics():
    network = build_network(dataclasses.replace(preset("lite"), use_target=False)).eval()
    assert not [name for name, _ in network.named_parameters() if name.startswith("target")]
    features = network.encode(torch.rand(1, 3, 64, 64))
    reference = network.remember(features, torch.rand(1, 1, 16, 16))
    assert features.appearance is None
    assert reference.gram is None
    assert reference.cross is None


def test_likeness_is_the_mean_share_and_what_it_was_over_the_objects_own_cells():
    model = TargetModel(CHANNELS)
    frames = [frame(model, 2, 0), frame(model, 2, 1)]
    references = [f[0] for f in frames]
    likeness = model.likeness(frames[0][1], references)
    torch.testing.assert_close(likeness.share, model.share(frames[0][1], references).mean(2), atol=1e-5, rtol=1e-5)
    weighed, total = 0, 0
    for _, appearance, value in frames:
        share = model.share(appearance, references).mean(2)
        weighed += (share * value.mean(2)).sum((2, 3))
        total += value.mean(2).sum((2, 3))
    torch.testing.assert_close(likeness.drawn, weighed / total, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_likeness_is_worked_out_again_when_the_references_change_and_only_then():
    model = TargetModel(CHANNELS)
    (one, appearance, _), (two, _, _) = frame(model, 2, 0), frame(model, 2, 1)
    first, other = model.likeness(appearance, [one]), model.likeness(appearance, [one, two])
    assert not torch.equal(first.drawn, other.drawn)
    assert model.likeness(appearance, [one, two]).drawn is other.drawn
    again = model.likeness(appearance, [one])
    assert torch.equal(again.drawn, first.drawn)
    assert torch.equal(again.share, first.share)
