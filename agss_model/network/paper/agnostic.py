"""Instance-agnostic module: what reference and target say about all objects together."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import relu

from agss_model.network.paper.encoder import Encoder

WIDTH = 256  # channels of every decoder feature


def conv3(channels: int, outputs: int = WIDTH) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size."""
    return nn.Conv2d(channels, outputs, 3, padding=1)


class GlobalConvolution(nn.Module):
    """A 7x7 neighbourhood seen through two separable branches."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_l1 = nn.Conv2d(channels, WIDTH, (7, 1), padding=(3, 0))
        self.conv_l2 = nn.Conv2d(WIDTH, WIDTH, (1, 7), padding=(0, 3))
        self.conv_r1 = nn.Conv2d(channels, WIDTH, (1, 7), padding=(0, 3))
        self.conv_r2 = nn.Conv2d(WIDTH, WIDTH, (7, 1), padding=(3, 0))

    def forward(self, x: Tensor) -> Tensor:
        """(M, C, h, w) -> (M, 256, h, w)."""
        out: Tensor = self.conv_l2(self.conv_l1(x)) + self.conv_r2(self.conv_r1(x))
        return out


class Refinement(nn.Module):
    """Merges a feature of the encoder with the coarser feature of the decoder."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convFS1 = conv3(channels)
        self.convFS2 = conv3(WIDTH)
        self.convFS3 = conv3(WIDTH)
        self.convMM1 = conv3(WIDTH)
        self.convMM2 = conv3(WIDTH)

    def forward(self, skip: Tensor, coarse: Tensor) -> Tensor:
        """(M, C, h, w) and (M, 256, h/2, w/2) -> (M, 256, h, w)."""
        s = self.convFS1(skip)
        s = s + self.convFS3(relu(self.convFS2(relu(s))))
        # By size, not by factor: nothing changes where the sizes agree already, as published.
        m = s + functional.interpolate(coarse, size=s.shape[-2:], mode="bilinear", align_corners=False)
        out: Tensor = m + self.convMM2(relu(self.convMM1(relu(m))))
        return out


class AgnosticFeatures(NamedTuple):
    """What the pass over all objects leaves for the single ones.

    Attributes:
        feature: (B, 256, H/8, W/8), the shared feature of equation 3.
        visual: (B, 256, H/4, W/4), the target's first stage under the mask of that pass.
    """

    feature: Tensor
    visual: Tensor


class AgnosticModule(nn.Module):
    """Compares target and reference at 1/32 and refines the result to 1/8."""

    def __init__(self) -> None:
        super().__init__()
        self.GC = GlobalConvolution(2 * 2048)
        self.convG1 = conv3(WIDTH)
        self.convG2 = conv3(WIDTH)
        self.RF4 = Refinement(1024)
        self.RF3 = Refinement(512)

    def forward(self, encoder: Encoder, shared: Tensor, mask: Tensor, reference: Tensor) -> AgnosticFeatures:
        """Encode the target under one mask and compare it with the reference.

        Args:
            encoder: the network's encoder; it belongs to the network, not to this module.
            shared: (B, 64, H/2, W/2), what `Encoder.look` returned for the target.
            mask: (B, 1, H, W) float in [0, 1].
            reference: (B, 2048, H/32, W/32), r5 of the reference frame.
        """
        target = encoder(shared, mask)
        x = self.GC(torch.cat([target.r5, reference], 1))
        x = x + self.convG2(relu(self.convG1(relu(x))))
        return AgnosticFeatures(self.RF3(target.r3, self.RF4(target.r4, x)), target.r2)
