"""What remembered frames show of objects, in a few numbers: look, size, place and shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from agss_model.network.base import Reference


@dataclass(frozen=True)
class Shown:
    """R frames and N objects; every tensor is float32. What not everybody asks for is worked out when it is asked for.

    Attributes:
        key: (R, K, Q) unit length, of the Q cells of each frame.
        share: (R, N, Q) in [0, 1], how much of each cell is the object's.
        known: (R, N) 1 where the frame says something of the object and shows it, else 0.
        area: (R, N) cells.
        place: (R, N, 2) centre, rows and columns of cells.
        spread: (R, N, 2) standard deviation of the object's cells around the centre, cells.
    """

    key: Tensor
    share: Tensor
    known: Tensor
    area: Tensor
    place: Tensor
    spread: Tensor

    @classmethod
    def of(cls, references: Sequence[Reference]) -> Shown:
        """Of one clip's references: at least one, all for the same objects, with keys."""
        key = torch.stack([r.key[0].float().flatten(1) for r in references])
        share = torch.stack([_shares(r.value[0]).flatten(1) for r in references])
        area, place, spread = moments(share, references[0].key.shape[-2:])
        known = torch.stack([r.known[0] for r in references]) & (area > 0)
        return cls(key, share, known.float(), area, place, spread)

    @cached_property
    def look(self) -> Tensor:
        """(R, N, K) unit length, the mean key of the object's cells."""
        return F.normalize(self.share @ self.key.transpose(1, 2), dim=2)

    @cached_property
    def surround(self) -> Tensor:
        """(R, K) unit length, the mean key of the cells of no object."""
        free = (1 - self.share.sum(1)).clamp(0, 1)
        return F.normalize((self.key @ free[:, :, None])[:, :, 0], dim=1)

    @cached_property
    def fringe(self) -> Tensor:
        """(R, N) in [0, 1], see `fringe`."""
        return fringe(self.share)


def _shares(value: Tensor) -> Tensor:
    """(N, V, h, w) of a reference -> (N, h, w) float in [0, 1], how much of each cell is the object's."""
    if value.dtype != torch.uint8:
        return value.float().mean(1)
    return value.sum(1, dtype=torch.int32) / (255 * value.shape[1])


def fringe(share: Tensor) -> Tensor:
    """How thin or ragged objects are for the cells they are seen in: the share that lies in cells half their own.

    Args:
        share: (..., h * w) float in [0, 1].

    Returns:
        (...,) in [0, 1].
    """
    return (share * (1 - share)).sum(-1) / share.sum(-1).clamp_min(0.1)


def moments(share: Tensor, size: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Area, centre and standard deviation of what covers cells.

    Args:
        share: (..., h * w) float in [0, 1].
        size: (h, w).

    Returns:
        (...,) cells, (..., 2) and (..., 2) in cells, rows before columns.
    """
    rows = torch.arange(size[0], device=share.device, dtype=torch.float32).repeat_interleave(size[1])
    columns = torch.arange(size[1], device=share.device, dtype=torch.float32).repeat(size[0])
    powers = torch.stack([torch.ones_like(rows), rows, columns, rows.square(), columns.square()], 1)
    sums = share @ powers
    area, means = sums[..., 0], sums[..., 1:] / sums[..., :1].clamp_min(1e-3)
    place = means[..., :2]
    variance = (means[..., 2:] - place.square()).clamp_min(0) + 1 / 12  # a cell is no point
    return area, place, variance.sqrt()
