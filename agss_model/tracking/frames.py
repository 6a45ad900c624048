"""Between frames and masks as people have them and tensors as networks want them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agss_model.errors import MaskError, MediaError
from agss_model.masks.labels import BoolMask, LabelMap, object_ids, validate_object_id
from agss_model.network.base import AGSSVOS
from agss_model.network.equations import enlarged_labels
from agss_model.pictures import MAX_SIDE
from agss_model.tracking.quality import Quality
from agss_model.tracking.results import FrameResult, id_type


@dataclass(frozen=True)
class Geometry:
    """Sizes of one clip, in pixels.

    Attributes:
        height: of the frames.
        width: of the frames.
        working: (height, width) the network sees, multiples of its stride.
        carried: (height, width) of the masks the network takes and gives.
    """

    height: int
    width: int
    working: tuple[int, int]
    carried: tuple[int, int]

    @classmethod
    def of(cls, height: int, width: int, network: AGSSVOS, object_side: float = 0.0) -> Geometry:
        """Towards `max_side` of the network's configuration, larger where objects would be tiny.

        Then to the nearest multiples of the network's stride, with `published_grid` to those below, as the published
        code does.

        Args:
            height: of the frames.
            width: of the frames.
            network: whose configuration decides.
            object_side: root of the typical object's area in the frame, pixels; 0 where it is not known.
        """
        config, stride, mask_stride = network.config, network.stride, network.mask_stride
        scale = min(config.max_enlargement, config.max_side / max(height, width))
        if 0 < object_side * scale < config.small_object:
            wanted = min(config.small_object / object_side, config.small_object_max_side / max(height, width))
            most = max(config.small_object_enlargement, config.small_frame / max(height, width))
            scale = max(scale, min(most, wanted))
        cells = math.floor if config.published_grid else round
        rows, columns = (max(stride, cells(side * scale / stride) * stride) for side in (height, width))
        return cls(height, width, (rows, columns), (rows // mask_stride, columns // mask_stride))


def check_frame(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A frame as (H, W, 3) uint8 RGB; grey is repeated, alpha dropped.

    Raises:
        MediaError: not an image of bytes, empty, or a side above 16384.
    """
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
        raise MediaError(f"A frame must be a uint8 array, got {getattr(frame, 'dtype', type(frame).__name__)}.")
    if frame.ndim == 2:
        frame = frame[:, :, None]
    if frame.ndim != 3 or frame.shape[2] not in (1, 3, 4):
        raise MediaError(f"A frame must be (H, W), (H, W, 3) or (H, W, 4), got {frame.shape}.")
    if not 1 <= min(frame.shape[:2]) <= max(frame.shape[:2]) <= MAX_SIDE:
        raise MediaError(f"Frames of {frame.shape[1]}x{frame.shape[0]} are not supported; sides are 1 to {MAX_SIDE}.")
    return np.repeat(frame, 3, 2) if frame.shape[2] == 1 else frame[:, :, :3]


def to_image(frame: npt.NDArray[np.uint8], geometry: Geometry, device: torch.device) -> Tensor:
    """(H, W, 3) uint8 RGB -> (1, 3, h, w) float32 in [0, 1] at the working size, channels last."""
    frame = resized(frame, geometry.working)
    tensor = torch.from_numpy(np.ascontiguousarray(frame)).to(device)
    return tensor.permute(2, 0, 1)[None].float() / 255


def resized(frame: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Bring (H, W, 3) uint8 to `size` (height, width), averaging where it shrinks."""
    rows, columns = size
    if frame.shape[:2] == (rows, columns):
        return frame
    shrinking = rows * columns < frame.shape[0] * frame.shape[1]
    method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(frame, (columns, rows), interpolation=method), np.uint8).reshape(rows, columns, 3)


def typical_side(masks: Iterable[npt.NDArray[np.bool_]]) -> float:
    """Median over the masks of the root of their area, pixels; 0 where there is none."""
    sides = [math.sqrt(area) for mask in masks if (area := int(mask.sum()))]
    return float(np.median(sides)) if sides else 0.0


def check_masks(masks: Mapping[int, BoolMask], geometry: Geometry, tracked: Collection[int]) -> None:
    """Refuse masks of a frame that cannot be used.

    Args:
        masks: for each object id (H, W) bool.
        geometry: of the clip.
        tracked: ids of objects that are being tracked; theirs may be empty.

    Raises:
        MaskError: a wrong id or size, a new object without a pixel, or masks that overlap.
    """
    total = np.zeros((geometry.height, geometry.width), dtype=bool)
    for object_id, mask in masks.items():
        validate_object_id(object_id)
        if mask.shape != total.shape:
            raise MaskError(
                f"A mask is {mask.shape[-1]}x{mask.shape[0]} but the frame is {geometry.width}x{geometry.height}; "
                "draw it on this frame, or resize it without smoothing."
            )
        if not mask.any() and object_id not in tracked:
            raise MaskError(f"The mask of object {object_id} has no pixel; draw it, or leave the object out.")
        if (total & mask).any():
            raise MaskError(f"The mask of object {object_id} overlaps another; a pixel belongs to one object.")
        total |= mask


def to_carried(mask: npt.NDArray[np.bool_], geometry: Geometry) -> Tensor:
    """(H, W) bool -> (h, w) float32 in [0, 1]: the share of each carried pixel that the mask covers."""
    rows, columns = geometry.carried
    image = mask.astype(np.float32)
    if mask.shape != (rows, columns):
        enlarging = rows > mask.shape[0] or columns > mask.shape[1]
        method = cv2.INTER_LINEAR if enlarging else cv2.INTER_AREA
        image = np.asarray(cv2.resize(image, (columns, rows), interpolation=method), np.float32)
    return torch.from_numpy(image.reshape(rows, columns))


def to_slots(probabilities: Tensor, geometry: Geometry, normalised: bool) -> npt.NDArray[np.int16]:
    """Who owns each pixel of the frame (equation 6).

    Args:
        probabilities: (N, h, w) float in [0, 1], carried.
        geometry: of the clip.
        normalised: whether the objects competed (equation 4).

    Returns:
        (H, W) int16, 0 for background and k + 1 for the object in slot k.
    """
    size = (geometry.height, geometry.width)
    slots: npt.NDArray[np.int16] = enlarged_labels(probabilities, size, normalised).cpu().numpy()
    return slots


def to_label_map(probabilities: Tensor, ids: tuple[int, ...], geometry: Geometry, normalised: bool) -> LabelMap:
    """Ids at every pixel of the frame; arguments as for `to_slots`, whose slot k is the object `ids[k]`."""
    names: LabelMap = np.array([0, *ids], dtype=id_type(ids))
    return np.take(names, to_slots(probabilities, geometry, normalised))


def predicted(index: int, ids: tuple[int, ...], label_map: LabelMap, quality: Quality) -> FrameResult:
    """A result as the network sees it; slot k of `quality` belongs to `ids[k]`."""
    quality = quality.on_cpu()
    scores, lost = quality.score.tolist(), quality.lost.tolist()
    shown = set(object_ids(label_map))
    return FrameResult(
        frame_index=index,
        object_ids=ids,
        label_map=label_map,
        scores={i: round(scores[slot], 4) for slot, i in enumerate(ids)},
        lost=frozenset(i for slot, i in enumerate(ids) if lost[slot] or i not in shown),
        reasons={i: quality.reasons(slot) for slot, i in enumerate(ids)},
    )


def annotated(
    tracked: FrameResult | None,
    masks: Mapping[int, BoolMask],
    index: int,
    ids: tuple[int, ...],
    size: tuple[int, int],
) -> FrameResult:
    """A result in which the given masks stand exactly as given, over what was tracked.

    Args:
        tracked: of the same frame, None where nothing was.
        masks: for each object id (H, W) bool.
        index: number of the frame.
        ids: every object.
        size: (H, W).
    """
    dtype = id_type(ids)
    label_map: LabelMap = np.zeros(size, dtype=dtype) if tracked is None else tracked.label_map.astype(dtype)
    label_map[np.isin(label_map, list(masks))] = 0
    for object_id, mask in masks.items():
        label_map[mask] = object_id
    shown = set(object_ids(label_map))
    scores = tracked.scores if tracked else {}
    reasons = tracked.reasons if tracked else {}
    return FrameResult(
        frame_index=index,
        object_ids=ids,
        label_map=label_map,
        scores={i: 1.0 if i in masks else scores.get(i, 0.0) for i in ids},
        lost=frozenset(i for i in ids if i not in shown),
        reasons={i: () if i in masks else reasons.get(i, ()) for i in ids},
        human=frozenset(masks) | (tracked.human if tracked else frozenset()),
    )
