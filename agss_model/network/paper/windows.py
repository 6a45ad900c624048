"""Where an object can be, so that its own layers run only there.

Layers work on zeros beyond the edge of what they are given, so a result is right only so far inside. The distances,
in cells of 8 pixels, from the receptive fields:

* Refinement, prediction and both enlargements reach 7 pixels at 1/4, the attention generator 2 more beyond the 3 cells
  at 1/8 that the product of equation 3 is read in: `FINE` cells around what is wanted.
* The first residual stage reaches 3 pixels at 1/4 and the pooling before it 1 more: `OUTER` cells beyond.
* The mask's part of the stem reaches 3 pixels: one more cell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

CELL = 8  # pixels
SLACK = 3  # cells around the warped mask in which the object may show up
FINE = 4
OUTER = 2
STEM = 1
STEP = 2  # sides of what is wanted are rounded up to multiples of it, so that objects share batches


@dataclass(frozen=True)
class Box:
    """Rows `top`..`bottom` and columns `left`..`right` in cells, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in cells."""
        return self.bottom - self.top, self.right - self.left

    def cut(self, x: Tensor, stride: int) -> Tensor:
        """The part of an (..., H / stride, W / stride) map inside the box; the stride divides `CELL`."""
        scale = CELL // stride
        return x[..., self.top * scale : self.bottom * scale, self.left * scale : self.right * scale]

    def within(self, outer: Box) -> Box:
        """The same box in the coordinates of a larger one."""
        return Box(self.top - outer.top, self.bottom - outer.top, self.left - outer.left, self.right - outer.left)

    def grown(self, margin: int, shape: tuple[int, int], step: int = 1) -> Box:
        """Enlarged by `margin` on every side, sides rounded up to `step`, moved into a frame of `shape` cells."""
        top, bottom = _grown(self.top, self.bottom, margin, shape[0], step)
        left, right = _grown(self.left, self.right, margin, shape[1], step)
        return Box(top, bottom, left, right)


def _grown(low: int, high: int, margin: int, limit: int, step: int) -> tuple[int, int]:
    length = min(limit, -(-(high - low + 2 * margin) // step) * step)
    start = min(max(low - margin, 0), limit - length)
    return start, start + length


@dataclass(frozen=True)
class Window:
    """One object's places: `core` is what is wanted, the others what must be computed for it."""

    slot: int
    core: Box
    fine: Box
    outer: Box
    stem: Box


def windows(masks: Tensor, threshold: float) -> list[Window]:
    """A window for every object that can be somewhere.

    Args:
        masks: (N, H, W) float in [0, 1], warped to the target; sides are multiples of `CELL`.
        threshold: share of a pixel from which the object can be near it.
    """
    shape = (masks.shape[1] // CELL, masks.shape[2] // CELL)
    rows = masks.amax(2).view(len(masks), shape[0], CELL).amax(2)
    columns = masks.amax(1).view(len(masks), shape[1], CELL).amax(2)
    seen = (torch.cat([rows, columns], 1) > threshold).cpu().numpy()
    found = []
    for slot, cells in enumerate(seen):
        y, x = cells[: shape[0]].nonzero()[0], cells[shape[0] :].nonzero()[0]
        if len(y):
            core = Box(int(y[0]), int(y[-1]) + 1, int(x[0]), int(x[-1]) + 1).grown(SLACK, shape, STEP)
            fine = core.grown(FINE, shape)
            outer = fine.grown(OUTER, shape)
            found.append(Window(slot, core, fine, outer, outer.grown(STEM, shape)))
    return found


def batches(found: Iterable[Window], cells_at_once: int) -> list[list[Window]]:
    """Windows of one size together, as many as fit into `cells_at_once`, at least one."""
    groups: dict[tuple[tuple[int, int], ...], list[Window]] = defaultdict(list)
    for window in found:
        groups[window.core.size, window.fine.size, window.outer.size, window.stem.size].append(window)
    parts = []
    for group in groups.values():
        height, width = group[0].outer.size
        count = max(1, cells_at_once // (height * width))
        parts += [group[start : start + count] for start in range(0, len(group), count)]
    return parts


def cut_out(maps: Iterable[Tensor], boxes: Iterable[Box], stride: int) -> Tensor:
    """From each (C, H / stride, W / stride) map its box: (M, C, h, w)."""
    return torch.stack([box.cut(x, stride) for x, box in zip(maps, boxes, strict=True)])
