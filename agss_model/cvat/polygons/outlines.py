"""Outlines of masks and the polygons that stand for them.

The button does the same in the browser (`outlines.js` and `settling.js` in `serverless/cvat_ui/src`) with the same
numbers, bit for bit: sums run in the same order in both, and nothing is used that differs between them.
tests/cvat/cases/keyframes.json holds both to it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agss_model.masks.polygons import Ring

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_REACH = 100.0  # squared pixels beyond which a point tells nothing about how an outline moved
_SAMPLES = 48
_PULL, _STAY = 1.0, 0.1  # of a vertex to the outline, and to where it is


class Outline:
    """A closed outline along the borders of pixels, as the corners of pixels that it passes.

    Args:
        ring: (M, 2) float64 whole numbers; edges run along pixels, as `mask_to_polygons` gives them.

    Attributes:
        points: (L, 2) float64, one pixel apart.
    """

    def __init__(self, ring: Ring) -> None:
        step = np.roll(ring, -1, axis=0) - ring
        counts = np.abs(step).sum(axis=1).astype(np.int64)
        edge = np.repeat(np.arange(len(ring)), counts)
        along = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        self.points: Floats = ring[edge] + np.sign(step)[edge] * along[:, None]

    def __len__(self) -> int:
        return len(self.points)

    def middle(self) -> Floats:
        """(2,) mean of the points."""
        middle: Floats = self.points.sum(axis=0) / len(self)  # whole numbers, so the order does not matter
        return middle


def simplified(outline: Outline, tolerance: float) -> Ints:
    """Places of few points (at least 3) from whose polygon no point of the outline is further than the tolerance."""
    points, count = outline.points, len(outline)
    far = int(np.argmax(((points - points[0]) ** 2).sum(axis=1)))
    kept, spans = {0, far}, [(0, far), (far, count)]
    while spans:
        start, stop = spans.pop()
        if stop - start < 2:
            continue
        away = _squared(points[start + 1 : stop], points[start], points[stop % count])
        worst = int(np.argmax(away))
        if away[worst] > tolerance * tolerance:
            middle = start + 1 + worst
            kept.add(middle)
            spans += [(start, middle), (middle, stop)]
    if len(kept) < 3:
        kept |= {count // 3, 2 * count // 3}
    return np.array(sorted(kept))


def shift(here: Outline, there: Outline, before: Floats) -> Floats:
    """(2,) whole pixels by which an outline moved on the whole.

    Args:
        here: outline of a frame.
        there: of the next one.
        before: the movement to `here`, tried first.
    """
    some = here.points[:: max(1, len(here) // _SAMPLES)]
    a, b = here.points, there.points
    low, high = b.min(axis=0) - a.min(axis=0), b.max(axis=0) - a.max(axis=0)
    middle = np.floor(there.middle() - here.middle() + 0.5)
    tried = [before, middle, low, high, np.array([low[0], high[1]]), np.array([high[0], low[1]])]
    costs = [_cost(some + by, b) for by in tried]
    best = int(np.argmin(costs))
    by: Floats = tried[best]
    least = costs[best]
    step = 4
    while step:
        moved = False
        for dx, dy in ((step, 0), (-step, 0), (0, step), (0, -step)):
            cost = _cost(some + (to := by + np.array([dx, dy])), b)
            if cost < least:
                by, least, moved = to, cost, True
        step = step if moved else step // 2
    return by


def _cost(some: Floats, points: Floats) -> float:
    x, y = some[:, None, 0] - points[None, :, 0], some[:, None, 1] - points[None, :, 1]
    return float(np.minimum((x * x + y * y).min(axis=1), _REACH).sum())


def settled(polygon: Ring, outline: Outline, rounds: int) -> Ring:
    """The vertices moved to where their edges lie best on an outline (least squares, a step for all at a time)."""
    polygon, count = polygon.copy(), len(polygon)
    for _ in range(rounds):
        away, share, x, y = _feet(polygon, outline)
        row = np.arange(len(outline))
        edge = np.argmin(away, axis=1)
        part, after = share[row, edge], (edge + 1) % count
        weight = np.full(count, _STAY)
        pull = np.zeros((count, 2))
        for vertex, by in ((edge, 1 - part), (after, part)):
            np.add.at(weight, vertex, by)
            np.add.at(pull[:, 0], vertex, by * x[row, edge])
            np.add.at(pull[:, 1], vertex, by * y[row, edge])
        nearest = outline.points[np.argmin(_from_vertices(polygon, outline), axis=1)]
        pull += _PULL * (nearest - polygon)
        polygon = polygon + pull / (weight + _PULL)[:, None]
    return polygon


def fits(polygon: Ring, outline: Outline, tolerance: float) -> bool:
    """Whether polygon and outline are nowhere further apart than a tolerance.

    Edge for edge: the outline can be cut so that each vertex lies near a cut, and each edge near the part between its
    two cuts. Such an edge is near that part all along, because the part leads from one end of it to the other. True is
    certain; False may, rarely, be too strict.
    """
    count, length, most = len(polygon), len(outline), tolerance * tolerance
    away = _feet(polygon, outline)[0]
    to_vertex = _from_vertices(polygon, outline)
    nearest = to_vertex.min(axis=1)
    if nearest.max() > most or away.min(axis=1).max() > most:
        return False
    first = int(np.argmin(nearest))
    start = int(np.argmin(to_vertex[first]))
    places = (start + np.arange(length + 1)) % length
    reached = np.zeros(length + 1, dtype=np.bool_)
    reached[0] = True
    for step in range(count):
        edge = (first + step) % count
        near = away[places, edge] <= most
        reached = _along(reached, near) & (to_vertex[(edge + 1) % count, places] <= most)
        if not reached.any():
            return False
    return bool(reached[length])


def _along(reached: npt.NDArray[np.bool_], near: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Places that can be reached by going on through places that are near, from those reached so far."""
    breaks = np.cumsum(~near)
    first = np.full(breaks[-1] + 1, len(near))
    here = np.flatnonzero(reached & near)
    np.minimum.at(first, breaks[here], here)
    onward: npt.NDArray[np.bool_] = near & (np.arange(len(near)) >= first[breaks])
    return onward


def _feet(polygon: Ring, outline: Outline) -> tuple[Floats, Floats, Floats, Floats]:
    """Squared distance, share along the edge and the way, from every point of the outline (rows) to every edge."""
    after = np.roll(polygon, -1, axis=0)
    dx, dy = after[:, 0] - polygon[:, 0], after[:, 1] - polygon[:, 1]
    squared = dx * dx + dy * dy
    squared = np.where(squared > 0, squared, 1.0)
    x = outline.points[:, None, 0] - polygon[None, :, 0]
    y = outline.points[:, None, 1] - polygon[None, :, 1]
    share = np.clip((x * dx + y * dy) / squared, 0.0, 1.0)
    x, y = x - share * dx, y - share * dy
    return x * x + y * y, share, x, y


def _from_vertices(polygon: Ring, outline: Outline) -> Floats:
    """Squared distances, a row for every vertex."""
    x = outline.points[None, :, 0] - polygon[:, None, 0]
    y = outline.points[None, :, 1] - polygon[:, None, 1]
    squared: Floats = x * x + y * y
    return squared


def _squared(points: Floats, one: Floats, two: Floats) -> Floats:
    """Squared distances of points from a line between two others."""
    dx, dy = two[0] - one[0], two[1] - one[1]
    length = dx * dx + dy * dy
    x, y = points[:, 0] - one[0], points[:, 1] - one[1]
    share = np.clip((x * dx + y * dy) / (length if length > 0 else 1.0), 0.0, 1.0)
    x, y = x - share * dx, y - share * dy
    squared: Floats = x * x + y * y
    return squared
