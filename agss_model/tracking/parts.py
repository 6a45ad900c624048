"""Parts of a mask that cannot be the object: apart from it, and unlike anything a human drew.

Where an object walked away from a place, a patch of that place can stay labelled; it then believes itself through the
frame before. Human frames do not know it, and that gives it away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agss_model.masks.labels import BoolMask
from agss_model.network.base import AGSSVOS, Features, Reference

APART = 0.1
"""Distance to the main part, in its size (the root of width times height), up to which a part belongs to it."""
FAR = 1.0
"""The same, from which a part has to resemble the references about as much as the main part does."""
UNLIKE, UNLIKE_FAR = 0.3, 0.7
"""Resemblance relative to the main part's below which a part is false; and below which one that is far is.
docs/benchmarks.md has what was measured."""
PLAIN = 0.02
"""Resemblance of the main part below which nothing is concluded: the object shows a side that no human drew."""
SMALLEST = 2
"""Pixels from which a part is looked at."""

Resemblance = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float32]]
"""(Q,) cells of the target -> (N, Q) in [0, 1], how much each cell resembles each object in human frames."""


@dataclass(frozen=True)
class _Parts:
    """Connected parts of one object's mask.

    Attributes:
        box: rows and columns that hold the mask.
        labels: int32, of the pixels in the box: 0 outside, then 1..P.
        boxes: (P, 2) widths and heights.
        shares: (P, C) float32, which share of each part lies in which cell.
        areas: (P,) pixels.
    """

    box: tuple[slice, slice]
    labels: npt.NDArray[np.int32]
    boxes: npt.NDArray[np.int32]
    shares: npt.NDArray[np.float32]
    areas: npt.NDArray[np.int32]


def without_false_parts(found: Tensor, network: AGSSVOS, features: Features, references: Sequence[Reference]) -> Tensor:
    """The masks of a frame without their `false_parts`; unchanged where the network cannot tell what resembles what.

    Args:
        found: (N, h, w) float in [0, 1], as carried.
        network: that found them.
        features: of the frame.
        references: human frames.
    """
    if not network.tells_resemblance:
        return found

    def resemblance(cells: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        alike = network.resemblance(features, references, torch.from_numpy(cells).to(found.device))
        told: npt.NDArray[np.float32] = alike.float().cpu().numpy()
        return told

    false = false_parts((found > 0.5).cpu().numpy(), network.stride // network.mask_stride, resemblance)
    haunted = np.flatnonzero(false.any((1, 2)))
    if not len(haunted):
        return found
    kept = np.ones(false.shape, np.uint8)
    for n in haunted:
        kept[n] -= cv2.dilate(false[n].view(np.uint8), np.ones((3, 3), np.uint8))  # with its soft edge
    return found * torch.from_numpy(kept).to(found.device)


def false_parts(masks: BoolMask, cell: int, resemblance: Resemblance) -> BoolMask:
    """Find the parts of each object's mask that stand apart from its main part and do not resemble its references.

    Args:
        masks: (N, h, w) bool, as carried.
        cell: side of a cell in pixels of the masks; h and w are multiples of it.
        resemblance: asked once, about the cells in question only, and only when an object has several parts.

    Returns:
        (N, h, w) bool, a subset of `masks`; never the whole mask of an object.
    """
    false = np.zeros_like(masks)
    boxes = zip(_intervals(np.any(masks, axis=2)), _intervals(np.any(masks, axis=1)), strict=True)
    several = {n: parts for n, box in enumerate(boxes) if (parts := _parts(masks[n], box, cell)) is not None}
    if not several:
        return false
    cells = np.flatnonzero(sum(parts.shares.sum(0) for parts in several.values()))
    alike = resemblance(cells)
    for n, parts in several.items():
        for part in _false(parts, parts.shares[:, cells] @ alike[n]):
            false[n][parts.box] |= parts.labels == part + 1
    return false


def _intervals(occupied: BoolMask) -> list[slice]:
    """(N, L) bool -> for each row from the first True to the last; empty where there is none."""
    first, last = occupied.argmax(1), occupied.shape[1] - occupied[:, ::-1].argmax(1)
    ends = np.where(occupied.any(1), last, first)
    return [slice(a, b) for a, b in zip(first.tolist(), ends.tolist(), strict=True)]


def _parts(mask: BoolMask, box: tuple[slice, slice], cell: int) -> _Parts | None:
    """The parts of a mask in the box around it, None where it has one at most."""
    rows, columns = box
    if rows.start == rows.stop:
        return None
    inside = np.ascontiguousarray(mask[box]).view(np.uint8)
    count, found, table, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    labels, stats = found.astype(np.int32, copy=False), table.astype(np.int32, copy=False)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if np.count_nonzero(areas >= SMALLEST) < 2:
        return None
    height, width = (side // cell for side in mask.shape)
    y, x = np.nonzero(labels)
    place = (y + rows.start) // cell * width + (x + columns.start) // cell
    pixels = np.bincount((labels[y, x] - 1) * height * width + place, minlength=(count - 1) * height * width)
    shares = pixels.reshape(count - 1, -1) / areas[:, None]
    boxes = stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    return _Parts(box, labels, boxes, shares.astype(np.float32), areas)


def _false(parts: _Parts, alike: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Which parts are false, from (P,) how much each resembles the object."""
    main = int(np.argmax(alike * parts.areas))
    if alike[main] < PLAIN:
        return np.zeros(0, np.int64)
    distance = cv2.distanceTransform((parts.labels != main + 1).view(np.uint8), cv2.DIST_L2, 3)
    size = float(np.sqrt(parts.boxes[main].prod()))
    gaps = np.array([distance[parts.labels == part + 1].min() for part in range(len(parts.areas))]) / size
    needed = np.where(gaps > FAR, UNLIKE_FAR, UNLIKE) * alike[main]
    return np.flatnonzero((gaps > APART) & (alike < needed))
