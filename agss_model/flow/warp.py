"""Differentiable backward warping: fetch what frame t-1 showed at the place each pixel of frame t came from.

Border rule of the default mode. A pixel is a square of side one around its centre, so the frame reaches half a pixel
beyond the outermost centres. A position up to half a pixel beyond them still lies on the frame and takes the border
pixel's value; from there the value falls linearly and is 0 at one pixel, where nothing of the frame is left. Plain zero
padding starts to fall at the centre itself, so a mask that touches the border loses a part of its outermost row at
every sub-pixel motion, frame after frame. At whole-pixel positions both rules agree, and both are continuous in the
flow.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from agss_model.errors import ConfigError


def warp(image: Tensor, flow: Tensor, published_grid: bool = False) -> Tensor:
    """Sample an image at the positions a backward flow points to, bilinearly, with zeros outside the frame.

    Gradients reach both the image and the flow.

    Args:
        image: (B, C, H, W) floating point, any range: masks or colours of frame t-1.
        flow: (B, 2, H, W) in pixels, x then y, of the same type; a batch of one serves every image of the batch.
        published_grid: reproduce the authors' sampling grid, which shrinks positions towards the first row and column
            by (W - 1) / W and (H - 1) / H, with plain zero padding. Only for equality with their numbers.

    Returns:
        (B, C, H, W), the image as seen from frame t. A zero flow returns the image itself, a whole-pixel flow moves it
        without any rounding (both in the default mode only).

    Raises:
        ConfigError: the shapes do not fit each other.
    """
    _check(image, flow)
    # Images that share one flow become channels of one image: their sampling positions are worked out once.
    stacked = image.flatten(0, 1)[None] if len(flow) == 1 else image
    warped = _warp_published(stacked, flow) if published_grid else _warp(stacked, flow)
    return warped.view_as(image)


def _check(image: Tensor, flow: Tensor) -> None:
    fits = (
        image.ndim == 4
        and flow.ndim == 4
        and flow.shape[1] == 2
        and flow.shape[0] in (1, image.shape[0])
        and flow.shape[2:] == image.shape[2:]
    )
    if not fits:
        raise ConfigError(
            f"Warping needs an image (B, C, H, W) and a flow (B, 2, H, W) or (1, 2, H, W), "
            f"got {tuple(image.shape)} and {tuple(flow.shape)}."
        )


def _warp(image: Tensor, flow: Tensor) -> Tensor:
    """Sample at pixel centres with the border rule of this module.

    `grid_sample` wants positions in [-1, 1], and scaling to there and back rounds them: a mask of 854 columns would not
    come back unchanged from a zero flow. With a power of two as the size that scaling is exact, hence the padding.
    """
    height, width = image.shape[2:]
    x, inside_x = _positions(flow[:, 0], _ramp(flow, width).view(1, 1, -1), width)
    y, inside_y = _positions(flow[:, 1], _ramp(flow, height).view(1, -1, 1), height)
    wide, high = _power_of_two(width), _power_of_two(height)
    padded = functional.pad(image, [0, wide - width, 0, high - height])
    grid = torch.stack(((2 * x + 1) / wide - 1, (2 * y + 1) / high - 1), dim=-1)
    sampled = functional.grid_sample(padded, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled * (inside_x * inside_y)[:, None]


def _ramp(flow: Tensor, length: int) -> Tensor:
    return torch.arange(length, device=flow.device, dtype=flow.dtype)


def _power_of_two(length: int) -> int:
    return 1 << (length - 1).bit_length()


def _positions(shift: Tensor, centres: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Find where to sample along one axis, and how much of the frame is left there.

    Args:
        shift: (B, H, W) flow along this axis, in pixels.
        centres: the unshifted positions along this axis, ready to broadcast with `shift`.
        length: number of pixels along this axis.

    Returns:
        Positions (B, H, W) moved into [0, length - 1], and weights (B, H, W) in [0, 1].
    """
    position = centres + shift
    last = length - 1
    beyond = torch.maximum(-position, position - last)
    # Not a clamp, which lets the gradient at the last centre itself through: it would see the padding.
    inside = torch.where(position < last, position.clamp(min=0), last)
    return inside, (2 - 2 * beyond).clamp(0, 1)


def _warp_published(image: Tensor, flow: Tensor) -> Tensor:
    """Sample on the authors' grid: pixel x at (x - W/2) / (W/2), read with -1 and 1 as the outermost pixel centres."""
    height, width = image.shape[2:]
    x = _ramp(flow, width).view(1, 1, -1) + flow[:, 0]
    y = _ramp(flow, height).view(1, -1, 1) + flow[:, 1]
    grid = torch.stack(((x - width / 2) / (width / 2), (y - height / 2) / (height / 2)), dim=-1)
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
