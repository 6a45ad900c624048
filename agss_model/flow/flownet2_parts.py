"""The building blocks of FlowNet2: small layers, correlation, resampling and channel norm.

Layer names inside the blocks are those of the published FlowNet2 checkpoints, without batch normalisation.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE: Final = 0.1
"""Slope of every leaky ReLU in FlowNet2."""


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Build a convolution that keeps the size (over the stride), with leaky ReLU."""
    return nn.Sequential(*plain_conv(inputs, outputs, kernel, stride), nn.LeakyReLU(SLOPE))


def plain_conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Build a convolution that keeps the size (over the stride), without activation."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2))


def deconv(inputs: int, outputs: int) -> nn.Sequential:
    """Build a transposed convolution that doubles the size, with leaky ReLU."""
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(SLOPE))


def predict_flow(inputs: int) -> nn.Conv2d:
    """Build the convolution that reads a flow of two channels off features."""
    return nn.Conv2d(inputs, 2, 3, padding=1)


def upsample_flow(bias: bool = True) -> nn.ConvTranspose2d:
    """Build the learned doubling of a flow's size."""
    return nn.ConvTranspose2d(2, 2, 4, 2, 1, bias=bias)


def correlation(first: Tensor, second: Tensor, max_displacement: int = 20, stride: int = 2) -> Tensor:
    """Compare every position of one map with the positions around it in another (FlowNetC's correlation layer).

    For every displacement, one matrix product per row compares all columns with all columns, and the wanted diagonal
    is read off. That computes more than is kept, but needs no copy of the second map per displacement and keeps only
    the maps themselves for the backward pass.

    Args:
        first: (B, C, H, W) float features.
        second: (B, C, H, W) float features; zeros are assumed outside.
        max_displacement: largest shift in cells along each axis, a multiple of `stride`.
        stride: step between the shifts.

    Returns:
        (B, D * D, H, W) with D = 2 * max_displacement / stride + 1: the mean over channels of
        first(x, y) * second(x + dx, y + dy), dy in the outer order and dx in the inner one, both from the most
        negative.
    """
    batch, channels, height, width = first.shape
    shifts = range(0, 2 * max_displacement + 1, stride)
    padded = functional.pad(second, [max_displacement] * 4)
    rows = first.permute(0, 2, 3, 1) / channels
    columns = torch.arange(width, device=first.device)[:, None] + torch.tensor(shifts, device=first.device)
    index = columns.expand(batch, height, width, len(shifts))
    bands = [(rows @ padded[:, :, dy : dy + height].permute(0, 2, 1, 3)).gather(3, index) for dy in shifts]
    return torch.cat(bands, dim=3).permute(0, 3, 1, 2).contiguous()


def resample(image: Tensor, flow: Tensor) -> Tensor:
    """Warp an image backwards as FlowNet2 does inside: bilinear, positions outside moved to the border.

    Args:
        image: (B, C, H, W) float.
        flow: (B, 2, H, W) float in pixels, x then y.

    Returns:
        (B, C, H, W): image at (x + u, y + v). Differentiable in both.
    """
    height, width = image.shape[2:]
    x = torch.arange(width, device=flow.device, dtype=flow.dtype) + flow[:, 0]
    y = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None] + flow[:, 1]
    grid = torch.stack((2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1), dim=-1)
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=True)


def channel_norm(values: Tensor) -> Tensor:
    """Measure the Euclidean length over channels: (B, C, H, W) to (B, 1, H, W), with gradient 0 where it is 0."""
    length: Tensor = torch.linalg.vector_norm(values, dim=1, keepdim=True)
    return length
