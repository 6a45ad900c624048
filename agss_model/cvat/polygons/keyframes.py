"""Few keyframes of a track for many outlines, never further from them than a tolerance, or less for small ones.

Between two keyframes CVAT moves each vertex in a straight line to the vertex it is paired with. Keyframes here come in
stretches. Within one, the same vertices are carried along from frame to frame and laid on each outline anew; keyframes
are straight lines through where they lie, so that what only trembles does not move, and every frame between two
keyframes is compared with its outline as CVAT shows it. The first vertex is chosen so that CVAT's pairing by arc length
holds for long, and of two sets of vertices the one that lasts longer is taken. Where vertices cannot be carried on, a
new stretch begins with the next frame, so that nothing is ever interpolated between polygons that do not correspond.

The button thins with the same algorithm and the same results, see `agss_model.cvat.polygons.outlines`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agss_model.cvat.polygons.outlines import Outline, fits, settled, shift, simplified
from agss_model.cvat.polygons.pairing import best_start, paired
from agss_model.errors import ConfigError
from agss_model.masks.polygons import Ring, fitting

LEAST = 0.5
"""Smallest tolerance in pixels; the exact outline is always found to be within it."""
MOST = 20.0
"""Largest tolerance in pixels."""
TOLERANCE = 2.0
"""What is taken where nobody asks for another, in pixels; the button has all three in `cvat_ui/src/settings.js`."""
SIGNATURE_SHIFT = 0.1
"""Pixels by which the signature of a keyframe can move a point, which has at most one decimal."""
LONGEST = 64  # frames of a stretch, which bounds memory
_SHARES = (1.0, 0.7)  # of the tolerance that leaving out corners may use up; few corners are paired for longer
_ROUNDS = 20
_PATIENCE = 2  # frames that may fail before no further one is tried

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Key:
    """A keyframe.

    Attributes:
        frame: its number.
        points: (N, 2) float64, x and y in pixels, with at most one decimal.
    """

    frame: int
    points: Ring


def thin(frames: Sequence[int], outlines: Sequence[Ring], tolerance: float) -> list[Key]:
    """Keyframes for frames in which an object is seen without interruption.

    Args:
        frames: ascending numbers; missing ones (deleted frames) are interpolated over and not compared.
        outlines: the exact outline in each.
        tolerance: pixels, `LEAST` to `MOST`. In every frame, no point of the polygon that CVAT shows is further than
            this from the outline, and no point of the outline further from the polygon; than less where the outline is
            small, see `agss_model.masks.polygons.fitting`.

    Raises:
        ConfigError: a tolerance outside these bounds.
    """
    tolerance = _checked(tolerance) - SIGNATURE_SHIFT
    keys: list[Key] = []
    place = 0
    while place < len(frames):
        tries = [_Stretch(frames, outlines, place, tolerance, share).keys() for share in _SHARES]
        found = max(tries, key=lambda keys: ((keys[-1][0] - place + 1) / len(keys), -len(keys[0][1])))
        keys += [Key(frames[at], points) for at, points in found]
        place = found[-1][0] + 1
    return keys


class _Stretch:
    """Vertices chosen on one outline and carried along."""

    def __init__(
        self, frames: Sequence[int], rings: Sequence[Ring], start: int, tolerance: float, share: float
    ) -> None:
        self._frames, self._rings, self._start, self._tolerance = frames, rings, start, tolerance
        self._last = min(start + LONGEST, len(frames) - 1)
        first = Outline(rings[start])
        self._outlines, self._within = [first], [fitting(tolerance, rings[start])]
        corners = first.points[simplified(first, share * self._within[0])]
        self._lies = [settled(corners, first, _ROUNDS)]  # where the vertices lie in each frame
        self._moved = np.zeros(2)

    def keys(self) -> list[tuple[int, Ring]]:
        """Places in the list of frames, and polygons."""
        found = self._first()
        while len(found) > 1 and (further := self._farthest(found[-1])) is not None:
            found.append(further)
        return found

    def _first(self) -> list[tuple[int, Ring]]:
        """The first two keyframes, both chosen freely; or a single one, with the fewest corners."""
        best: list[tuple[int, Ring]] = []
        misses = begin = 0
        for end in range(self._start + 1, self._last + 1):
            lies = self._lie(self._start, end)
            turn = best_start(lies[0], lies[-1])
            lies = np.roll(lies, -turn, axis=1)
            at = self._at(self._start, end)
            mean, middle = _sum(lies) / len(lies), _sum(at) / len(at)
            slope = _sum((at - middle)[:, None, None] * (lies - mean)) / _sum((at - middle) ** 2)
            ends = mean + slope * (at[0] - middle), mean + slope * (at[-1] - middle)
            pairs = ((mean, mean), ends, (lies[0], lies[-1]))
            rounded = ((_rounded(one), _rounded(two)) for one, two in pairs)
            good = next((pair for pair in rounded if self._holds(self._start, end, *pair)), None)
            misses = 0 if good else misses + 1
            if good:
                best, begin = [(self._start, good[0]), (end, good[1])], turn
            if misses > _PATIENCE:
                break
        self._lies = [np.roll(lie, -begin, axis=0) for lie in self._lies]
        outline = self._outlines[0]
        return best or [(self._start, outline.points[simplified(outline, self._within[0])])]

    def _farthest(self, key: tuple[int, Ring]) -> tuple[int, Ring] | None:
        """The farthest keyframe that can follow one."""
        start, polygon = key
        best: tuple[int, Ring] | None = None
        misses = 0
        for end in range(start + 1, self._last + 1):
            lies = self._lie(start, end)
            at = self._at(start, end)
            slope = _sum(at[:, None, None] * (lies - polygon)) / _sum(at**2)
            tries = (polygon, polygon + slope * at[-1], lies[-1])
            good = next((to for to in map(_rounded, tries) if self._holds(start, end, polygon, to)), None)
            misses = misses + 1 if good is None else 0
            if good is not None:
                best = end, good
            if misses > _PATIENCE:
                break
        return best

    def _holds(self, start: int, end: int, one: Ring, two: Ring) -> bool:
        """CVAT pairs the vertices as they are meant, and every frame on the way keeps within the tolerance."""
        if not paired(one, two):
            return False
        at = self._at(start, end)
        for place in range(end, start - 1, -1):  # the far ones fail first
            share = at[place - start] / at[-1]
            at_place = place - self._start
            if not fits(one + (two - one) * share, self._outlines[at_place], self._within[at_place]):
                return False
        return True

    def _at(self, start: int, end: int) -> Floats:
        """Numbers of the frames from `start` on."""
        return np.asarray([self._frames[place] - self._frames[start] for place in range(start, end + 1)], np.float64)

    def _lie(self, start: int, end: int) -> Floats:
        """(frames, N, 2), carried on as far as is asked for."""
        while len(self._lies) <= end - self._start:
            ring = self._rings[self._start + len(self._lies)]
            here, there = self._outlines[-1], Outline(ring)
            self._moved = shift(here, there, self._moved)
            self._outlines.append(there)
            self._within.append(fitting(self._tolerance, ring))
            self._lies.append(settled(self._lies[-1] + self._moved, there, _ROUNDS))
        return np.stack(self._lies[start - self._start : end - self._start + 1])


def _sum(values: Floats) -> Floats:
    """Along the first axis, one after the other, which numpy's own sum does not promise."""
    total: Floats = np.cumsum(values, axis=0)[-1]
    return total


def _rounded(polygon: Floats) -> Ring:
    """Round coordinates to one decimal, which leaves the hundredths to the signature."""
    rounded: Ring = np.floor(polygon * 10 + 0.5) / 10
    return rounded


def thin_boxes(
    frames: Sequence[int], boxes: Sequence[Sequence[float]], tolerance: float
) -> list[tuple[int, list[float]]]:
    """Keyframes of a track of boxes, between which CVAT moves each side evenly.

    Args:
        frames: ascending numbers in which the object is seen without interruption.
        boxes: left, top, right and bottom in each.
        tolerance: pixels, `LEAST` to `MOST`, by which a side that CVAT shows may be beside the box; less for small
            ones, as in `thin`.

    Raises:
        ConfigError: a tolerance outside these bounds.
    """
    tolerance = _checked(tolerance) - SIGNATURE_SHIFT
    sides = np.asarray(boxes, np.float64)
    within = np.asarray([fitting(tolerance, _corners(*box)) for box in boxes])
    at = np.asarray(frames, np.float64)
    keys = [0]
    while keys[-1] < len(frames) - 1:
        start = keys[-1]
        end = start + 1
        while end + 1 < len(frames):
            share = ((at[start : end + 2] - at[start]) / (at[end + 1] - at[start]))[:, None]
            shown = sides[start] + share * (sides[end + 1] - sides[start])
            if (np.abs(shown - sides[start : end + 2]).max(axis=1) > within[start : end + 2]).any():
                break
            end += 1
        keys.append(end)
    return [(frames[key], [float(value) for value in sides[key]]) for key in keys]


def _corners(left: float, top: float, right: float, bottom: float) -> Ring:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)


def _checked(tolerance: float) -> float:
    if not LEAST <= tolerance <= MOST:
        raise ConfigError(f"The tolerance is {tolerance} pixels; it must be from {LEAST} to {MOST}.")
    return tolerance
