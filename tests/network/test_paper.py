"""The network with the published layers: verbs, ablations, gradients, invariances."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from agss_model.config import PRESETS, AgssConfig
from agss_model.errors import ConfigError, MediaError
from agss_model.network import build_network
from agss_model.network.base import Question
from agss_model.network.losses import iou_loss
from agss_model.network.paper import model as paper_model
from agss_model.network.paper.windows import windows

EVERYWHERE = AgssConfig.from_dict({**PRESETS["paper"].to_dict(), "windows": False})
ABLATIONS = ({"use_agnostic": False}, {"use_specific": False}, {"use_normalisation": False})


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = build_network(EVERYWHERE).eval()
    with torch.no_grad():  # untrained predictions hardly differ; this makes differences visible
        network.decoder.pred2.weight.mul_(30)
    return network


def configured(network, **changes):
    """The same weights under other settings."""
    other = build_network(AgssConfig.from_dict({**EVERYWHERE.to_dict(), **changes})).eval()
    other.load_state_dict(network.state_dict())
    return other


def scene(objects=3, batch=1, height=64, width=96, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(2, batch, 3, height, width, generator=generator)
    masks = torch.rand(2, batch, objects, height // 8, width // 8, generator=generator)
    masks = (masks > 0.6).float().repeat_interleave(8, 3).repeat_interleave(8, 4)
    return images[0], masks[0], images[1], masks[1]


def forward(network, first, masks, image, warped):
    reference = network.remember(network.encode(first), masks)
    return network.segment(network.encode(image), Question([reference], None, warped))


@torch.inference_mode()
def test_shapes_and_ranges(network):
    first, masks, image, warped = scene(objects=3, batch=2)
    features = network.encode(first)
    assert [level.shape for level in features.levels] == [(2, 64, 32, 48)]
    reference = network.remember(features, masks)
    assert (reference.key.shape, reference.value.shape) == ((2, 2048, 2, 3), (2, 3, 0, 2, 3))
    assert reference.known.all()
    found = network.segment(network.encode(image), Question([reference], None, warped))
    assert found.shape == (2, 3, 64, 96)
    assert found.dtype == torch.float32
    assert 0 <= found.min() <= found.sum(1).max() <= 1


@torch.inference_mode()
@pytest.mark.parametrize("changes", [{}, *ABLATIONS])
def test_clips_of_a_batch_do_not_see_each_other(network, changes):
    network = configured(network, **changes)
    first, masks, image, warped = scene(batch=2)
    both = forward(network, first, masks, image, warped)
    second = forward(network, first[1:], masks[1:], image[1:], warped[1:])
    assert torch.allclose(both[1:], second, atol=1e-5)


@torch.inference_mode()
def test_permuted_objects_give_permuted_probabilities(network):
    first, masks, image, warped = scene()
    order = [2, 0, 1]
    found = forward(network, first, masks, image, warped)
    permuted = forward(network, first, masks[:, order], image, warped[:, order])
    assert torch.allclose(permuted, found[:, order], atol=1e-5)
    assert (found[:, 0] - found[:, 1]).abs().max() > 0.01


@torch.inference_mode()
def test_a_few_objects_at_a_time_give_the_same_as_all_at_once(network, monkeypatch):
    arguments = scene(objects=5)
    together = forward(network, *arguments)
    monkeypatch.setattr(paper_model, "PIXELS_AT_ONCE", 2 * 64 * 96)
    sizes = []
    hook = network.decoder.register_forward_hook(lambda _, __, out: sizes.append(len(out)))
    apart = forward(network, *arguments)
    hook.remove()
    assert sizes == [2, 2, 1]
    assert torch.allclose(apart, together, atol=1e-5)


@torch.inference_mode()
def test_equation_3_multiplies_the_shared_feature_with_each_attention(network):
    seen = {}
    hooks = [
        getattr(network, name).register_forward_hook(
            lambda _, inputs, out, name=name: seen.update({name: (inputs, out)})
        )
        for name in ("agnostic", "instance", "decoder")
    ]
    forward(network, *scene())
    for hook in hooks:
        hook.remove()
    feature, attention = seen["agnostic"][1].feature, seen["instance"][1].attention
    assert feature.shape == (1, 256, 8, 12)
    assert attention.shape == (3, 256, 8, 12)
    for n in range(3):
        assert torch.equal(seen["decoder"][0][1][n], feature[0] * attention[n])


@torch.inference_mode()
def test_several_references_count_by_their_mean(network):
    first, masks, image, warped = scene()
    features = network.encode(image)
    one = network.remember(network.encode(first), masks)
    other = network.remember(features, warped)
    alone = network.segment(features, Question([one], None, warped))
    assert torch.allclose(network.segment(features, Question([one, one], None, warped)), alone, atol=1e-5)
    both = network.segment(features, Question([one, other], None, warped))
    assert torch.allclose(both, network.segment(features, Question([other, one], None, warped)), atol=1e-5)
    assert not torch.equal(both, alone)


@torch.inference_mode()
@pytest.mark.parametrize("changes", ABLATIONS)
def test_every_ablation_runs_on_the_same_weights_and_differs(network, changes):
    arguments = scene()
    found = forward(configured(network, **changes), *arguments)
    assert found.shape == (1, 3, 64, 96)
    assert (found - forward(network, *arguments)).abs().max() > 1e-3


@torch.inference_mode()
def test_without_the_agnostic_module_the_reference_plays_no_part(network):
    ablated = configured(network, use_agnostic=False)
    first, masks, image, warped = scene()
    assert torch.equal(forward(ablated, first, masks, image, warped), forward(ablated, image, warped, image, warped))


@torch.inference_mode()
def test_without_the_specific_module_an_object_with_an_empty_mask_sees_nothing_of_its_own(network):
    ablated = configured(network, use_specific=False, use_normalisation=False)
    first, masks, image, warped = scene(objects=3)
    warped[:, 1:] = 0
    found = forward(ablated, first, masks, image, warped)
    assert torch.allclose(found[:, 1], found[:, 2])
    assert not torch.allclose(found[:, 0], found[:, 1])


def test_neither_module_is_refused():
    with pytest.raises(ConfigError, match="use_agnostic and use_specific cannot both be off"):
        build_network(AgssConfig(architecture="paper", use_agnostic=False, use_specific=False))


def test_sides_that_do_not_fit_are_refused(network):
    with pytest.raises(MediaError, match=r"100x64.*multiples of 32"):
        network.encode(torch.rand(1, 3, 64, 100))


def test_stride_is_the_published_one_where_the_published_numbers_are_wanted():
    with torch.device("meta"):
        assert build_network(AgssConfig(architecture="paper")).stride == 32
        assert build_network(AgssConfig(architecture="paper", published_grid=True)).stride == 64


def test_training_reaches_every_parameter_and_leaves_the_statistics_alone():
    torch.manual_seed(1)
    network = build_network(PRESETS["paper"]).train()
    statistics = {name: value.clone() for name, value in network.named_buffers()}
    first, masks, image, warped = scene(objects=2, batch=2, width=64)
    iou_loss(forward(network, first, masks, image, warped), masks).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []
    assert all(torch.equal(value, statistics[name]) for name, value in network.named_buffers())
    assert sum("running" in name for name in statistics) == 2 * 53


def discs(*places, height=192, width=256):
    """Soft-edged masks, (1, N, H, W), by centre and radius."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    masks = [(radius + 1 - ((y - top) ** 2 + (x - left) ** 2).sqrt()).clamp(0, 1) for top, left, radius in places]
    return torch.stack(masks)[None]


@torch.inference_mode()
@pytest.mark.parametrize("changes", [{}, *ABLATIONS[:2]])
def test_windows_equal_everywhere_around_the_masks_and_are_zero_elsewhere(network, changes):
    changes = {"use_normalisation": False, **changes}  # what objects are before others speak
    generator = torch.Generator().manual_seed(5)
    first, image = torch.rand(2, 1, 3, 192, 256, generator=generator)
    warped = discs((50, 60, 12), (190, 255, 9), (128, 100, 500))
    expected = forward(configured(network, **changes), first, warped, image, warped)
    found = forward(configured(network, windows=True, **changes), first, warped, image, warped)
    for n, mask in enumerate(warped[0]):
        near = torch.nn.functional.max_pool2d(mask[None], 2 * 24 + 1, 1, 24)[0] > 0.05
        assert (found[0, n] - expected[0, n])[near].abs().max() < 1e-4
        assert expected[0, n][near].std() > 1e-3
    assert found[0, 0, 160:].abs().max() == 0
    assert (found[0, 2] > 0).all()  # the object that fills the frame is computed everywhere


@torch.inference_mode()
def test_windows_of_one_size_share_a_batch_and_a_missing_object_costs_nothing(network):
    sparse = configured(network, windows=True, use_normalisation=False)
    warped = discs((64, 72, 5), (64, 184, 5), (128, 72, 9), (130, 190, 25))
    warped[:, 2] = 0
    sizes = []
    hook = sparse.decoder.register_forward_hook(lambda _, __, out: sizes.append(len(out)))
    image = torch.rand(1, 3, 192, 256)
    found = forward(sparse, image, warped, image, warped)
    hook.remove()
    assert sorted(sizes) == [1, 2]
    assert found[0, 2].abs().max() == 0


@torch.inference_mode()
def test_ten_typical_objects_take_a_quarter_of_the_published_arithmetic():
    """At the paper's 832x448, counted, not timed; shapes alone are computed."""
    with torch.device("meta"):
        network = build_network(PRESETS["paper"]).eval()
        image, mask = torch.rand(1, 3, 448, 832), torch.rand(1, 10, 448, 832)
    places = [(112 + 224 * (n // 5), 83 + 166 * (n % 5), 51) for n in range(10)]
    near = windows(discs(*places, height=448, width=832)[0], 0.05)

    def operations(config, monkeypatch):
        network.config = config
        monkeypatch.setattr(paper_model, "windows", lambda *_: near)
        features = network.encode(image)
        reference = network.remember(features, mask)
        with FlopCounterMode(display=False) as counter:
            network.segment(features, Question([reference], None, mask))
        return counter.get_total_flops()

    with pytest.MonkeyPatch.context() as patch:
        dense, sparse = operations(EVERYWHERE, patch), operations(PRESETS["paper"], patch)
    assert dense / 2 == pytest.approx(64e9 + 10 * 94e9, rel=0.05)  # the numbers of the published network
    assert dense > 4 * sparse


@torch.inference_mode()
def test_the_published_grid_is_computed_everywhere_as_published(network):
    exact = configured(network, windows=True, published_grid=True)
    arguments = scene()
    assert torch.equal(forward(exact, *arguments), forward(network, *arguments))


def test_training_and_eval_mode_give_the_same(network):
    arguments = scene()
    with torch.inference_mode():
        found = forward(network, *arguments)
        network.train()
        trained = forward(network, *arguments)
        network.eval()
    assert torch.allclose(found, trained, atol=1e-5)


@pytest.mark.parametrize("changes", ABLATIONS)
def test_every_ablation_can_be_trained(changes):
    torch.manual_seed(2)
    network = build_network(AgssConfig.from_dict({**PRESETS["paper"].to_dict(), **changes})).train()
    arguments = scene(objects=2, width=64)
    iou_loss(forward(network, *arguments), arguments[1]).backward()
    reached = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None}
    left_out = {"use_agnostic": "agnostic", "use_specific": "instance"}.get(next(iter(changes)))
    assert reached == {"encoder", "agnostic", "instance", "decoder"} - {left_out}


def test_masks_get_gradients_so_that_flow_can_be_trained(network):
    first, masks, image, warped = scene(width=64)
    warped.requires_grad_(True)
    iou_loss(forward(network, first, masks, image, warped), masks).backward()
    assert all(warped.grad[0, n].abs().sum() > 0 for n in range(3))
