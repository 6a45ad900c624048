"""Masks as polygons and back.

Coordinates: pixel (column x, row y) covers the square from (x, y) to (x + 1, y + 1); an image spans (0, 0) to
(width, height), as in CVAT. A polygon covers exactly the pixels whose centres it contains (even-odd rule; a centre on
an edge belongs to the area right of or below it). `mask_to_polygons` walks along the borders *between* pixels, so with
tolerance 0 the round trip is exact, down to single pixels. With a tolerance t > 0 every changed pixel has its centre
within t + 0.71 pixels of the outline, so large objects lose little: a disc of radius r keeps an IoU of at least
1 - 2 (t + 0.71) / r. Of small and thin ones a pixel is a large part; they get less tolerance, see `fitting`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from agss_model.errors import MaskError
from agss_model.masks.labels import BoolMask

Ring = npt.NDArray[np.float64]

SMALL = 5.0
"""Area over length of the outline, in pixels, from which on a tolerance counts as it is: that of a disc of 26 pixels
across, a square of 20, or a long stroke of 10."""

# Directions of border edges: east, south, west, north. The object lies on the right-hand side of each edge.
_STEPS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])


@dataclass(frozen=True, eq=False)
class Polygon:
    """One connected part of a mask.

    Attributes:
        outer: (N, 2) float64, x and y in pixels; the last point joins the first.
        holes: rings of the same form, cut out of `outer`.
    """

    outer: Ring
    holes: tuple[Ring, ...] = ()

    @classmethod
    def from_flat(cls, points: Sequence[float]) -> Polygon:
        """A polygon without holes from `[x0, y0, x1, y1, ...]`.

        Raises:
            MaskError: fewer than three points, an odd count, or a number that is not finite.
        """
        try:
            flat = np.asarray(points, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise MaskError("polygon points must be a flat list of numbers") from error
        if flat.ndim != 1 or flat.size < 6 or flat.size % 2:
            raise MaskError(f"a polygon needs an even count of at least 6 numbers, but the shape is {flat.shape}")
        return cls(_checked_ring(flat.reshape(-1, 2)))

    def to_flat(self) -> list[float]:
        """The outer ring as `[x0, y0, x1, y1, ...]`; holes have no place in this form."""
        return [float(value) for value in self.outer.ravel()]


def mask_to_polygons(mask: BoolMask, tolerance: float = 0.0) -> list[Polygon]:
    """Outline every 4-connected part of a mask.

    Args:
        mask: (H, W) bool.
        tolerance: how far an outline may leave the exact one, in pixels, less for small ones (`fitting`); 0 is exact,
            and from about 0.75 on the steps of slanted edges go. A part that would vanish keeps its exact outline.

    Returns:
        One polygon per part, in raster order of their first pixels; empty for an empty mask.

    Raises:
        MaskError: not a bool mask, or a negative tolerance.
    """
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.ndim != 2:
        raise MaskError("mask_to_polygons needs a (height, width) bool array; pass mask > 0")
    if not tolerance >= 0:
        raise MaskError(f"the tolerance is {tolerance}; it must be 0 or more pixels")
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return []
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    offset = np.array([columns[0], rows[0]], dtype=np.float64)
    _, parts = cv2.connectedComponents(box.astype(np.uint8), connectivity=4)
    rings: dict[int, list[Ring]] = {}
    for (x, y), ring in _trace(box):
        rings.setdefault(int(parts[y, x]), []).append(ring + offset)
    # The first ring met of a part starts at its topmost row, so it is the outer one.
    polygons = [Polygon(outer, tuple(holes)) for outer, *holes in rings.values()]
    return [_simplified(polygon, tolerance) for polygon in polygons] if tolerance else polygons


def fitting(tolerance: float, ring: Ring) -> float:
    """A tolerance in pixels for one outline: as much less as the area over the length of the outline is below `SMALL`.

    Args:
        tolerance: for larger outlines, pixels.
        ring: (N, 2) whole numbers; edges run along pixels, as `mask_to_polygons` gives them.
    """
    x, y = ring.T
    after = np.roll(ring, -1, axis=0)
    area = abs(float((x * after[:, 1] - y * after[:, 0]).sum())) / 2  # whole numbers, so the order does not matter
    length = float(np.abs(after - ring).sum())
    return tolerance * min(1.0, area / length / SMALL)


def polygons_to_mask(polygons: Iterable[Polygon], *, width: int, height: int) -> BoolMask:
    """Fill polygons (their union) into a (height, width) bool mask; what lies outside the image is cut off.

    Raises:
        MaskError: a ring is not (N, 2) with at least three finite points.
    """
    mask = np.zeros((height, width), dtype=np.bool_)
    for polygon in polygons:
        rings = [_checked_ring(ring) for ring in (polygon.outer, *polygon.holes)]
        low = np.floor(rings[0].min(axis=0)).clip(0, (width, height)).astype(int)
        high = np.ceil(rings[0].max(axis=0)).clip(0, (width, height)).astype(int)
        if (low < high).all():
            window = mask[low[1] : high[1], low[0] : high[0]]
            window |= _fill([ring - low for ring in rings], *window.shape)
    return mask


def _checked_ring(ring: Ring) -> Ring:
    if ring.ndim != 2 or ring.shape[0] < 3 or ring.shape[1] != 2 or not (np.abs(ring) < 1e9).all():
        raise MaskError(f"a polygon ring must be at least three finite (x, y) points, but its shape is {ring.shape}")
    return ring


def _trace(box: BoolMask) -> list[tuple[tuple[int, int], Ring]]:
    """Follow the borders between object and background.

    Returns:
        For each ring, in raster order of its first edge: an object pixel (x, y) beside it, and its (N, 2) corners.
    """
    padded = np.pad(box, 1)
    inside = padded[1:-1, 1:-1]
    height, width = box.shape
    # number[d, y, x]: the edge that leaves corner (x, y) in direction d, or -1.
    number = np.full((4, height + 1, width + 1), -1, dtype=np.int64)
    number[0, :-1, :-1][inside & ~padded[:-2, 1:-1]] = 0
    number[1, :-1, 1:][inside & ~padded[1:-1, 2:]] = 0
    number[2, 1:, 1:][inside & ~padded[2:, 1:-1]] = 0
    number[3, 1:, :-1][inside & ~padded[1:-1, :-2]] = 0
    edges = np.argwhere(number == 0)
    number[number == 0] = np.arange(len(edges))
    direction, y, x = edges.T
    end_x, end_y = x + _STEPS[direction, 0], y + _STEPS[direction, 1]
    # Where two parts touch at a corner, turning right keeps to the pixel the walk came along: parts stay separate.
    following = np.full(len(edges), -1, dtype=np.int64)
    for turn in (1, 0, 3):
        candidate = number[(direction + turn) % 4, end_y, end_x]
        following = np.where(following < 0, candidate, following)
    return _loops(following.tolist(), direction.tolist(), x.tolist(), y.tolist())


def _loops(
    following: list[int], direction: list[int], x: list[int], y: list[int]
) -> list[tuple[tuple[int, int], Ring]]:
    loops: list[tuple[tuple[int, int], Ring]] = []
    seen = bytearray(len(following))
    for start, heading in enumerate(direction):
        if heading != 0:  # Every ring has an eastward edge, and those come first.
            break
        if seen[start]:
            continue
        corners: list[tuple[int, int]] = []
        edge = start
        while not seen[edge]:
            seen[edge] = 1
            successor = following[edge]
            if direction[successor] != direction[edge]:
                corners.append((x[successor], y[successor]))
            edge = successor
        loops.append(((x[start], y[start]), np.array(corners, dtype=np.float64)))
    return loops


def _simplified(polygon: Polygon, tolerance: float) -> Polygon:
    outer = _simplified_ring(polygon.outer, tolerance)
    holes = tuple(_simplified_ring(hole, tolerance) for hole in polygon.holes)
    low = polygon.outer.min(axis=0)
    width, height = (polygon.outer.max(axis=0) - low).astype(int)
    survives = _fill([ring - low for ring in (outer, *holes)], height, width).any()
    return Polygon(outer, holes) if survives else polygon


def _simplified_ring(ring: Ring, tolerance: float) -> Ring:
    short = cv2.approxPolyDP(ring.astype(np.float32).reshape(-1, 1, 2), fitting(tolerance, ring), True).reshape(-1, 2)
    return short.astype(np.float64) if len(short) >= 3 else ring


def _fill(rings: Sequence[Ring], height: int, width: int) -> BoolMask:
    """Even-odd fill: each edge toggles the rows it crosses, from the crossing to the right."""
    toggles = np.zeros((height, width + 1), dtype=np.bool_)
    starts = np.concatenate(rings)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    upward = starts[:, 1] > ends[:, 1]
    upper, lower = np.where(upward[:, None], ends, starts), np.where(upward[:, None], starts, ends)
    first = np.ceil(upper[:, 1] - 0.5).clip(0, height).astype(np.int64)
    count = np.ceil(lower[:, 1] - 0.5).clip(0, height).astype(np.int64) - first
    for edge in np.flatnonzero(count):
        rows = np.arange(first[edge], first[edge] + count[edge])
        (x0, y0), (x1, y1) = upper[edge], lower[edge]
        crossing = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
        toggles[rows, np.ceil(crossing - 0.5).clip(0, width).astype(np.int64)] ^= True
    return np.logical_xor.accumulate(toggles, axis=1)[:, :width]
