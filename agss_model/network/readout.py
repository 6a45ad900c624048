"""From scores to what is read: softmax over the memory's cells, and the average of what they hold for each object.

An object covers few cells. Outside training only those are looked at: their weights are picked out and multiplied in
blocks, all objects at once, so that the cost follows the cells that hold something and not the number of objects.

With a cut-off about five cells in four thousand have a say in a target cell. `SparseReadout` looks for these and sums
up no others; `DenseReadout` multiplies everything out, which can be differentiated, and never asks a GPU how many
there are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from agss_model.network.base import Reference

OUTSIDE = -1e4  # score outside of a window or below the cut-off: no weight is left after the softmax
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


@dataclass(frozen=True)
class AttentionOutput:
    """What Q target cells read from R references.

    Attributes:
        match: (B, Q) best score.
        value: (B, N, V, Q) sum of weight times value.
        weight: (B, R, Q) sum of the weights in each reference; they add up to 1.
    """

    match: Tensor
    value: Tensor
    weight: Tensor


class Readout(ABC):
    """Takes scores a few target cells at a time.

    Args:
        references: R frames with M cells in all.
        cutoff: cells take part whose weight is at least exp(-cutoff) of the best one's, 0 for all.
    """

    def __init__(self, references: Sequence[Reference], cutoff: float) -> None:
        self._values = [reference.value for reference in references]
        self._counts = [value.shape[-2] * value.shape[-1] for value in self._values]
        self._cutoff = cutoff

    @abstractmethod
    def take(self, scores: Tensor) -> None:
        """(B, q, M) scores of the next target cells; they may be overwritten."""

    @abstractmethod
    def found(self) -> AttentionOutput:
        """What all target cells taken so far read, in their order."""


def readout(query: Tensor, references: Sequence[Reference], cutoff: float) -> Readout:
    """The cheapest way for this query, arguments as for `agss_model.network.attention.read`."""
    few = cutoff and len(query) == 1 and query.device.type == "cpu" and not torch.is_grad_enabled()
    return (SparseReadout if few else DenseReadout)(references, cutoff)


class DenseReadout(Readout):
    """Every cell, of any number of clips, with gradients."""

    def __init__(self, references: Sequence[Reference], cutoff: float) -> None:
        super().__init__(references, cutoff)
        self._held = lay_out(self._values)
        self._parts: list[tuple[Tensor, Tensor, Tensor]] = []

    def take(self, scores: Tensor) -> None:
        """See `Readout.take`."""
        best = scores.amax(2)
        if self._cutoff:
            scores = F.threshold(scores - best[:, :, None], -self._cutoff, OUTSIDE, inplace=True)
        weights = torch.softmax(scores, 2)
        shares = torch.stack([part.sum(2) for part in torch.split(weights, self._counts, 2)], 1)
        self._parts.append((best, self._held.average(weights), shares))

    def found(self) -> AttentionOutput:
        """See `Readout.found`."""
        match, value, weight = (torch.cat(part, -1) for part in zip(*self._parts, strict=True))
        return AttentionOutput(match, value, weight)


class SparseReadout(Readout):
    """Only the cells within the cut-off, of one clip, on a CPU, without gradients.

    numpy finds them: a comparison and a search through scores take it a fifth of torch's time.
    """

    def __init__(self, references: Sequence[Reference], cutoff: float) -> None:
        super().__init__(references, cutoff)
        self._best: list[Tensor] = []
        self._rows: list[npt.NDArray[np.int64]] = []
        self._cells: list[npt.NDArray[np.int64]] = []
        self._scores: list[npt.NDArray[np.float32]] = []

    def take(self, scores: Tensor) -> None:
        """See `Readout.take`."""
        best = scores.amax(2)[0]
        array = scores[0].numpy()
        places = np.flatnonzero(array >= (best - self._cutoff).numpy()[:, None])
        rows, cells = np.divmod(places, array.shape[1])
        self._rows.append(rows + sum(map(len, self._best)))
        self._cells.append(cells)
        self._scores.append(array.reshape(-1)[places] - best.numpy()[rows])
        self._best.append(best)

    def found(self) -> AttentionOutput:
        """See `Readout.found`."""
        best = torch.cat(self._best)
        rows, cells = np.concatenate(self._rows), np.concatenate(self._cells)
        weights = np.exp(np.concatenate(self._scores))
        weights /= np.bincount(rows, weights, len(best)).astype(np.float32)[rows]
        counts = np.bincount(rows, minlength=len(best))
        held = torch.cat([value[0].flatten(2).permute(2, 0, 1).flatten(1) for value in self._values])  # (M, N * V)
        value = F.embedding_bag(
            torch.from_numpy(cells),
            fractions(held),
            torch.from_numpy(counts.cumsum() - counts),
            mode="sum",
            per_sample_weights=torch.from_numpy(weights),
        )
        owner = np.searchsorted(list(accumulate(self._counts)), cells, side="right")
        shares = np.bincount(owner * len(best) + rows, weights, len(self._counts) * len(best)).astype(np.float32)
        objects, channels = self._values[0].shape[1:3]
        return AttentionOutput(
            best[None],
            value.t().reshape(1, objects, channels, -1),
            torch.from_numpy(shares).reshape(1, len(self._counts), -1),
        )
