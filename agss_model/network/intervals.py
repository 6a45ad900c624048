"""Intervals of places in which something is."""

from __future__ import annotations

import torch
from torch import Tensor


def spans(occupied: Tensor, margin: Tensor | int) -> Tensor:
    """The interval that holds everything occupied, enlarged on both sides; nothing where nothing is occupied.

    Args:
        occupied: (M, L) bool.
        margin: int, or (M, 1) numbers, in places.

    Returns:
        (M, L) bool.
    """
    first, last = ends(occupied)
    position = torch.arange(occupied.shape[1], device=occupied.device)
    inside = (position >= first - margin) & (position <= last + margin)
    return inside & occupied.any(1, keepdim=True)


def ends(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """(M, L) bool -> two (M, 1) int64: the first and the last occupied place."""
    first = occupied.int().argmax(1, keepdim=True)
    last = occupied.shape[1] - 1 - occupied.flip(1).int().argmax(1, keepdim=True)
    return first, last
