"""FlowNet2-C and the full FlowNet2 stack in plain PyTorch, trainable end to end.

Both follow the protocol `FlowEstimator`, and their state dicts have the names and shapes of the checkpoints published
for flownet2-pytorch (no batch normalisation). FlowNet2-C is the flow network of the published AGSS-VOS code, FlowNet2
the one its paper names.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from agss_model.flow.flownet2_nets import FlowNetC, FlowNetFusion, FlowNetS, FlowNetSD, Pyramid
from agss_model.flow.flownet2_parts import channel_norm, resample
from agss_model.flow.motion import check_frames

DIV_FLOW: Final = 20.0
"""Pixels per unit of the networks' output."""
SIDE_STEP: Final = 64
"""The encoders halve six times, so sides must be multiples of this; other frames are padded."""


def normalise(target: Tensor, source: Tensor) -> Tensor:
    """Prepare a pair of frames as the published networks were fed.

    Channels in BGR order, and from each the mean over all pixels of both frames subtracted. The published code works on
    0..255 and divides by 255 afterwards, which is the same thing. Sides that are no multiple of 64 are padded at the
    right and at the bottom by repeating the border, after the mean was taken; sides that are stay as they are.

    Args:
        target: (B, 3, H, W) float32 RGB in [0, 1], frame t.
        source: (B, 3, H, W) float32 RGB in [0, 1], frame t-1.

    Returns:
        (B, 6, H', W'): target, then source; H' and W' are H and W rounded up to multiples of 64.

    Raises:
        ConfigError: the frames are not two RGB batches of one shape.
    """
    check_frames(target, source)
    frames = torch.stack((target, source), dim=1).flip(2)
    centred = (frames - frames.mean(dim=(1, 3, 4), keepdim=True)).flatten(1, 2)
    height, width = target.shape[2:]
    padding = [0, -width % SIDE_STEP, 0, -height % SIDE_STEP]
    return functional.pad(centred, padding, mode="replicate") if any(padding) else centred


def _enlarge(flow: Tensor) -> Tensor:
    return functional.interpolate(flow, scale_factor=4.0, mode="bilinear", align_corners=False)


class FlowNet2C(FlowNetC):
    """FlowNetC as a flow estimator, the network of the published AGSS-VOS code (39,175,298 parameters)."""

    def pyramid_between(self, target: Tensor, source: Tensor) -> Pyramid:
        """Estimate the flow at five scales, for a multi-scale loss in training.

        Args:
            target: (B, 3, H, W) float32 RGB in [0, 1], frame t.
            source: (B, 3, H, W) float32 RGB in [0, 1], frame t-1.

        Returns:
            Flows from 1/4 to 1/64 of the padded frame, finest first, in units of `DIV_FLOW` full-size pixels.

        Raises:
            ConfigError: the frames are not two RGB batches of one shape.
        """
        return self.pyramid(normalise(target, source))

    def forward(self, target: Tensor, source: Tensor) -> Tensor:
        """Estimate the flow from `target` to `source`; shapes, ranges and errors as in `FlowEstimator`."""
        height, width = target.shape[-2:]
        flow = _enlarge(self.pyramid_between(target, source)[0] * DIV_FLOW)
        return flow[..., :height, :width]


class FlowNet2(nn.Module):
    """The full FlowNet2 stack (162,518,834 parameters): C, two refining S, SD for small motion, fusion."""

    def __init__(self) -> None:
        super().__init__()
        self.flownetc = FlowNetC()
        self.flownets_1 = FlowNetS()
        self.flownets_2 = FlowNetS()
        self.flownets_d = FlowNetSD()
        self.flownetfusion = FlowNetFusion()

    def forward(self, target: Tensor, source: Tensor) -> Tensor:
        """Estimate the flow from `target` to `source`; shapes, ranges and errors as in `FlowEstimator`."""
        height, width = target.shape[-2:]
        pair = normalise(target, source)
        coarse = _enlarge(self.flownetc.pyramid(pair)[0] * DIV_FLOW)
        refined = _enlarge(self.flownets_1.pyramid(self._evidence(pair, coarse))[0] * DIV_FLOW)
        large = self.flownets_2.pyramid(self._evidence(pair, refined))[0] * DIV_FLOW
        # The published stack feeds SD's output divided, not multiplied, by 20, and enlarges both by repetition.
        small = self.flownets_d.pyramid(pair)[0] / DIV_FLOW
        flow: Tensor = self.flownetfusion(self._candidates(pair, *(_repeat(flow) for flow in (small, large))))
        return flow[..., :height, :width]

    @staticmethod
    def _evidence(pair: Tensor, flow: Tensor) -> Tensor:
        """Stack what a refining network sees: frames, warped source, flow, and how far off it is, (B, 12, H, W)."""
        warped = resample(pair[:, 3:], flow)
        error = channel_norm(pair[:, :3] - warped)
        return torch.cat((pair, warped, flow / DIV_FLOW, error), dim=1)

    @staticmethod
    def _candidates(pair: Tensor, small: Tensor, large: Tensor) -> Tensor:
        """Stack what the fusion sees: target, both flows, their lengths and their errors, (B, 11, H, W)."""
        target, source = pair[:, :3], pair[:, 3:]
        flows = (small, large)
        lengths = [channel_norm(flow) for flow in flows]
        errors = [channel_norm(target - resample(source, flow)) for flow in flows]
        return torch.cat((target, *flows, *lengths, *errors), dim=1)


def _repeat(flow: Tensor) -> Tensor:
    return functional.interpolate(flow, scale_factor=4.0, mode="nearest")
