"""Small blocks that the rooms of `lite` share."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    """Convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


def conv_to_one(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """`layer(x)` of a 3x3 convolution to one channel, in a quarter of the time on a CPU.

    A convolution computes sixteen channels at a time there. This takes the nine products of every pixel in one matrix
    product and lays them over each other.
    """
    products = layer.weight[0].flip(1, 2).flatten(1).t() @ x.flatten(2)  # (B, 9, H * W)
    out: Tensor = F.fold(products, (x.shape[2], x.shape[3]), 3, padding=1)
    return out if layer.bias is None else out + layer.bias[:, None, None]


class Residual(nn.Module):
    """x + conv(relu(conv(relu(x)))), the refinement of the paper without its widths."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = conv(channels, channels), conv(channels, channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, C, H, W) -> the same shape.

        Args:
            x: zero outside of the mask.
            mask: (B, 1, H, W) or (1, 1, H, W) of zeros and ones; both layers see zeros outside of it.
        """
        # In place where nothing else needs the map: on a CPU the layers of an object wait for memory.
        inner = self.first(F.relu(x))
        if mask is not None:
            inner *= mask
        y: Tensor = self.second(F.relu(inner, inplace=True))
        y += x
        return y


def upsample2(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2H, 2W), bilinear."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def upsample2_in_zeros(x: Tensor) -> Tensor:
    """`upsample2` of a map that goes on with zeros beyond its border."""
    return upsample2(F.pad(x, (1, 1, 1, 1)))[:, :, 2:-2, 2:-2]
