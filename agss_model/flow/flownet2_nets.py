"""The five networks that FlowNet2 is made of, with the parameter names of the published checkpoints.

FlowNetC compares features of the two frames, FlowNetS refines a flow from stacked inputs, FlowNetSD is made for small
displacements, and FlowNetFusion joins two flows at full size (Ilg et al., "FlowNet 2.0", 2017). Each returns its flow
in the network's own unit at the finest scale first; `div_flow` is applied by the callers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from agss_model.flow.flownet2_parts import (
    SLOPE,
    conv,
    correlation,
    deconv,
    plain_conv,
    predict_flow,
    upsample_flow,
)

Pyramid = list[Tensor]
"""Flows (B, 2, h, w) at 1/4, 1/8, 1/16, 1/32 and 1/64 of the input, finest first: what a multi-scale loss needs."""


class _FlowDecoder(nn.Module):
    """The coarse-to-fine flow decoder shared by FlowNetC, S and SD.

    Attributes:
        smooth: whether each flow is read through a convolution without activation (`inter_conv*`, FlowNetSD).
    """

    def __init__(self, flow_bias: bool = True, smooth: bool = False) -> None:
        super().__init__()
        self.smooth = smooth
        self.deconv5 = deconv(1024, 512)
        self.deconv4 = deconv(1026, 256)
        self.deconv3 = deconv(770, 128)
        self.deconv2 = deconv(386, 64)
        if smooth:
            self.inter_conv5 = plain_conv(1026, 512)
            self.inter_conv4 = plain_conv(770, 256)
            self.inter_conv3 = plain_conv(386, 128)
            self.inter_conv2 = plain_conv(194, 64)
        self.predict_flow6 = predict_flow(1024)
        self.predict_flow5 = predict_flow(512 if smooth else 1026)
        self.predict_flow4 = predict_flow(256 if smooth else 770)
        self.predict_flow3 = predict_flow(128 if smooth else 386)
        self.predict_flow2 = predict_flow(64 if smooth else 194)
        self.upsampled_flow6_to_5 = upsample_flow(flow_bias)
        self.upsampled_flow5_to_4 = upsample_flow(flow_bias)
        self.upsampled_flow4_to_3 = upsample_flow(flow_bias)
        self.upsampled_flow3_to_2 = upsample_flow(flow_bias)

    def decode(self, skips: list[Tensor]) -> Pyramid:
        """Turn encoder features into flows.

        Args:
            skips: features at 1/64, 1/32, 1/16, 1/8 and 1/4 with 1024, 512, 512, 256 and 128 channels.

        Returns:
            The flow pyramid, finest first.
        """
        features = skips[0]
        flows = [self.predict_flow6(features)]
        for level, skip in zip((5, 4, 3, 2), skips[1:], strict=True):
            enlarged = self.get_submodule(f"upsampled_flow{level + 1}_to_{level}")(flows[0])
            features = torch.cat((skip, self.get_submodule(f"deconv{level}")(features), enlarged), dim=1)
            read = self.get_submodule(f"inter_conv{level}")(features) if self.smooth else features
            flows.insert(0, self.get_submodule(f"predict_flow{level}")(read))
        return flows


class _DeepEncoder(_FlowDecoder):
    """The layers at 1/16 and below, which FlowNetC, S and SD share."""

    def __init__(self, flow_bias: bool = True, smooth: bool = False) -> None:
        super().__init__(flow_bias, smooth)
        self.conv4 = conv(256, 512, stride=2)
        self.conv4_1 = conv(512, 512)
        self.conv5 = conv(512, 512, stride=2)
        self.conv5_1 = conv(512, 512)
        self.conv6 = conv(512, 1024, stride=2)
        self.conv6_1 = conv(1024, 1024)

    def finish(self, quarter: Tensor, eighth: Tensor) -> Pyramid:
        """Encode on from the features at 1/8, (B, 256, H/8, W/8), and decode, with (B, 128, H/4, W/4) beside them."""
        at16 = self.conv4_1(self.conv4(eighth))
        at32 = self.conv5_1(self.conv5(at16))
        at64 = self.conv6_1(self.conv6(at32))
        return self.decode([at64, at32, at16, eighth, quarter])


class FlowNetC(_DeepEncoder):
    """FlowNetC: both frames through one encoder, compared by correlation (39.2 M parameters)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = conv(3, 64, 7, 2)
        self.conv2 = conv(64, 128, 5, 2)
        self.conv3 = conv(128, 256, 5, 2)
        self.conv_redir = conv(256, 32, 1)
        self.conv3_1 = conv(32 + 441, 256)

    def pyramid(self, pair: Tensor) -> Pyramid:
        """Estimate the flow pyramid from normalised frames (B, 6, H, W), target first; sides multiples of 64."""
        quarter = self.conv2(self.conv1(pair[:, :3]))
        first = self.conv3(quarter)
        second = self.conv3(self.conv2(self.conv1(pair[:, 3:])))
        compared = functional.leaky_relu(correlation(first, second), SLOPE)
        return self.finish(quarter, self.conv3_1(torch.cat((self.conv_redir(first), compared), dim=1)))


class FlowNetS(_DeepEncoder):
    """FlowNetS: everything stacked into one encoder (38.7 M parameters)."""

    def __init__(self, inputs: int = 12) -> None:
        super().__init__(flow_bias=False)
        self.conv1 = conv(inputs, 64, 7, 2)
        self.conv2 = conv(64, 128, 5, 2)
        self.conv3 = conv(128, 256, 5, 2)
        self.conv3_1 = conv(256, 256)

    def pyramid(self, stack: Tensor) -> Pyramid:
        """Estimate the flow pyramid from a stack (B, inputs, H, W); sides multiples of 64."""
        quarter = self.conv2(self.conv1(stack))
        return self.finish(quarter, self.conv3_1(self.conv3(quarter)))


class FlowNetSD(_DeepEncoder):
    """FlowNetSD: small kernels and a full-size first layer for small displacements (45.4 M parameters)."""

    def __init__(self) -> None:
        super().__init__(smooth=True)
        self.conv0 = conv(6, 64)
        self.conv1 = conv(64, 64, stride=2)
        self.conv1_1 = conv(64, 128)
        self.conv2 = conv(128, 128, stride=2)
        self.conv2_1 = conv(128, 128)
        self.conv3 = conv(128, 256, stride=2)
        self.conv3_1 = conv(256, 256)

    def pyramid(self, pair: Tensor) -> Pyramid:
        """Estimate the flow pyramid from normalised frames (B, 6, H, W), target first; sides multiples of 64."""
        half = self.conv1_1(self.conv1(self.conv0(pair)))
        quarter = self.conv2_1(self.conv2(half))
        return self.finish(quarter, self.conv3_1(self.conv3(quarter)))


class FlowNetFusion(nn.Module):
    """FlowNetFusion: one flow at full size from two candidates and how well each explains the frame (0.6 M)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = conv(11, 64)
        self.conv1 = conv(64, 64, stride=2)
        self.conv1_1 = conv(64, 128)
        self.conv2 = conv(128, 128, stride=2)
        self.conv2_1 = conv(128, 128)
        self.deconv1 = deconv(128, 32)
        self.deconv0 = deconv(162, 16)
        self.inter_conv1 = plain_conv(162, 32)
        self.inter_conv0 = plain_conv(82, 16)
        self.predict_flow2 = predict_flow(128)
        self.predict_flow1 = predict_flow(32)
        self.predict_flow0 = predict_flow(16)
        self.upsampled_flow2_to_1 = upsample_flow()
        self.upsampled_flow1_to_0 = upsample_flow()

    def forward(self, stack: Tensor) -> Tensor:
        """Fuse the stack (B, 11, H, W), sides multiples of 4, into a flow (B, 2, H, W) in pixels."""
        full = self.conv0(stack)
        half = self.conv1_1(self.conv1(full))
        quarter = self.conv2_1(self.conv2(half))
        flow2 = self.predict_flow2(quarter)
        joined1 = torch.cat((half, self.deconv1(quarter), self.upsampled_flow2_to_1(flow2)), dim=1)
        flow1 = self.predict_flow1(self.inter_conv1(joined1))
        joined0 = torch.cat((full, self.deconv0(joined1), self.upsampled_flow1_to_0(flow1)), dim=1)
        flow0: Tensor = self.predict_flow0(self.inter_conv0(joined0))
        return flow0
