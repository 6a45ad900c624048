"""What the cells of a memory hold for each object, and its average under given weights.

An object covers few cells. Outside training only those are looked at: their weights are picked out and multiplied in
blocks, all objects at once, so that the cost follows the cells that hold something and not the number of objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

BLOCK = 32  # cells multiplied together; each object's are filled up to a multiple of it
FULL = 0.2  # share of cells and objects from which picking costs more than multiplying everything


class MemoryValues(Protocol):
    """Values of N objects, V each, in M cells."""

    def average(self, weights: Tensor) -> Tensor:
        """(B, Q, M) float weights -> (B, N, V, Q) float, the sum over the cells of weight times value."""
        ...


def lay_out(values: Sequence[Tensor]) -> MemoryValues:
    """Lay out what frames hold, in the way that is cheapest to average.

    Args:
        values: of each frame (B, N, V, h, w), float or uint8 in 255ths, not negative; M counts the cells of all.
    """
    flat = _together(values)
    if len(flat) == 1 and not torch.is_grad_enabled():
        occupied = flat[0].amax(1) > 0
        object_of, cell = occupied.nonzero(as_tuple=True)
        if len(cell) < FULL * occupied.numel():
            return _blocks(flat[0], occupied.sum(1), object_of, cell)
    return DenseValues(fractions(flat))


def _together(values: Sequence[Tensor]) -> Tensor:
    """(B, N, V, M), as they are."""
    return torch.cat([value.flatten(3) for value in values], 3)


def fractions(value: Tensor) -> Tensor:
    """Values as float; bytes are 255ths."""
    return value.float() / 255 if value.dtype == torch.uint8 else value.float()


@dataclass(frozen=True)
class DenseValues:
    """All objects in all cells.

    Attributes:
        values: (B, N, V, M) float.
    """

    values: Tensor

    @classmethod
    def of(cls, values: Sequence[Tensor]) -> DenseValues:
        """Lay values out densely; arguments as for `lay_out`."""
        return cls(fractions(_together(values)))

    def average(self, weights: Tensor) -> Tensor:
        """See `MemoryValues.average`."""
        batch, objects, channels, _ = self.values.shape
        average = self.values.flatten(1, 2) @ weights.transpose(1, 2)
        return average.reshape(batch, objects, channels, -1)


@dataclass(frozen=True)
class BlockValues:
    """For one clip, only the cells in which an object has something, in K blocks that belong to one object each.

    Attributes:
        cells: (K * BLOCK,) int64, which column of the weights; any where a block is only filled up.
        values: (K, BLOCK, V) float, 0 where a block is only filled up.
        owner: (N, K) float, 1 where the block is of the object.
    """

    cells: Tensor
    values: Tensor
    owner: Tensor

    def average(self, weights: Tensor) -> Tensor:
        """See `MemoryValues.average`."""
        count, queries = self.owner.shape[1], weights.shape[1]
        picked = weights[0].index_select(1, self.cells).view(queries, count, BLOCK).transpose(0, 1)
        parts = torch.bmm(picked, self.values)  # (K, Q, V)
        # Not index_add: on a GPU it would add in another order each time.
        total = (self.owner @ parts.flatten(1)).view(len(self.owner), queries, parts.shape[2])
        return total.transpose(1, 2)[None]


def _blocks(values: Tensor, count: Tensor, object_of: Tensor, cell: Tensor) -> BlockValues:
    """Lay out (N, V, M) values in blocks.

    Args:
        values: as they are held.
        count: (N,) how many cells each object has something in.
        object_of: (T,) int64 ascending, the objects of these cells.
        cell: (T,) int64, the cells.
    """
    blocks = (count + BLOCK - 1) // BLOCK
    slots = torch.arange(len(count), device=cell.device)
    owner = torch.repeat_interleave(slots, blocks)
    rank = torch.arange(len(cell), device=cell.device) - (count.cumsum(0) - count)[object_of]
    place = (blocks.cumsum(0) - blocks)[object_of] * BLOCK + rank
    cells = cell.new_zeros(len(owner) * BLOCK).scatter(0, place, cell)
    held = values.new_zeros(len(cells), values.shape[1], dtype=torch.float32)
    held[place] = fractions(values[object_of, :, cell])
    return BlockValues(cells, held.view(len(owner), BLOCK, values.shape[1]), (slots[:, None] == owner).float())
