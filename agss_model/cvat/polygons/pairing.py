"""What CVAT shows between two keyframes of a track, and which vertices it moves where."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from agss_model.cvat.authorship import in_order
from agss_model.masks.polygons import Ring

_MARGIN = 0.5  # pixels along the outline


def paired(one: Ring, two: Ring) -> bool:
    """Whether CVAT pairs vertex i of both polygons, for every i; only then is what lies between known.

    It pairs vertices by relative arc length, each with the nearest; that must be the one of the same number. It must be
    so by a margin, because the last digits of points may change (see `agss_model.cvat.authorship`).

    Args:
        one: (N, 2) vertices.
        two: (M, 2) vertices of the same object later.
    """
    if len(one) != len(two):
        return False
    a, b = relative(one), relative(two)
    meant = np.abs(a - b) + _MARGIN / min(_length(one), _length(two))
    # Positions ascend, so that the nearest other one is a neighbour.
    before, after = np.abs(a[1:] - b[:-1]), np.abs(a[:-1] - b[1:])
    return bool((meant[1:] < before).all() and (meant[:-1] < after).all())


def best_start(one: Ring, two: Ring) -> int:
    """The vertex with which both should begin, so that like vertices lie at places along the outlines most alike.

    CVAT counts places from the first vertex, and what lies between vertices grows and shrinks on the way.
    """
    ahead = (relative(one) - relative(two))[:-1]
    return int(np.argmin(np.abs(ahead - (ahead.max() + ahead.min()) / 2)))


def between(track: dict[str, Any], frame: int) -> list[float] | None:
    """Points of a polygon or box that CVAT shows in a frame between two keyframes of a track.

    Returns:
        None on a keyframe, before the first, after the last, where the track is outside, and where CVAT would not move
        each vertex to its like.
    """
    shapes = in_order(track)
    for one, two in pairwise(shapes):
        start, end = int(one["frame"]), int(two["frame"])
        if start < frame < end and not one.get("outside"):
            a, b = np.asarray(one["points"], float), np.asarray(two["points"], float)
            if two.get("outside"):
                return [float(value) for value in a]
            if one["type"] != "rectangle" and not paired(a.reshape(-1, 2), b.reshape(-1, 2)):
                return None
            return [float(value) for value in a + (b - a) * ((frame - start) / (end - start))]
    return None


def relative(ring: Ring) -> Ring:
    """Relative arc length at each vertex of a closed curve, and 1 at the end."""
    along = np.cumsum(_edges(ring) + 1e-9)  # one after the other, as the browser adds
    places: Ring = np.concatenate([[0.0], along]) / along[-1]
    return places


def _length(ring: Ring) -> float:
    return float(np.cumsum(_edges(ring))[-1])


def _edges(ring: Ring) -> Ring:
    """Length of each edge, the last one back to the first vertex."""
    dx, dy = np.diff(np.vstack([ring, ring[:1]]), axis=0).T
    lengths: Ring = np.sqrt(dx * dx + dy * dy)
    return lengths
