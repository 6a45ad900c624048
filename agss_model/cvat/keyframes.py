"""Few keyframes of a polygon track for many outlines, never further from them than a tolerance.

Between two keyframes CVAT moves each vertex in a straight line to the vertex it is paired with. Keyframes here come in
stretches: within one, all polygons have the same number of vertices, vertex i belongs to vertex i, and every frame in
between has been compared with its outline. Where one stretch ends and the next begins there is no frame in between, so
nothing is ever interpolated between polygons with different vertices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from agss_model.cvat.pairing import paired, relative
from agss_model.errors import ConfigError
from agss_model.masks.polygons import Ring

LEAST = 0.5
"""Smallest tolerance in pixels; the exact outline is always found to be within it."""
MOST = 6.0
"""Largest tolerance in pixels; distances are known up to here."""
LONGEST = 64  # frames between two keyframes, which bounds memory
_UNIT = 1 / 32  # pixel, of the table of distances
_MARGIN = 8  # pixels around the outline in that table
_SMOOTHING = 17  # samples, a quarter of a pixel each
_LARGE = 250_000  # pixels of a box above which the table is coarser
_SAMPLES = 256
_SHARES = (0.95, 0.85, 0.7)  # of the tolerance, that simplifying may use up
_STEPS_GONE = 0.9  # pixels from which on simplifying removes the steps of slanted edges

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Key:
    """A keyframe.

    Attributes:
        frame: its number.
        points: (N, 2) float64, x and y in pixels, with at most two decimals.
    """

    frame: int
    points: Ring


class Outline:
    """A closed outline with what is asked of it often.

    Args:
        ring: (M, 2) float64 whole numbers; corners of pixels, edges along pixels, as `mask_to_polygons` gives them.
    """

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        closed = np.vstack([ring, ring[:1]])
        corners = np.concatenate([[0.0], np.abs(np.diff(closed, axis=0)).sum(axis=1).cumsum()])
        count = round(4 * corners[-1])
        around = np.arange(count + 1) / 4
        self._around = np.column_stack([np.interp(around, corners, closed[:, axis]) for axis in (0, 1)])
        self.samples: Floats = self._around[:-1]
        """(S, 2), corners and points between them, a quarter of a pixel apart."""
        self._places = relative(_smoothed(self.samples))
        self.places: Floats = self._places[np.rint(4 * corners).astype(int)]
        """Relative position along the outline of each corner, and 1 at the end."""

    def at(self, places: Floats) -> Floats:
        """Points at relative positions (taken modulo 1), (..., 2)."""
        places = places % 1.0
        return np.stack([np.interp(places, self._places, self._around[:, axis]) for axis in (0, 1)], axis=-1)

    @cached_property
    def _table(self) -> tuple[npt.NDArray[np.uint8], Floats, int]:
        """Distance to the outline in `_UNIT`, rounded up, on a grid finer than pixels; its corner; nodes per pixel."""
        low = self.ring.min(axis=0) - _MARGIN
        sides = (self.ring.max(axis=0) + _MARGIN - low).astype(int)
        scale = 4 if sides.prod() <= _LARGE else 2
        away = np.full((sides[1] * scale + 1, sides[0] * scale + 1), 255, dtype=np.uint8)
        nodes = ((self.ring - low) * scale).astype(np.int32)
        cv2.polylines(away, [nodes.reshape(-1, 1, 2)], True, 0)
        distance = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) / (scale * _UNIT)
        return np.minimum(np.ceil(distance), 255).astype(np.uint8), low, scale

    def distance(self, points: Floats) -> float:
        """At least the largest distance to the outline of points and of what lies within 1/8 pixel of them."""
        table, low, scale = self._table
        nodes = np.rint((points - low) * scale).astype(int)
        x, y = nodes[:, 0], nodes[:, 1]
        if (x < 0).any() or (y < 0).any() or (x >= table.shape[1]).any() or (y >= table.shape[0]).any():
            return 255 * _UNIT
        return float(table[y, x].max()) * _UNIT + 0.7072 / scale + 0.125

    def forget(self) -> None:
        """Free what can be computed again."""
        self.__dict__.pop("_table", None)


def _smoothed(points: Floats) -> Floats:
    """A closed curve without the steps of pixels, which would make slanted edges count for more than straight ones."""
    width = min(_SMOOTHING, (len(points) - 1) // 2 * 2 - 1)
    window = np.ones(width) / width
    window = np.convolve(window, window)
    reach = len(window) // 2
    wrapped = np.take(points, np.arange(-reach, len(points) + reach), axis=0, mode="wrap")
    return np.column_stack([np.convolve(wrapped[:, axis], window, mode="valid") for axis in (0, 1)])


def thin(frames: Sequence[int], outlines: Sequence[Ring], tolerance: float) -> list[Key]:
    """Keyframes for frames in which an object is seen without interruption.

    Args:
        frames: ascending numbers; missing ones (deleted frames) are interpolated over and not compared.
        outlines: the exact outline in each.
        tolerance: pixels, `LEAST` to `MOST`. In every frame, no point of the polygon that CVAT shows is further than
            this from the outline, and no point of the outline further from the polygon.

    Raises:
        ConfigError: a tolerance outside these bounds.
    """
    if not LEAST <= tolerance <= MOST:
        raise ConfigError(f"The tolerance is {tolerance} pixels; it must be from {LEAST} to {MOST}.")
    shapes = [Outline(ring) for ring in outlines]
    keys: list[Key] = []
    place = 0
    while place < len(frames):
        start = place
        polygon, positions = _vertices(shapes[place], tolerance)
        keys.append(Key(frames[place], polygon))
        while (reached := _farthest(frames, shapes, place, polygon, positions, tolerance)) is not None:
            for passed in shapes[place : reached[0]]:
                passed.forget()
            place, polygon, positions = reached
            keys.append(Key(frames[place], polygon))
        if place == start:
            keys[-1] = Key(frames[place], _fewest(shapes[place], polygon, tolerance))
        shapes[place].forget()
        place += 1
    return keys


def _vertices(outline: Outline, tolerance: float) -> tuple[Ring, Floats]:
    """Few corners of an outline that stand for it, and their relative positions."""
    # Half of the tolerance is left for what the outline does besides moving.
    for part in (max(tolerance / 2, _STEPS_GONE), tolerance / 2, tolerance / 4):
        corners = _simplified(outline.ring, part)
        if len(corners) >= 3 and _fits(outline.ring[corners], outline, tolerance):
            return outline.ring[corners], outline.places[corners]
    return outline.ring, outline.places[:-1]


def _fewest(outline: Outline, polygon: Ring, tolerance: float) -> Ring:
    """Fewer corners for a keyframe from which nothing is interpolated, because it may use all of the tolerance."""
    for share in _SHARES:
        corners = _simplified(outline.ring, share * tolerance)
        if 3 <= len(corners) < len(polygon) and _fits(outline.ring[corners], outline, tolerance):
            return outline.ring[corners]
    return polygon


def _simplified(ring: Ring, tolerance: float) -> list[int]:
    """Indices of the corners that Douglas-Peucker keeps, ascending."""
    kept = cv2.approxPolyDP(ring.astype(np.float32).reshape(-1, 1, 2), tolerance, True).reshape(-1, 2)
    wanted = {(float(x), float(y)) for x, y in kept}
    return [index for index, (x, y) in enumerate(ring) if (float(x), float(y)) in wanted]


def _farthest(
    frames: Sequence[int], shapes: Sequence[Outline], place: int, polygon: Ring, positions: Floats, tolerance: float
) -> tuple[int, Ring, Floats] | None:
    """The farthest place to which the polygon can move in straight lines; None where no frame would be saved."""
    limit = min(place + LONGEST, len(shapes) - 1)
    low, target, high = place + 1, place + 2, limit + 1  # `high` does not hold, or is out of bounds
    best: tuple[int, Ring, Floats] | None = None
    while low < target < high:
        moved = _moved(polygon, positions, shapes[place], shapes[target])
        if _holds(frames, shapes, place, target, polygon, moved[0], tolerance):
            best, low = (target, *moved), target
        else:
            high = target
        target = min(2 * target - place, limit) if high > limit else (low + high) // 2
    return best


def _moved(polygon: Ring, positions: Floats, here: Outline, there: Outline) -> tuple[Ring, Floats]:
    """The same vertices on another outline: near where an affine motion of the outline puts them, in the same order."""
    even = np.arange(_SAMPLES) / _SAMPLES
    one, two = here.at(even), there.at(even)
    a, b = (p[:, 0] - p[:, 0].mean() + 1j * (p[:, 1] - p[:, 1].mean()) for p in (one, two))
    shift = int(np.argmax(np.fft.ifft(np.fft.fft(b) * np.conj(np.fft.fft(a))).real)) / _SAMPLES
    source = np.column_stack([one, np.ones(_SAMPLES)])
    affine = np.linalg.lstsq(source, there.at(even + shift), rcond=None)[0]
    expected = np.column_stack([polygon, np.ones(len(polygon))]) @ affine
    middle = positions + shift
    gaps = np.diff(np.append(positions, positions[0] + 1))
    offsets = np.linspace(-0.45, 0.45, 19)[None]
    around = middle[:, None] + np.where(offsets < 0, np.roll(gaps, 1)[:, None], gaps[:, None]) * offsets
    best = np.argmin(((there.at(around) - expected[:, None]) ** 2).sum(-1), axis=1)
    chosen = around[np.arange(len(best)), best]
    return np.round(there.at(chosen), 2), chosen


def _holds(
    frames: Sequence[int],
    shapes: Sequence[Outline],
    start: int,
    end: int,
    one: Ring,
    two: Ring,
    tolerance: float,
) -> bool:
    """CVAT pairs the vertices as they are meant, and every frame on the way keeps within the tolerance."""
    if not paired(one, two):
        return False
    for place in range(end, start, -1):  # the far ones fail first
        progress = (frames[place] - frames[start]) / (frames[end] - frames[start])
        if not _fits(one + (two - one) * progress, shapes[place], tolerance):
            return False
    return True


def _fits(polygon: Ring, outline: Outline, tolerance: float) -> bool:
    return outline.distance(_along(polygon)) <= tolerance and _near(outline.samples, polygon, tolerance - 0.125)


def _along(polygon: Ring) -> Floats:
    """Points on the polygon's edges, at most a quarter of a pixel apart."""
    ends = np.roll(polygon, -1, axis=0)
    counts = np.ceil(np.hypot(*(ends - polygon).T) * 4).astype(int).clip(1)
    edge = np.repeat(np.arange(len(polygon)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    part = (np.arange(len(edge)) - first) / counts[edge]
    points: Floats = polygon[edge] + (ends - polygon)[edge] * part[:, None]
    return points


def _near(points: Floats, polygon: Ring, reach: float) -> bool:
    """Whether all points are within reach of a polygon's edges; a few are looked at first, since most trials fail."""
    along = np.roll(polygon, -1, axis=0) - polygon
    squared = np.maximum((along**2).sum(-1), 1e-12)
    for chunk in (points[::16], *np.array_split(points, max(1, len(points) * len(polygon) // 200_000))):
        offset = chunk[:, None] - polygon[None]
        part = ((offset * along).sum(-1) / squared).clip(0, 1)
        distance = ((offset - part[..., None] * along) ** 2).sum(-1).min(axis=1)
        if distance.max() > reach**2:
            return False
    return True


def thin_boxes(
    frames: Sequence[int], boxes: Sequence[Sequence[float]], tolerance: float
) -> list[tuple[int, list[float]]]:
    """Keyframes of a track of boxes, between which CVAT moves each side evenly.

    Args:
        frames: ascending numbers in which the object is seen without interruption.
        boxes: left, top, right and bottom in each.
        tolerance: pixels by which a side that CVAT shows may be beside the box.
    """
    sides = np.asarray(boxes, np.float64)
    at = np.asarray(frames, np.float64)
    keys = [0]
    while keys[-1] < len(frames) - 1:
        start = keys[-1]
        end = start + 1
        while end + 1 < len(frames):
            share = ((at[start : end + 2] - at[start]) / (at[end + 1] - at[start]))[:, None]
            shown = sides[start] + share * (sides[end + 1] - sides[start])
            if np.abs(shown - sides[start : end + 2]).max() > tolerance:
                break
            end += 1
        keys.append(end)
    return [(frames[key], [float(value) for value in sides[key]]) for key in keys]
