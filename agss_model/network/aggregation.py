"""Equations 1, 2, 4, 5 and 6: from single objects to one picture in which they compete."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-7


def union(masks: Tensor) -> Tensor:
    """Instance-agnostic mask: the maximum over the objects (equations 1 and 2).

    Args:
        masks: (B, N, H, W) float in [0, 1].

    Returns:
        (B, 1, H, W) float in [0, 1].
    """
    return masks.amax(dim=1, keepdim=True)


def normalise(foreground: Tensor) -> Tensor:
    """Probabilities after all objects and the background competed (equations 4 and 5).

    Probabilities are clamped to [1e-7, 1 - 1e-7] before the odds, as in the published code.

    Args:
        foreground: (B, N, H, W) float32 in [0, 1], each object predicted on its own.

    Returns:
        (B, N, H, W) float32 in (0, 1); objects only. Their sum is below 1, the rest is background.
    """
    background = 1 - union(foreground)
    every = torch.cat([background, foreground], 1).clamp(EPSILON, 1 - EPSILON)
    odds = every / (1 - every)
    return (odds / odds.sum(1, keepdim=True))[:, 1:]


def normalise_logits(logits: Tensor, valid: Tensor | None = None) -> Tensor:
    """`normalise` for sigmoid logits, without leaving log space: odds are exp(logit), the background's exp(-max).

    Args:
        logits: (B, N, H, W) float.
        valid: (B, N) bool, False for padding; padded objects get probability 0 and take none from others.

    Returns:
        (B, N, H, W) float in [0, 1].
    """
    bound = 16.118095  # logit of 1 - 1e-7: the clamp of `normalise`
    logits = logits.clamp(-bound, bound)
    if valid is not None:
        logits = logits.masked_fill(~valid[:, :, None, None], float("-inf"))
    background = -logits.amax(1, keepdim=True)
    if valid is not None:
        background = background.clamp(-bound, bound)  # no valid object at all: -(-inf)
    return torch.softmax(torch.cat([background, logits], 1), 1)[:, 1:]


def labels(probabilities: Tensor) -> Tensor:
    """The strongest of background and objects at every pixel (equation 6).

    Args:
        probabilities: (B, N, H, W) float in [0, 1], normalised.

    Returns:
        (B, H, W) int64, 0 for background and k + 1 for object k.
    """
    return with_background(probabilities).argmax(1)


def with_background(probabilities: Tensor) -> Tensor:
    """(B, N, H, W) normalised probabilities of objects -> (B, N + 1, H, W), the background's first."""
    return torch.cat([1 - probabilities.sum(1, keepdim=True), probabilities], 1)


def upsample(probabilities: Tensor, size: tuple[int, int], normalised: bool = True) -> Tensor:
    """Enlarge probabilities in log space, so that a boundary falls between the pixels where the odds say it does.

    With equation 4 the logarithms of background and objects are enlarged together and renormalised, which equals
    enlarging the logits before the normalisation but for the background's maximum.

    Args:
        probabilities: (B, N, h, w) float in [0, 1].
        size: (H, W) of the result.
        normalised: False where objects do not compete; each is then enlarged on its own.

    Returns:
        (B, N, H, W) float32 in [0, 1].
    """
    p = probabilities.float()
    if not normalised:
        return _enlarge(p.clamp(EPSILON, 1 - EPSILON).logit(), size).sigmoid()
    every = with_background(p).clamp_min(EPSILON)
    return torch.softmax(_enlarge(every.log(), size), 1)[:, 1:]


def _enlarge(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
