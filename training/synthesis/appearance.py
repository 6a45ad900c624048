"""Appearance that drifts: light and colour that change over an object and over time.

Without it a pasted object looks the same for ever, and a network learns to trust the memory of its looks alone; then a
part that turns away and shows another side is dropped. With it the network must also follow the mask it carried.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.synthesis.trajectories import smooth

GRID = 4  # control points a side


def drift(pictures: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Multiply each layer by a smooth field that starts at 1 and wanders.

    Args:
        pictures: (L, T, 3, S, S) float32 in [0, 1].
        strength: largest standard deviation of the field's logarithm in the last frame; every layer draws its own.
        rng: random numbers, on the CPU.

    Returns:
        The same shape, in [0, 1].
    """
    layers, frames, _, height, width = pictures.shape
    if strength <= 0 or frames < 2:
        return pictures
    own = torch.rand(layers, 1, 1, generator=rng) * strength / (frames - 1)
    shared = smooth(rng, layers, frames, own, GRID * GRID)[:, :, None]  # light
    colour = smooth(rng, layers, frames, own * 0.5, 3 * GRID * GRID).reshape(layers, frames, 3, -1)
    field = (shared + colour).reshape(layers * frames, 3, GRID, GRID).to(pictures.device)
    coarse = (max(height // 8, GRID), max(width // 8, GRID))  # the field is smooth: few points are bent, all are filled
    field = F.interpolate(field, size=coarse, mode="bicubic", align_corners=True).clamp_(-1.2, 1.2).exp_()
    field = F.interpolate(field, size=(height, width), mode="bilinear", align_corners=True)
    return field.reshape(pictures.shape).mul_(pictures).clamp_(0, 1)


def turn(pictures: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Replace the surface of objects bit by bit, as when they turn and show another side.

    Args:
        pictures: (L, T, 3, H, W) float32 in [0, 1].
        others: the same shape, what comes into sight.
        rng: random numbers, on the CPU.

    Returns:
        (L, T, 3, H, W): `pictures` in the first frame; up to all of `others` in the last, the new part growing from
        one side or from spots.
    """
    layers, frames, _, height, width = pictures.shape
    late = torch.rand(layers, 1, GRID, GRID, generator=rng)
    late = F.interpolate(late, size=(height, width), mode="bicubic", align_corners=True)[:, None].to(pictures.device)
    reached = torch.linspace(0, 1, frames) * (0.3 + 0.9 * torch.rand(layers, 1, generator=rng))
    share = ((reached.to(pictures.device)[:, :, None, None, None] - late) * 6).clamp_(0, 1)
    share[:, 0] = 0
    return torch.lerp(pictures, others, share)
