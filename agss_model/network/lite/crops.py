"""Where an object can be, so that its own layers run only there.

Margins come from the receptive fields, so inside `core` the result equals the dense one to rounding: five 3x3 layers at
1/16 need 5 cells; the layers at 1/8 and 1/4 and the two enlargements between them reach 3.3 cells, rounded up to 4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

SLACK = 1  # cells around the evidence in which the object may show up
FINE_MARGIN = 4
COARSE_MARGIN = 5
STEP = 2  # window sides are rounded up to multiples of it, so that objects share batches


@dataclass(frozen=True)
class Box:
    """Rows `top`..`bottom` and columns `left`..`right` in cells at 1/16, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    def cut(self, x: Tensor, scale: int = 1) -> Tensor:
        """The part of (..., H, W) inside the box, where a cell is `scale` pixels wide."""
        return x[..., self.top * scale : self.bottom * scale, self.left * scale : self.right * scale]

    def within(self, outer: Box) -> Box:
        """The same box in the coordinates of a larger one."""
        return Box(self.top - outer.top, self.bottom - outer.top, self.left - outer.left, self.right - outer.left)

    def grown(self, margin: int, shape: tuple[int, int], step: int = 1) -> Box:
        """Enlarged by `margin` on every side, sides rounded up to `step`, kept inside a frame of `shape` cells."""
        top, bottom = _grown(self.top, self.bottom, margin, shape[0], step)
        left, right = _grown(self.left, self.right, margin, shape[1], step)
        return Box(top, bottom, left, right)


@dataclass(frozen=True)
class Window:
    """One object's places: `core` is what is wanted, `fine` and `coarse` what must be computed for it."""

    slot: int
    core: Box
    fine: Box
    coarse: Box


def _grown(low: int, high: int, margin: int, limit: int, step: int) -> tuple[int, int]:
    length = min(limit, -(-(high - low + 2 * margin) // step) * step)
    start = min(max(low - margin, 0), limit - length)
    return start, start + length


def windows(occupied: Tensor) -> list[Window]:
    """A window for every object that can be somewhere.

    Args:
        occupied: (N, h, w) bool, cells at 1/16 with evidence of the object.
    """
    shape = (int(occupied.shape[1]), int(occupied.shape[2]))
    rows, columns = occupied.any(2).cpu().numpy(), occupied.any(1).cpu().numpy()
    found = []
    for slot in range(len(rows)):
        y, x = rows[slot].nonzero()[0], columns[slot].nonzero()[0]
        if len(y):
            core = Box(int(y[0]), int(y[-1]) + 1, int(x[0]), int(x[-1]) + 1).grown(SLACK, shape)
            fine = core.grown(FINE_MARGIN, shape, STEP)
            found.append(Window(slot, core, fine, fine.grown(COARSE_MARGIN, shape)))
    return found


def batches(found: Iterable[Window]) -> list[list[Window]]:
    """Windows that can be computed together: those of one size."""
    groups: dict[tuple[tuple[int, int], tuple[int, int]], list[Window]] = defaultdict(list)
    for window in found:
        groups[window.fine.size, window.coarse.size].append(window)
    return list(groups.values())


def stack(x: Tensor, boxes: Iterable[Box], scale: int = 1) -> Tensor:
    """Cut one shared (1, C, H, W) map for many objects: (M, C, h, w)."""
    return together([box.cut(x[0], scale) for box in boxes])


def together(parts: Iterable[Tensor]) -> Tensor:
    """(C, h, w) maps -> (M, C, h, w), laid out as the convolutions like it."""
    return torch.stack(list(parts)).contiguous(memory_format=torch.channels_last)
