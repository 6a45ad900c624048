from __future__ import annotations

import gc

import pytest
import torch
from torch import nn

from agss_model.errors import ConfigError
from agss_model.flow import FlowNet2, FlowNet2C
from agss_model.flow.flownet2 import normalise
from agss_model.flow.flownet2_nets import FlowNetFusion, FlowNetS, FlowNetSD
from agss_model.flow.flownet2_parts import channel_norm, correlation, resample


def on_meta(build) -> nn.Module:
    """Build a network without memory for its parameters: names and shapes only."""
    with torch.device("meta"):
        return build()


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (FlowNet2C, 39_175_298),
        (FlowNetS, 38_695_322),
        (FlowNetSD, 45_371_666),
        (FlowNetFusion, 581_226),
        (FlowNet2, 162_518_834),
    ],
)
def test_parameter_counts_are_the_published_ones(build, parameters):
    assert sum(parameter.numel() for parameter in on_meta(build).parameters()) == parameters


ENCODER = ["conv1", "conv2", "conv3", "conv3_1", "conv4", "conv4_1", "conv5", "conv5_1", "conv6", "conv6_1"]
DECONVS = ["deconv5", "deconv4", "deconv3", "deconv2"]
FLOWS = [f"predict_flow{level}" for level in (6, 5, 4, 3, 2)]
UPSAMPLED = ["upsampled_flow6_to_5", "upsampled_flow5_to_4", "upsampled_flow4_to_3", "upsampled_flow3_to_2"]


def keys(sequential: list[str], single: list[str], weight_only: list[str] = ()) -> set[str]:
    both = [f"{name}.0" for name in sequential] + single
    return {f"{name}.{kind}" for name in both for kind in ("weight", "bias")} | {f"{n}.weight" for n in weight_only}


PUBLISHED = {
    "flownetc": keys([*ENCODER, "conv_redir", *DECONVS], FLOWS + UPSAMPLED),
    "flownets_1": keys(ENCODER + DECONVS, FLOWS, UPSAMPLED),
    "flownets_2": keys(ENCODER + DECONVS, FLOWS, UPSAMPLED),
    "flownets_d": keys(
        [*ENCODER, "conv0", "conv1_1", "conv2_1", *DECONVS, *(f"inter_conv{level}" for level in (5, 4, 3, 2))],
        FLOWS + UPSAMPLED,
    ),
    "flownetfusion": keys(
        ["conv0", "conv1", "conv1_1", "conv2", "conv2_1", "deconv1", "deconv0", "inter_conv1", "inter_conv0"],
        ["predict_flow2", "predict_flow1", "predict_flow0", "upsampled_flow2_to_1", "upsampled_flow1_to_0"],
    ),
}


def test_names_are_those_of_the_published_checkpoints():
    assert set(on_meta(FlowNet2C).state_dict()) == PUBLISHED["flownetc"]
    stack = {f"{network}.{key}" for network, names in PUBLISHED.items() for key in names}
    assert set(on_meta(FlowNet2).state_dict()) == stack


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("flownetc.conv1.0.weight", (64, 3, 7, 7)),
        ("flownetc.conv_redir.0.weight", (32, 256, 1, 1)),
        ("flownetc.conv3_1.0.weight", (256, 473, 3, 3)),
        ("flownetc.deconv5.0.weight", (1024, 512, 4, 4)),
        ("flownetc.deconv2.0.weight", (386, 64, 4, 4)),
        ("flownetc.upsampled_flow6_to_5.weight", (2, 2, 4, 4)),
        ("flownets_1.conv1.0.weight", (64, 12, 7, 7)),
        ("flownets_d.conv1_1.0.weight", (128, 64, 3, 3)),
        ("flownets_d.inter_conv5.0.weight", (512, 1026, 3, 3)),
        ("flownets_d.predict_flow5.weight", (2, 512, 3, 3)),
        ("flownetfusion.conv0.0.weight", (64, 11, 3, 3)),
        ("flownetfusion.deconv0.0.weight", (162, 16, 4, 4)),
        ("flownetfusion.predict_flow0.weight", (2, 16, 3, 3)),
    ],
)
def test_shapes_are_those_of_the_published_checkpoints(name, shape):
    assert on_meta(FlowNet2).state_dict()[name].shape == shape


def brute_force_correlation(first: torch.Tensor, second: torch.Tensor, reach: int, stride: int) -> torch.Tensor:
    batch, channels, height, width = first.shape
    shifts = range(-reach, reach + 1, stride)
    out = torch.zeros(batch, len(shifts) ** 2, height, width, dtype=first.dtype)
    for row, dy in enumerate(shifts):
        for column, dx in enumerate(shifts):
            for y in range(height):
                for x in range(width):
                    if 0 <= y + dy < height and 0 <= x + dx < width:
                        product = (first[:, :, y, x] * second[:, :, y + dy, x + dx]).sum(1) / channels
                        out[:, row * len(shifts) + column, y, x] = product
    return out


@pytest.mark.parametrize(("reach", "stride"), [(20, 2), (4, 2), (3, 1)])
def test_correlation_is_what_the_loops_say(reach, stride):
    first, second = torch.randn(2, 5, 4, 7), torch.randn(2, 5, 4, 7)
    expected = brute_force_correlation(first, second, reach, stride)
    torch.testing.assert_close(correlation(first, second, reach, stride), expected)


def test_correlation_is_differentiable_in_both_maps():
    maps = [torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(lambda a, b: correlation(a, b, 2, 1), maps)


def test_resample_moves_positions_outside_to_the_border():
    image = torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]).view(1, 1, 2, 3)
    flow = torch.zeros(1, 2, 2, 3)
    flow[:, 0] = 1.5
    torch.testing.assert_close(resample(image, flow)[0, 0], torch.tensor([[3.0, 4.0, 4.0], [24.0, 32.0, 32.0]]))
    flow[:, 0], flow[:, 1] = 0.0, -5.0
    torch.testing.assert_close(resample(image, flow)[0, 0], torch.tensor([[1.0, 2.0, 4.0]] * 2))


def test_channel_norm_is_a_length_with_a_finite_gradient_at_zero():
    values = torch.tensor([3.0, 4.0, 0.0, 0.0]).view(1, 2, 1, 2).transpose(1, 3).contiguous().requires_grad_()
    lengths = channel_norm(values)
    assert lengths.flatten().tolist() == [5.0, 0.0]
    lengths.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad.transpose(1, 3).flatten(), torch.tensor([0.6, 0.8, 0.0, 0.0]))


def test_frames_are_centred_per_channel_over_both_frames_in_bgr_order():
    target, source = torch.rand(2, 3, 64, 128), torch.rand(2, 3, 64, 128)
    pair = normalise(target, source)
    assert pair.shape == (2, 6, 64, 128)
    for channel in range(3):
        mean = torch.stack((target[:, channel], source[:, channel])).mean(dim=(0, 2, 3)).view(2, 1, 1)
        torch.testing.assert_close(pair[:, 2 - channel], target[:, channel] - mean)
        torch.testing.assert_close(pair[:, 5 - channel], source[:, channel] - mean)


def test_padding_repeats_the_border_and_leaves_the_mean_alone():
    target, source = torch.rand(1, 3, 50, 70), torch.rand(1, 3, 50, 70)
    pair = normalise(target, source)
    assert pair.shape == (1, 6, 64, 128)
    assert pair[..., :50, :70].mean().abs() < 1e-6
    assert torch.equal(pair[..., 50:, 70:], pair[..., 49:50, 69:70].expand(-1, -1, 14, 58))


def silent(build) -> nn.Module:
    """Build a network that answers zero to everything, so that a bias shows where it goes."""
    network = on_meta(build).to_empty(device="cpu")
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    return network


@pytest.mark.parametrize("size", [(1, 1), (50, 70), (64, 64)])
def test_flownet2c_multiplies_by_twenty_and_returns_the_size_it_was_given(size):
    network = silent(FlowNet2C)
    with torch.no_grad():
        network.predict_flow2.bias.copy_(torch.tensor([0.1, -0.2]))
        flow = network(torch.rand(1, 3, *size), torch.rand(1, 3, *size))
    torch.testing.assert_close(flow, torch.tensor([2.0, -4.0]).view(1, 2, 1, 1).expand(1, 2, *size))


def test_flownet2_hands_flows_on_in_the_units_each_network_was_trained_with():
    network = silent(FlowNet2)
    heads = {
        network.flownetc.predict_flow2: [0.1, -0.1],
        network.flownets_1.predict_flow2: [0.2, -0.2],
        network.flownets_2.predict_flow2: [0.3, -0.3],
        network.flownets_d.predict_flow2: [0.4, -0.4],
        network.flownetfusion.predict_flow0: [0.5, -0.5],
    }
    with torch.no_grad():
        for head, bias in heads.items():
            head.bias.copy_(torch.tensor(bias))
    seen = {}
    for part in ("flownets_1", "flownets_2", "flownetfusion"):
        first = network.get_submodule(part).get_submodule("conv0" if part == "flownetfusion" else "conv1")
        first.register_forward_pre_hook(lambda _, inputs, part=part: seen.update({part: inputs[0][0, :, 0, 0]}))
    with torch.no_grad():
        flow = network(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))
    torch.testing.assert_close(seen["flownets_1"][9:11], torch.tensor([0.1, -0.1]))
    torch.testing.assert_close(seen["flownets_2"][9:11], torch.tensor([0.2, -0.2]))
    torch.testing.assert_close(seen["flownetfusion"][3:7], torch.tensor([0.02, -0.02, 6.0, -6.0]))
    torch.testing.assert_close(flow, torch.tensor([0.5, -0.5]).view(1, 2, 1, 1).expand(1, 2, 64, 64))


def test_a_refining_network_sees_frames_warped_source_flow_and_error():
    pair = torch.rand(1, 6, 8, 8)
    flow = torch.zeros(1, 2, 8, 8)
    flow[:, 0] = 2.0
    seen = FlowNet2._evidence(pair, flow)
    warped = pair[:, 3:, :, [2, 3, 4, 5, 6, 7, 7, 7]]
    error = (pair[:, :3] - warped).square().sum(1, keepdim=True).sqrt()
    torch.testing.assert_close(seen, torch.cat((pair, warped, flow / 20, error), 1))


def test_the_fusion_sees_target_both_flows_their_lengths_and_their_errors():
    pair = torch.rand(1, 6, 8, 8)
    small, large = torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 8, 8)
    large[:, 1] = -1.0
    seen = FlowNet2._candidates(pair, small, large)
    errors = [pair[:, :3] - pair[:, 3:], pair[:, :3] - pair[:, 3:, [0, 0, 1, 2, 3, 4, 5, 6]]]
    expected = [pair[:, :3], small, large, torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)]
    expected += [error.square().sum(1, keepdim=True).sqrt() for error in errors]
    torch.testing.assert_close(seen, torch.cat(expected, 1))


def test_flownet2c_gives_a_pyramid_for_a_multi_scale_loss():
    with torch.no_grad():
        pyramid = FlowNet2C().pyramid_between(torch.rand(1, 3, 64, 128), torch.rand(1, 3, 64, 128))
    assert [tuple(flow.shape[1:]) for flow in pyramid] == [(2, 16, 32), (2, 8, 16), (2, 4, 8), (2, 2, 4), (2, 1, 2)]


@pytest.mark.parametrize("build", [FlowNet2C, FlowNet2])
def test_gradients_reach_every_parameter_and_both_frames(build):
    torch.manual_seed(0)
    network = build()
    frames = [torch.rand(1, 3, 64, 64, requires_grad=True) for _ in range(2)]
    flow = network(*frames)
    assert flow.shape == (1, 2, 64, 64)
    flow.square().sum().backward()
    tensors = [*network.named_parameters(), *zip(("target", "source"), frames, strict=True)]
    unreached = [name for name, tensor in tensors if tensor.grad is None or not tensor.grad.any()]
    broken = [name for name, tensor in tensors if tensor.grad is not None and not tensor.grad.isfinite().all()]
    assert unreached == []
    assert broken == []
    del network, tensors
    gc.collect()


def test_flownet2_refuses_frames_of_two_sizes():
    with pytest.raises(ConfigError, match="128"):
        FlowNet2C()(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 128))
