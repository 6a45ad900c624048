"""Label maps and per-object masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from agss_model.errors import MaskError

LabelMap = npt.NDArray[np.uint8 | np.uint16]
BoolMask = npt.NDArray[np.bool_]

MAX_OBJECT_ID = 65535


def validate_object_id(object_id: int) -> int:
    """Return `object_id` as a plain int.

    Raises:
        MaskError: it is not an integer from 1 to 65535.
    """
    if isinstance(object_id, (bool, np.bool_)) or not isinstance(object_id, (int, np.integer)):
        raise MaskError(f"object id {object_id!r} is not an integer; use 1 to {MAX_OBJECT_ID}")
    if not 1 <= object_id <= MAX_OBJECT_ID:
        raise MaskError(f"object id {object_id} is out of range; use 1 to {MAX_OBJECT_ID} (0 is the background)")
    return int(object_id)


def validate_label_map(label_map: npt.NDArray[Any], shape: tuple[int, int] | None = None) -> LabelMap:
    """Check that an array is a label map, and return it unchanged.

    Args:
        label_map: (H, W) uint8 or uint16, at least one pixel.
        shape: the (H, W) it must have, if given.

    Raises:
        MaskError: wrong type, dimensions or size.
    """
    if not isinstance(label_map, np.ndarray):
        raise MaskError(f"a label map must be a numpy array, not {type(label_map).__name__}")
    if label_map.dtype not in (np.uint8, np.uint16):
        raise MaskError(
            f"a label map must be uint8 or uint16, not {label_map.dtype}; convert it with astype(numpy.uint16)"
        )
    if label_map.ndim != 2 or label_map.size == 0:
        raise MaskError(
            f"a label map must be (height, width) with at least one pixel, but its shape is {label_map.shape}"
        )
    if shape is not None and label_map.shape != tuple(shape):
        height, width = label_map.shape
        raise MaskError(
            f"the mask is {width}x{height} pixels but the frame is {shape[1]}x{shape[0]}; "
            "export the mask at the size of the frame"
        )
    return label_map


def object_ids(label_map: LabelMap) -> tuple[int, ...]:
    """The ids present in a label map, ascending, without the background."""
    validate_label_map(label_map)
    counts = np.bincount(label_map.ravel())
    return tuple(int(value) for value in np.flatnonzero(counts) if value)


def to_masks(label_map: LabelMap) -> dict[int, BoolMask]:
    """One (H, W) bool mask per id present, in ascending order of ids."""
    return {object_id: label_map == object_id for object_id in object_ids(label_map)}


def to_label_map(
    masks: Mapping[int, BoolMask],
    *,
    shape: tuple[int, int] | None = None,
    on_overlap: Literal["raise", "last"] = "raise",
) -> LabelMap:
    """Join per-object masks into one label map.

    Args:
        masks: object id (1 to 65535) to (H, W) bool mask. An empty mask leaves its id out of the result.
        shape: (H, W) of the result. Needed only when `masks` is empty; otherwise every mask must have it.
        on_overlap: what happens where two masks share a pixel: "raise" an error, or the "last" one in the
            order of the mapping wins.

    Returns:
        (H, W) uint8, or uint16 when an id is above 255.

    Raises:
        MaskError: ids or masks break the rules, sizes differ, or masks overlap.
    """
    if on_overlap not in ("raise", "last"):
        raise MaskError(f"on_overlap is {on_overlap!r}; use 'raise' or 'last'")
    ids = [validate_object_id(object_id) for object_id in masks]
    if shape is None:
        if not ids:
            raise MaskError("no masks were given, so the size is unknown; pass shape=(height, width)")
        shape = np.shape(masks[ids[0]])[:2]
    label_map: LabelMap = np.zeros(shape, dtype=np.uint16 if max(ids, default=0) > 255 else np.uint8)
    validate_label_map(label_map)
    for object_id in ids:
        mask = _checked_mask(masks[object_id], object_id, label_map.shape)
        if on_overlap == "raise" and (taken := label_map[mask]).any():
            other, count = int(taken[taken > 0][0]), int(np.count_nonzero(taken))
            raise MaskError(
                f"the masks of objects {other} and {object_id} overlap in {count} pixels; "
                "give each pixel to one object, or pass on_overlap='last'"
            )
        label_map[mask] = object_id
    return label_map


def _checked_mask(mask: BoolMask, object_id: int, shape: tuple[int, ...]) -> BoolMask:
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        kind = mask.dtype if isinstance(mask, np.ndarray) else type(mask).__name__
        raise MaskError(f"the mask of object {object_id} must be a bool array, not {kind}; pass mask > 0")
    if mask.shape != shape:
        raise MaskError(f"the mask of object {object_id} has shape {mask.shape}, but {shape} is expected")
    return mask
