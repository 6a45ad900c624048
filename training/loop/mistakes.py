"""Masks of the frame before that are wrong as tracking makes them wrong, so that a network learns to mend them.

Clips of a few easy frames hardly ever go wrong by themselves, and then carrying the mask on is all there is to learn.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

GROWN = (5, 9, 13)
"""Sides of the square that a mask is widened by, in pixels of the carried masks."""
SHIFT = 0.3
"""Largest displacement, in the root of the mask's area."""


def mistaken(masks: Tensor, earlier: Sequence[Tensor], share: float, rng: torch.Generator) -> Tensor:
    """Some objects' masks made wrong, each in one of five ways: moved, grown into others, cut, old, or another's.

    Args:
        masks: (B, N, h, w) float in [0, 1], at most 1 in all at a pixel.
        earlier: the same of frames before, oldest first; may be empty.
        share: probability for each object.
        rng: random numbers, on the CPU.

    Returns:
        (B, N, h, w) like `masks`; what an object takes, the others lose.
    """
    batch, objects = masks.shape[:2]
    chosen = torch.rand(batch, objects, generator=rng) < share
    if not chosen.any():
        return masks
    kinds = torch.randint(5, (batch, objects), generator=rng)
    wrong = masks.clone()
    taken = torch.zeros_like(masks[:, 0])
    for b, n in chosen.nonzero().tolist():
        other = int(torch.randint(objects, (1,), generator=rng))
        past = earlier[int(torch.randint(len(earlier), (1,), generator=rng))] if earlier else masks
        wrong[b, n] = _wrong(masks[b], n, int(kinds[b, n]), masks[b, other], past[b, n], rng)
        taken[b] = torch.maximum(taken[b], wrong[b, n])
    keep = chosen.to(masks.device)[:, :, None, None]
    together = torch.where(keep, wrong, masks * (1 - taken[:, None]))
    return together / together.sum(1, keepdim=True).clamp_min(1)


def _wrong(masks: Tensor, n: int, kind: int, other: Tensor, past: Tensor, rng: torch.Generator) -> Tensor:
    """(h, w) of object n out of (N, h, w)."""
    mask = masks[n]
    if kind == 0:
        reach = SHIFT * float(mask.sum().sqrt())
        down, right = ((torch.rand(2, generator=rng) * 2 - 1) * reach).round().int().tolist()
        return torch.roll(mask, (down, right), (0, 1))
    if kind == 1:
        side = GROWN[int(torch.randint(len(GROWN), (1,), generator=rng))]
        return F.max_pool2d(mask[None, None], side, 1, side // 2)[0, 0]
    if kind == 2:
        return mask * _half(mask, rng)
    return past if kind == 3 else torch.maximum(mask * float(torch.rand(1, generator=rng) < 0.5), other)


def _half(mask: Tensor, rng: torch.Generator) -> Tensor:
    """(h, w) of 0 and 1: one side of a line through the mask's middle."""
    height, width = mask.shape
    y, x = torch.arange(height, device=mask.device).float(), torch.arange(width, device=mask.device).float()
    total = mask.sum().clamp_min(1e-6)
    middle_y, middle_x = (mask.sum(1) * y).sum() / total, (mask.sum(0) * x).sum() / total
    angle = torch.rand(1, generator=rng) * 2 * torch.pi
    down, right = float(torch.sin(angle)), float(torch.cos(angle))
    return ((y - middle_y)[:, None] * down + (x - middle_x)[None] * right > 0).float()
