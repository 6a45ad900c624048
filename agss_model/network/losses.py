"""Losses over normalised probabilities."""

from __future__ import annotations

import torch
from torch import Tensor

from agss_model.network.equations import with_background

LEAST = 1e-5  # probability that a divergence reckons with, so that being sure costs no more than eleven nats


def soft_iou(probabilities: Tensor, truth: Tensor) -> Tensor:
    """Intersection over union of soft masks: sum of minima over sum of maxima.

    Args:
        probabilities: (B, N, H, W) float in [0, 1].
        truth: (B, N, H, W) float in [0, 1].

    Returns:
        (B, N) float in [0, 1]; 1 where both are empty.
    """
    intersection = torch.minimum(probabilities, truth).sum((-2, -1))
    union = torch.maximum(probabilities, truth).sum((-2, -1))
    return torch.where(union > 0, intersection / union.clamp_min(1e-6), torch.ones_like(union))


def iou_loss(probabilities: Tensor, truth: Tensor, valid: Tensor | None = None) -> Tensor:
    """Instance IoU loss (equation 7): one minus the mean soft IoU over the objects.

    Args:
        probabilities: (B, N, H, W) float in [0, 1], normalised over the objects.
        truth: (B, N, H, W) float in [0, 1].
        valid: (B, N) bool, False for padding that must not count; None counts all.

    Returns:
        Scalar in [0, 1]; 0 when no object counts.
    """
    iou = soft_iou(probabilities, truth)
    if valid is None:
        return 1 - iou.mean()
    weight = valid.to(iou.dtype)
    return ((1 - iou) * weight).sum() / weight.sum().clamp_min(1)


def divergence(probabilities: Tensor, wanted: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence from wanted to given probabilities, over all pixels, background included.

    Args:
        probabilities: (B, N, H, W) float in [0, 1], normalised over the objects.
        wanted: likewise.

    Returns:
        Scalar, at least 0, in nats; 0 where both agree.
    """
    given, wanted = (with_background(p).clamp_min(LEAST) for p in (probabilities, wanted))
    return (wanted * (wanted.log() - given.log())).sum(1).mean()
