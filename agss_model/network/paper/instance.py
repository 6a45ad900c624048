"""Instance-specific module: how each object looks and where it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from agss_model.network.paper.encoder import Encoder


def resize_masks(masks: Tensor, size: Sequence[int]) -> Tensor:
    """Masks at the size of a feature, corners on corners as published.

    Args:
        masks: (B, K, H, W) float in [0, 1].
        size: (h, w).

    Returns:
        (B * K, 1, h, w) float in [0, 1].
    """
    flat = masks.flatten(0, 1).unsqueeze(1)
    return functional.interpolate(flat, size=tuple(size), mode="bilinear", align_corners=True)


class InstanceFeatures(NamedTuple):
    """Features of M objects.

    Attributes:
        visual: (M, 256, H/4, W/4).
        attention: (M, 256, H/8, W/8), any sign: nothing bounds the last convolution.
    """

    visual: Tensor
    attention: Tensor


class InstanceModule(nn.Module):
    """First stage of the encoder under the object's own mask, and the attention generator on top of it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.Conv2d(257, 256, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, stride=2, padding=1),
        )

    def forward(self, encoder: Encoder, shared: Tensor, masks: Tensor) -> InstanceFeatures:
        """Look at every object.

        Args:
            encoder: the network's encoder; its stem and first stage are shared with the agnostic pass.
            shared: (B, 64, H/2, W/2), what `Encoder.look` returned for the target.
            masks: (B, K, H, W) float in [0, 1], warped to the target.
        """
        visual = encoder.visual(shared, masks)
        return self.attend(visual, resize_masks(masks, visual.shape[-2:]))

    def attend(self, visual: Tensor, place: Tensor) -> InstanceFeatures:
        """From (M, 256, H/4, W/4) visual features and the (M, 1, H/4, W/4) masks."""
        return InstanceFeatures(visual, self.attention(torch.cat([visual, place], 1)))
