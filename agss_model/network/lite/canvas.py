"""Where each object is computed, and all of these places side by side on one canvas.

An object's own layers see its *support*: the box around its evidence, in cells at 1/16, with a little slack. Outside of
it they see zeros, as they would outside of the frame, so an object needs no margin and costs what its box covers.
`WholeFrames` computes that plainly, one whole frame per object; `Canvas` packs the boxes of all objects of all clips
into one picture, on which every layer runs once. Both give the same logits to rounding.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agss_model.network.intervals import spans

SLACK = 1
"""Cells around the evidence in which an object may show up."""
GAP = 1
"""Empty cells between two boxes on a canvas, so that no layer looks from one into the other."""
ROWS, COLUMNS = 4, 8
"""Sides of a canvas are multiples of these, so that few sizes occur: convolutions are prepared once for each size."""
NOWHERE = -12.0
"""Logit where an object cannot be; its probability of 6e-6 leaves the others alone."""

Layout = npt.NDArray[np.int64]


def support(occupied: Tensor) -> Tensor:
    """Boxes around the cells with evidence, enlarged by `SLACK`; an object without evidence has none.

    Args:
        occupied: (M, h, w) bool, one map an object.

    Returns:
        (M, h, w) bool.
    """
    rows, columns = spans(occupied.any(2), SLACK), spans(occupied.any(1), SLACK)
    return rows[:, :, None] & columns[:, None, :]


class Region(ABC):
    """Places of M objects, as the layers of the object path need them.

    Attributes:
        masks: by scale (1, 2, 4: subdivisions of a cell) a float map that is 1 inside of the support and 0 outside, to
            multiply with the layers' maps.
    """

    masks: dict[int, Tensor]

    @abstractmethod
    def own(self, x: Tensor) -> Tensor:
        """What belongs to single objects, (M, C, h, w) at 1/16, zero outside of the support."""

    @abstractmethod
    def shared(self, x: Tensor, scale: int) -> Tensor:
        """What the objects of a clip share, (B, C, scale * h, scale * w), zero outside of the support."""

    @abstractmethod
    def place(self, logits: Tensor) -> Tensor:
        """Logits at 1/4 back at their places: (M, 4h, 4w), `NOWHERE` outside of the support."""


class WholeFrames(Region):
    """Each object on a frame of its own; what the canvas is compared with.

    Args:
        inside: (M, h, w) bool support.
        clips: B; object m belongs to clip m // (M / B).
    """

    def __init__(self, inside: Tensor, clips: int) -> None:
        self._each = len(inside) // clips
        maps = inside[:, None].float()
        self.masks = {s: maps.repeat_interleave(s, 2).repeat_interleave(s, 3) for s in (1, 2, 4)}

    def own(self, x: Tensor) -> Tensor:
        """See `Region.own`: (M, C, h, w)."""
        return x * self.masks[1]

    def shared(self, x: Tensor, scale: int) -> Tensor:
        """See `Region.shared`: (M, C, scale * h, scale * w)."""
        return x.repeat_interleave(self._each, 0) * self.masks[scale]

    def place(self, logits: Tensor) -> Tensor:
        """See `Region.place`; takes (M, 1, 4h, 4w)."""
        return logits[:, 0].masked_fill(self.masks[4][:, 0] == 0, NOWHERE)


class Canvas(Region):
    """All boxes in one picture of (1, C, rows, columns) cells.

    Args:
        inside: (M, h, w) bool support; every object's is a box or empty.
        clips: B; object m belongs to clip m // (M / B).
    """

    def __init__(self, inside: Tensor, clips: int) -> None:
        self._shape = tuple(inside.shape)
        self._each = len(inside) // clips
        cells = lay_out(inside)
        self.size = cells.shape
        full = torch.from_numpy(cells >= 0)[None, None].float()
        self.masks = {s: full.repeat_interleave(s, 2).repeat_interleave(s, 3).to(inside.device) for s in (1, 2, 4)}
        self._cells = cells.clip(0)
        self._device = inside.device
        self._drawn = torch.from_numpy((_fine(cells >= 0, 4)).reshape(-1).nonzero()[0]).to(self._device)

    def own(self, x: Tensor) -> Tensor:
        """See `Region.own`: (1, C, rows, columns)."""
        return self._gather(x, self._index(1, shared=False), 1)

    def shared(self, x: Tensor, scale: int) -> Tensor:
        """See `Region.shared`: (1, C, scale * rows, scale * columns)."""
        return self._gather(x, self._index(scale, shared=True), scale)

    def place(self, logits: Tensor) -> Tensor:
        """See `Region.place`; takes (1, 1, 4 rows, 4 columns)."""
        objects, height, width = self._shape
        values = logits.reshape(-1).index_select(0, self._drawn)
        target = self._index(4, shared=False).index_select(0, self._drawn)
        empty = logits.new_full((objects * height * width * 16,), NOWHERE)
        return empty.index_copy(0, target, values).reshape(objects, 4 * height, 4 * width)

    def _index(self, scale: int, *, shared: bool) -> Tensor:
        """Where each place of the canvas comes from, in maps flattened to (images * height * width)."""
        _, height, width = self._shape
        image, cell = np.divmod(self._cells, height * width)
        row, column = np.divmod(cell, width)
        if shared:
            image = image // self._each
        within = np.arange(max(self.size) * scale) % scale
        rows = _fine(row, scale) * scale + within[: self.size[0] * scale, None]
        columns = _fine(column, scale) * scale + within[None, : self.size[1] * scale]
        index = (_fine(image, scale) * (height * scale) + rows) * (width * scale) + columns
        return torch.from_numpy(index.reshape(-1)).to(self._device)

    def _gather(self, x: Tensor, index: Tensor, scale: int) -> Tensor:
        rows = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]).index_select(0, index)
        picture = rows.reshape(1, self.size[0] * scale, self.size[1] * scale, -1).permute(0, 3, 1, 2)
        picture *= self.masks[scale]
        return picture


def _fine(cells: npt.NDArray[np.generic], scale: int) -> npt.NDArray[np.generic]:
    return cells.repeat(scale, 0).repeat(scale, 1)


def lay_out(inside: Tensor) -> Layout:
    """Pack the boxes of all objects on shelves, as wide as takes the fewest cells.

    Tall ones come first, and low ones lie on top of each other where there is room.

    Args:
        inside: (M, h, w) bool, each a box or empty.

    Returns:
        (rows, columns) int64: the cell, as an index into the flattened `inside`, that lies at each place; -1 for none.
    """
    _, height, width = inside.shape
    rows, columns = inside.any(2).cpu().numpy(), inside.any(1).cpu().numpy()
    tops, lefts = rows.argmax(1).tolist(), columns.argmax(1).tolist()
    sizes = zip(rows.sum(1).tolist(), columns.sum(1).tolist(), strict=True)
    boxes = sorted(((high, wide, m) for m, (high, wide) in enumerate(sizes) if high), reverse=True)
    size, corners = _best_shelves(boxes)
    canvas = np.full(size, -1, np.int64)
    for (high, wide, m), (y, x) in zip(boxes, corners, strict=True):
        first = (m * height + tops[m]) * width + lefts[m]
        canvas[y : y + high, x : x + wide] = first + np.arange(high)[:, None] * width + np.arange(wide)
    return canvas


_Box = tuple[int, int, int]
"""Rows, columns, object."""
_Shelves = tuple[tuple[int, int], list[tuple[int, int]]]
"""Rows and columns of a canvas, and for each box its upper left corner there."""


def _best_shelves(boxes: Sequence[_Box]) -> _Shelves:
    """The smallest canvas of all breadths that make sense, the squarest of equals."""
    broadest = max((wide for _, wide, _ in boxes), default=0)
    side = sum((high + GAP) * (wide + GAP) for high, wide, _ in boxes) ** 0.5
    narrowest = _rounded(max(broadest, side / 2), COLUMNS)
    widest = max(narrowest, _rounded(2 * side, COLUMNS))
    tried = (_shelves(boxes, breadth) for breadth in range(narrowest, widest + 1, COLUMNS))
    return min(tried, key=lambda found: (found[0][0] * found[0][1], abs(found[0][0] - found[0][1])))


@dataclass
class _Shelf:
    """A row of stacks, as high as its first box.

    Attributes:
        top: its first row on the canvas.
        high: rows.
        end: first column that is free.
        stacks: of each its first column, its columns, and the rows taken, with the gap below.
    """

    top: int
    high: int
    end: int = 0
    stacks: list[list[int]] = field(default_factory=list)

    def place(self, high: int, wide: int, breadth: int) -> tuple[int, int] | None:
        """Where a box goes, under a broader one or beside the last; None where there is no room."""
        for stack in self.stacks:
            x, room, below = stack
            if wide <= room and below + high <= self.high:
                stack[2] += high + GAP
                return self.top + below, x
        if self.end + wide > breadth:
            return None
        x = self.end
        self.stacks.append([x, wide, high + GAP])
        self.end += wide + GAP
        return self.top, x


def _shelves(boxes: Sequence[_Box], breadth: int) -> _Shelves:
    """Each box on the first shelf with room, or on a new one below the others."""
    corners, shelves, bottom = list[tuple[int, int]](), list[_Shelf](), 0
    for high, wide, _ in boxes:
        corner = next((c for s in shelves if (c := s.place(high, wide, breadth)) is not None), None)
        if corner is None:
            shelves.append(_Shelf(bottom, high))
            corner = shelves[-1].place(high, wide, breadth) or (bottom, 0)
            bottom += high + GAP
        corners.append(corner)
    return (_rounded(max(bottom - GAP, 0), ROWS), breadth), corners


def _rounded(length: float, step: int) -> int:
    return max(step, math.ceil(length / step) * step)
