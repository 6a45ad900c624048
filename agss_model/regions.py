"""What is counted on the small masks that the network carries, once a frame, and the intervals that they cover."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Regions:
    """The masks of N objects in one frame, at (h, w) as carried.

    Attributes:
        found: (N, h, w) float in [0, 1], the masks as far as the objects can be there.
        moved: (N, h, w) float in [0, 1], the masks of the frame before, aligned by flow.
        inside: (N, h, w) bool, above one half in `found`.
        area: (N,) int32, pixels inside.
        anywhere: (N,) int32, the same without asking whether the object can be there.
        before: (N,) int32, pixels above one half in `moved`.
        certainty: (N,) float in [-1, 1], how clearly the pixels inside were decided; -1 where there are none.
        agreement: (N,) float in [0, 1], soft IoU of `found` with `moved`.
    """

    found: Tensor
    moved: Tensor
    inside: Tensor
    area: Tensor
    anywhere: Tensor
    before: Tensor
    certainty: Tensor
    agreement: Tensor

    @classmethod
    def of(cls, masks: Tensor, within: Tensor, moved: Tensor) -> Regions:
        """Count what is on the masks of a frame.

        Args:
            masks: (N, h, w) float in [0, 1], what was found.
            within: (N, h, w) bool, where each object can be.
            moved: (N, h, w) float in [0, 1].
        """
        above = masks > 0.5
        inside = above & within
        found = masks * within
        area = count(inside)
        certainty = (found * inside).sum((-2, -1)) / area.clamp_min(1) * 2 - 1
        overlap = torch.minimum(found, moved).sum((-2, -1))
        union = found.sum((-2, -1)) + moved.sum((-2, -1)) - overlap
        agreement = torch.where(union > 0, overlap / union.clamp_min(1e-6), torch.ones_like(union))
        return cls(found, moved, inside, area, count(above), count(moved > 0.5), certainty, agreement)


def count(where: Tensor) -> Tensor:
    """(N, h, w) bool -> (N,) int32, how many are True; as bytes, which takes a third of the time."""
    return where.contiguous().view(torch.uint8).sum((-2, -1), dtype=torch.int32)


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
