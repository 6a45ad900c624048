"""Run lengths: CVAT mask points and COCO RLE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from agss_model.errors import MaskError
from agss_model.masks.labels import BoolMask

_MAX_BOX_SIDE = 16384
_INT64 = npt.NDArray[np.int64]


def encode_cvat_mask(mask: BoolMask) -> list[int]:
    """Encode a mask as the points of a CVAT mask shape.

    Args:
        mask: (H, W) bool with at least one pixel set.

    Returns:
        Run lengths, row by row inside the bounding box and starting with background (the first may be 0), then
        left, top, right, bottom (inclusive).

    Raises:
        MaskError: not a bool mask, or no pixel set (CVAT has no valid form for an empty mask).
    """
    _check_bool(mask)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        raise MaskError("an empty mask cannot be a CVAT shape; send no shape for this object instead")
    top, bottom, left, right = int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
    box = mask[top : bottom + 1, left : right + 1]
    return [*_run_lengths(box.ravel()), left, top, right, bottom]


def decode_cvat_mask(points: Sequence[float], *, width: int, height: int, clip: bool = False) -> BoolMask:
    """Decode the points of a CVAT mask shape; everything is checked before the runs are expanded.

    Args:
        points: as `encode_cvat_mask` returns them; whole floats are welcome. A shape of background only is accepted
            and gives an empty mask.
        width: of the image, in pixels.
        height: of the image, in pixels.
        clip: accept a box that reaches beyond the image (CVAT stores such shapes) and cut off what lies outside.

    Returns:
        (height, width) bool.

    Raises:
        MaskError: too few or non-integer numbers, a box outside the image, or runs that do not fill the box.
    """
    numbers = _integers(points, "CVAT mask points")
    if numbers.size < 5:
        raise MaskError(
            f"CVAT mask points need run lengths and a box, at least 5 numbers, but there are {numbers.size}"
        )
    left, top, right, bottom = (int(value) for value in numbers[-4:])
    if clip and left <= right and top <= bottom:
        return _clipped(numbers, width, height)
    if not (0 <= left <= right < width and 0 <= top <= bottom < height):
        raise MaskError(
            f"the mask's box (left {left}, top {top}, right {right}, bottom {bottom}) is not inside the "
            f"{width}x{height} image; send the shape of the same image"
        )
    shape = bottom - top + 1, right - left + 1
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[top : bottom + 1, left : right + 1] = _expand(numbers[:-4], shape[0] * shape[1], "CVAT mask").reshape(shape)
    return mask


def _clipped(numbers: _INT64, width: int, height: int) -> BoolMask:
    left, top, right, bottom = (int(value) for value in numbers[-4:])
    shape = bottom - top + 1, right - left + 1
    if max(shape) > _MAX_BOX_SIDE:
        raise MaskError(f"the mask's box is {shape[1]}x{shape[0]} pixels; a side may be at most {_MAX_BOX_SIDE}")
    box = _expand(numbers[:-4], shape[0] * shape[1], "CVAT mask").reshape(shape)
    mask = np.zeros((height, width), dtype=np.bool_)
    rows, columns = slice(max(top, 0), min(bottom + 1, height)), slice(max(left, 0), min(right + 1, width))
    if rows.start < rows.stop and columns.start < columns.stop:
        mask[rows, columns] = box[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return mask


def encode_coco_rle(mask: BoolMask) -> dict[str, Any]:
    """Encode a (H, W) bool mask as compressed COCO RLE: `{"size": [H, W], "counts": str}`.

    Raises:
        MaskError: not a bool mask.
    """
    from pycocotools import mask as coco

    _check_bool(mask)
    encoded = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def decode_coco_rle(rle: Mapping[str, Any], *, max_side: int = 16384) -> BoolMask:
    """Decode COCO RLE, compressed (counts as str or bytes) or not (counts as list of integers).

    The counts are unpacked and checked here, and expanded only when they fill the image exactly: pycocotools trusts
    them, and hostile counts make it write outside its memory.

    Args:
        rle: `{"size": [H, W], "counts": ...}`.
        max_side: largest height or width accepted, in pixels.

    Returns:
        (H, W) bool.

    Raises:
        MaskError: keys are missing, the size is out of range, or the counts do not fill the image.
    """
    if not isinstance(rle, Mapping) or not {"size", "counts"} <= rle.keys():
        raise MaskError("COCO RLE needs the keys 'size' and 'counts'")
    size = _integers(rle["size"], "the size of COCO RLE")
    if size.size != 2 or size.min() < 1 or size.max() > max_side:
        raise MaskError(f"the size of COCO RLE is {size.tolist()}; it must be [height, width], each 1 to {max_side}")
    counts = rle["counts"]
    runs = _unpack_coco(counts) if isinstance(counts, (str, bytes)) else _integers(counts, "the counts of COCO RLE")
    height, width = (int(side) for side in size)
    return np.ascontiguousarray(_expand(runs, height * width, "COCO RLE").reshape(width, height).T)


def _check_bool(mask: BoolMask) -> None:
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.ndim != 2 or mask.size == 0:
        kind = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise MaskError(f"a mask must be a (height, width) bool array, not {kind}; pass mask > 0")


def _integers(values: Sequence[float], what: str) -> _INT64:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MaskError(f"{what} must be a list of integers") from error
    # Beyond 2**53 a float no longer holds every integer, and no image is that large.
    if numbers.ndim != 1 or not (np.abs(numbers) < 2**53).all() or (numbers != np.trunc(numbers)).any():
        raise MaskError(f"{what} must be a flat list of finite integers")
    return numbers.astype(np.int64)


def _run_lengths(flat: BoolMask) -> list[int]:
    borders = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs: list[int] = np.diff(borders, prepend=0, append=flat.size).tolist()
    return [0, *runs] if flat[0] else runs


def _expand(runs: _INT64, size: int, what: str) -> BoolMask:
    if runs.size and runs.min() < 0:
        raise MaskError(f"{what} has a negative run length ({int(runs.min())})")
    # Summed as Python integers: an int64 sum of hostile runs could wrap around to the expected value.
    if (total := sum(runs.tolist())) != size:
        raise MaskError(f"the runs of the {what} cover {total} pixels, but its box has {size}; the shape is damaged")
    return np.repeat(np.arange(runs.size) % 2 == 1, runs)


def _unpack_coco(counts: str | bytes) -> _INT64:
    """COCO packs each run into groups of five bits, from the third run on as the difference to the run two before."""
    text = counts.encode("utf-8") if isinstance(counts, str) else counts
    runs: list[int] = []
    value = shift = 0
    for byte in text:
        code = byte - 48
        if not 0 <= code < 64 or shift > 30:
            raise MaskError("the counts of COCO RLE are not in COCO's compressed form")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise MaskError("the counts of COCO RLE end in the middle of a number; the annotation is cut off")
    return np.array(runs, dtype=np.int64) if max(map(abs, runs), default=0) < 2**53 else _integers(runs, "COCO counts")
