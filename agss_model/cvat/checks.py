"""Shapes as CVAT writes them, checked before anything is expanded."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from agss_model.cvat.records import SHAPE_KINDS, CvatShape, ShapeKind
from agss_model.errors import MaskError

MAX_NUMBERS = 4_000_000  # in one shape
HUMAN_SOURCES = frozenset({"manual", "semi-auto", "file", "consensus"})
"""CVAT marks as `auto` what a model made and nobody touched; it turns into `semi-auto` when somebody edits it."""
_NUMBERS = re.compile(r"[0-9eE+\-., ;\n\t]*")


def numbers_in(text: str, what: str) -> npt.NDArray[np.float64]:
    """Numbers separated by commas, semicolons or spaces.

    Raises:
        MaskError: something else, or too many.
    """
    parts = text.replace(";", " ").replace(",", " ").split()
    if len(parts) > MAX_NUMBERS:
        raise MaskError(f"{what} has {len(parts)} numbers; at most {MAX_NUMBERS} are read")
    if not _NUMBERS.fullmatch(text):
        raise MaskError(f"{what} is no list of numbers: {text[:40]!r}")
    try:
        return np.array(parts, dtype=np.float64)
    except ValueError as error:
        raise MaskError(f"{what} is no list of numbers: {error}") from error


def checked_shape(
    kind: str,
    points: Sequence[float] | npt.NDArray[np.float64],
    *,
    width: int,
    height: int,
    z_order: int = 0,
) -> CvatShape | None:
    """A shape that is known to fit its image, without expanding it; None for a mask of background only.

    Args:
        kind: one of `SHAPE_KINDS`: what the numbers mean, see `CvatShape`.
        points: run lengths and box, or x and y in turn.
        width: of the image, pixels.
        height: of the image, pixels.
        z_order: as CVAT says.

    Raises:
        MaskError: another kind, runs that do not fill their box, a box outside the image, an odd or short polygon, or
            numbers that are not finite.
    """
    if kind not in _CHECKS:
        raise MaskError(f"a shape of kind {kind!r} is not read; shapes that are read are {', '.join(SHAPE_KINDS)}")
    read, filled = _CHECKS[kind]
    try:
        flat = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MaskError(f"the points of a {kind} are no numbers") from error
    if flat.ndim != 1 or flat.size > MAX_NUMBERS or not np.isfinite(flat).all():
        raise MaskError(f"the points of a {kind} must be a flat list of at most {MAX_NUMBERS} finite numbers")
    return CvatShape(read, flat, z_order) if filled(flat, width, height) else None


def _check_polygon(flat: npt.NDArray[np.float64], _width: int, _height: int) -> bool:
    """Whether it is worth keeping, which every polygon is."""
    if flat.size < 6 or flat.size % 2 or np.abs(flat).max() >= 1e9:
        raise MaskError(f"a polygon needs an even count of at least 6 numbers below 1e9, but has {flat.size}")
    return True


def _check_mask(flat: npt.NDArray[np.float64], width: int, height: int) -> bool:
    """Whether a mask has any pixel; raises where it does not fit."""
    if flat.size < 5 or (flat != np.trunc(flat)).any() or np.abs(flat).max() >= 2**53:
        raise MaskError(f"a mask needs whole run lengths and a box, at least 5 numbers; it has {flat.size}")
    runs, (left, top, right, bottom) = flat[:-4], flat[-4:].astype(np.int64).tolist()
    if not (0 <= left <= right < width and 0 <= top <= bottom < height):
        raise MaskError(
            f"the mask's box (left {left}, top {top}, right {right}, bottom {bottom}) is not inside the "
            f"{width}x{height} image"
        )
    area = (right - left + 1) * (bottom - top + 1)
    if runs.min() < 0 or (total := sum(map(int, runs))) != area:
        raise MaskError(f"the mask's runs cover {total if runs.min() >= 0 else 'negative'} pixels, its box has {area}")
    return bool(runs[1::2].any())


_CHECKS: dict[str, tuple[ShapeKind, Callable[[npt.NDArray[np.float64], int, int], bool]]] = {
    "mask": ("mask", _check_mask),
    "polygon": ("polygon", _check_polygon),
}
