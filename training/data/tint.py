"""A clip in other light, so that no colour is learned by heart."""

from __future__ import annotations

import torch
from torch import Tensor


def tint(pictures: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """A clip in another light and in other colours, the same in all of its frames.

    Args:
        pictures: (..., 3, H, W) float32 in [0, 1].
        strength: standard deviation of the logarithms of gamma, and of each colour's gain.
        rng: random numbers, on the CPU.

    Returns:
        The same shape, in [0, 1].
    """
    if strength <= 0:
        return pictures
    gamma, *gains = (torch.randn(4, generator=rng) * strength).clamp(-2 * strength, 2 * strength).exp().tolist()
    gain = torch.tensor(gains, device=pictures.device)[:, None, None]
    return (pictures.pow(gamma) * gain).clamp(0, 1)
