"""Between frames and masks as people have them and tensors as networks want them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agss_model.errors import MaskError, MediaError
from agss_model.network.base import AGSSVOS
from agss_model.network.equations import enlarged_labels

MAX_SIDE = 16384


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
            scale = max(scale, min(config.max_enlargement, wanted))
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


def check_mask_size(mask: npt.NDArray[np.bool_], geometry: Geometry) -> None:
    """Refuse a mask of another size than the frame.

    Raises:
        MaskError: with both sizes.
    """
    if mask.shape != (geometry.height, geometry.width):
        raise MaskError(
            f"A mask is {mask.shape[-1]}x{mask.shape[0]} but the frame is {geometry.width}x{geometry.height}; "
            "draw it on this frame, or resize it without smoothing."
        )


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
