"""From a few points on an object and beside it to the object.

Which way finds most, on the first frames of ten DAVIS-2016 sequences with three points on the object and two beside it:
mean overlap with the object's true mask. The last line is of three draws of points on nine of them (0.31 to 0.80);
without a network it is 0.37.

    nearer to a point on it than to one beside it or the border       0.25
    the same, by colours from there on (GrabCut)                      0.44
    looks more like a point on it (the network's features), nearness  0.56
    the same, by colours from there on, where these do not go astray  0.61
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from agss_model.errors import MaskError
from agss_model.masks.labels import BoolMask

Point = tuple[float, float]
"""x and y in pixels."""
Map = npt.NDArray[np.float32]
Likeness = Callable[[npt.NDArray[np.uint8], tuple[Point, ...], tuple[Point, ...]], Map]
"""(H, W): above 0 where a frame looks more like the points on the object than like what is beside it."""

WORKING_SIDE = 240
"""Longest side of the frame, in pixels, at which its colours are told apart."""
ROUNDS = 4
NEARNESS = 0.3
"""What the distance to the points counts beside the likeness."""
LEAST_OVERLAP = 0.3
"""With where it began; below it, colours went astray."""


def object_at_points(
    frame: npt.NDArray[np.uint8],
    inside: tuple[Point, ...],
    outside: tuple[Point, ...] = (),
    likeness: Likeness | None = None,
) -> BoolMask:
    """The pixels around points that belong together.

    Args:
        frame: (H, W, 3) uint8 RGB.
        inside: points on the object, at least one.
        outside: points beside it.
        likeness: what looks alike; None to go by nearness and colours alone.

    Returns:
        (H, W) bool, with the points on the object and without those beside it; the same for the same input.

    Raises:
        MaskError: no point on the object, or a point outside the frame.
    """
    height, width = frame.shape[:2]
    if not inside:
        raise MaskError("no point on the object is given; give at least one")
    for x, y in (*inside, *outside):
        if not (0 <= x < width and 0 <= y < height):
            raise MaskError(f"point {x:g},{y:g} is outside the frame, which is {width}x{height} pixels")
    near = _nearness((height, width), inside, outside)
    begun = (near if likeness is None else likeness(frame, inside, outside) + NEARNESS * near) > 0
    found = _by_colours(frame, begun, inside, outside)
    union = np.count_nonzero(found | begun)
    mask = found if union and np.count_nonzero(found & begun) >= LEAST_OVERLAP * union else begun
    return with_points(mask, inside, outside)


def _nearness(shape: tuple[int, int], inside: tuple[Point, ...], outside: tuple[Point, ...]) -> Map:
    """-1 to 1, above 0 where a point on the object is nearer than one beside it or the border."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)

    def to(points: tuple[Point, ...]) -> Map:
        return np.asarray(np.min([np.hypot(x - px, y - py) for px, py in points], axis=0), np.float32)

    border = np.minimum.reduce([x, y, shape[1] - 1 - x, shape[0] - 1 - y])
    beside = np.minimum(to(outside), border + 0.15 * min(shape)) if outside else border
    near = beside - to(inside)
    return np.asarray(near / max(1.0, float(np.abs(near).max())), np.float32)


def _by_colours(
    frame: npt.NDArray[np.uint8], begun: BoolMask, inside: tuple[Point, ...], outside: tuple[Point, ...]
) -> BoolMask:
    """Parts with a point on the object of what GrabCut makes of a beginning."""
    scale = min(1.0, WORKING_SIDE / max(frame.shape[:2]))
    size = (max(8, round(frame.shape[1] * scale)), max(8, round(frame.shape[0] * scale)))
    small = cv2.resize(frame[:, :, ::-1], size, interpolation=cv2.INTER_AREA)
    likely = cv2.resize(begun.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    marks = np.where(likely, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    marks[:2] = marks[-2:] = cv2.GC_BGD
    marks[:, :2] = marks[:, -2:] = cv2.GC_BGD
    places = {point: (int(point[0] * scale), int(point[1] * scale)) for point in (*inside, *outside)}
    for points, mark in ((inside, cv2.GC_FGD), (outside, cv2.GC_BGD)):
        for point in points:
            cv2.circle(marks, places[point], 2, mark, cv2.FILLED)
    cv2.setRNGSeed(0)  # GrabCut starts from random clusters
    empty = np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(small), marks, (0, 0, 1, 1), empty, empty.copy(), ROUNDS, cv2.GC_INIT_WITH_MASK)
    _, parts = cv2.connectedComponents(marks & 1)
    wanted = {int(parts[min(y, size[1] - 1), min(x, size[0] - 1)]) for x, y in map(places.__getitem__, inside)} - {0}
    share = cv2.resize(np.isin(parts, list(wanted)).astype(np.float32), begun.shape[::-1])
    return np.asarray(share > 0.5, np.bool_)


def with_points(mask: BoolMask, inside: tuple[Point, ...], outside: tuple[Point, ...]) -> BoolMask:
    """A (H, W) mask with the pixels at points on the object, and without those at points beside it."""
    drawn = mask.astype(np.uint8)
    for points, value in ((outside, 0), (inside, 1)):
        for x, y in points:
            cv2.circle(drawn, (int(x), int(y)), 1, value, cv2.FILLED)
    return drawn.astype(np.bool_)
