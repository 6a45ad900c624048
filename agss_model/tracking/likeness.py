"""What looks like given points of a frame, by the features of a network."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agss_model.masks.points import Map, Point
from agss_model.network.base import AGSSVOS
from agss_model.tracking.frames import Geometry, check_frame, to_image

_MOST_ALIKE = 3  # cells of the border of the frame that stand for what is beside the object


@torch.inference_mode()
def likeness(
    network: AGSSVOS, frame: npt.NDArray[np.uint8], inside: tuple[Point, ...], outside: tuple[Point, ...]
) -> Map:
    """How much more each pixel looks like the points on an object than like those beside it and the frame's border.

    Args:
        network: in eval mode.
        frame: (H, W, 3) uint8 RGB.
        inside: points on the object, at least one.
        outside: points beside it.

    Returns:
        (H, W) float32, -2 to 2; 0 everywhere for a network without features to compare.
    """
    height, width = frame.shape[:2]
    image = to_image(check_frame(frame), Geometry.of(height, width, network), next(network.parameters()).device)
    features = network.encode(image)
    maps = [found for found in (features.key, features.appearance) if found is not None]
    total = np.zeros((height, width), np.float32)
    for found in maps:
        cells = _gained(found[0].float(), (height, width), inside, outside) / len(maps)
        total += cv2.resize(cells.cpu().numpy(), (width, height), interpolation=cv2.INTER_LINEAR)
    return total


def _gained(cells: Tensor, size: tuple[int, int], inside: tuple[Point, ...], outside: tuple[Point, ...]) -> Tensor:
    """(D, h, w) -> (h, w), by the cosine to the most alike of the points."""
    unit = cells / cells.norm(dim=0, keepdim=True).clamp_min(1e-6)
    h, w = unit.shape[1:]

    def at(points: tuple[Point, ...]) -> Tensor:
        return torch.stack([unit[:, int(y * h / size[0]), int(x * w / size[1])] for x, y in points], 1)

    def alike(those: Tensor) -> Tensor:
        return torch.einsum("dhw,dn->hwn", unit, those)

    border = torch.cat([unit[:, 0], unit[:, -1], unit[:, :, 0], unit[:, :, -1]], 1)
    beside = alike(border).topk(min(_MOST_ALIKE, border.shape[1]), -1).values.mean(-1)
    if outside:
        beside = torch.maximum(beside, alike(at(outside)).amax(-1))
    return alike(at(inside)).amax(-1) - beside
