"""Masks drawn over frames, for people to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import cv2
import numpy as np
import numpy.typing as npt

from agss_model.errors import MaskError
from agss_model.masks.files import DAVIS_PALETTE
from agss_model.masks.labels import LabelMap, object_ids, validate_label_map

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

OPACITY = 0.45
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SMALLEST_WITH_TEXT = 48  # pixels: on smaller frames letters would hide the objects


def colour_of(object_id: int) -> Colour:
    """The object's colour (R, G, B) in the DAVIS palette; ids above 255 take the colours from 1 on again."""
    red, green, blue = DAVIS_PALETTE[(object_id - 1) % 255 + 1].tolist()
    return red, green, blue


def draw_overlay(
    frame: Image,
    label_map: LabelMap,
    scores: Mapping[int, float] | None = None,
    lost: Iterable[int] = (),
) -> Image:
    """Draw every object: a translucent fill, an outline in light and dark, and its id with its score above it.

    Args:
        frame: (H, W, 3) uint8 RGB; it is not changed.
        label_map: (H, W), 0 = background, other values = object ids.
        scores: in [0, 1] by object id; objects without one are labelled with the id alone.
        lost: objects that could not be found; they are named in the upper left corner.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        MaskError: the label map is none, or has another size than the frame.
    """
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise MaskError(f"masks are drawn over (height, width, 3) uint8 frames, not {frame.dtype} {frame.shape}")
    validate_label_map(label_map, shape=(frame.shape[0], frame.shape[1]))
    ids = object_ids(label_map)
    drawn = _filled(frame, label_map, ids)
    if min(frame.shape[:2]) < _SMALLEST_WITH_TEXT:
        return drawn
    for object_id in ids:
        score = (scores or {}).get(object_id)
        text = str(object_id) if score is None else f"{object_id} {score:.2f}"
        _write(drawn, text, _head(label_map == object_id), colour_of(object_id))
    if missing := sorted(lost):
        _write(drawn, "lost: " + ", ".join(map(str, missing)), (0, 0), (40, 40, 40))
    return drawn


def _filled(frame: Image, label_map: LabelMap, ids: tuple[int, ...]) -> Image:
    drawn = frame.copy()
    if not ids:
        return drawn
    left, top, width, height = cv2.boundingRect((label_map > 0).view(np.uint8))
    rows, columns = slice(top, top + height), slice(left, left + width)
    table = np.zeros((ids[-1] + 1, 3), np.uint8)
    for object_id in ids:
        table[object_id] = colour_of(object_id)
    labels, part = label_map[rows, columns], frame[rows, columns]
    colours = table.take(labels, axis=0)
    inside = labels > 0
    blended = cv2.addWeighted(part, 1 - OPACITY, colours, OPACITY, 0).reshape(part.shape)
    drawn[rows, columns] = cv2.copyTo(blended, inside.view(np.uint8), part.copy()).reshape(part.shape)
    thickness = 2 if label_map.shape[0] > 720 else 1
    border = _near_another(label_map, thickness)
    drawn[border & (label_map == 0)] = 0  # dark around it and light inside: one of them is seen on any ground
    border = border[rows, columns] & inside
    drawn[rows, columns][border] = _brighter(colours[border])
    return drawn


def _head(mask: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """(x, y) above which an object is labelled: the middle of the top of its largest part."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    window = mask[top : top + height, left : left + width].astype(np.uint8)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(window)
    x, y, width = boxes[1 + int(np.argmax(boxes[1:, cv2.CC_STAT_AREA]))][:3].tolist()
    return left + x + width // 2, top + y


def _near_another(label_map: LabelMap, thickness: int) -> npt.NDArray[np.bool_]:
    """Pixels within `thickness` pixels of another label."""
    kernel = np.ones((2 * thickness + 1, 2 * thickness + 1), np.uint8)
    low, high = cv2.erode(label_map, kernel), cv2.dilate(label_map, kernel)
    return np.asarray(low != high).reshape(label_map.shape)


def _brighter(colours: Image) -> Image:
    """Half way to white, so that contours stand out from the fill."""
    return (colours.astype(np.uint16) + 255 >> 1).astype(np.uint8)


def _write(image: Image, text: str, anchor: tuple[int, int], colour: Colour) -> None:
    """Text on a box of the given colour, standing on the anchor's row and moved into the image where it sticks out."""
    height, width = image.shape[:2]
    scale = max(0.35, min(height, width) / 1200)
    (text_width, text_height), below = cv2.getTextSize(text, _FONT, scale, 1)
    box_width, box_height = text_width + 4, text_height + below + 2
    left = max(0, min(anchor[0] - box_width // 2, width - box_width))
    top = max(0, min(anchor[1] - box_height, height - box_height))
    cv2.rectangle(image, (left, top), (left + box_width, top + box_height), colour, cv2.FILLED)
    brightness = 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]
    ink = (0, 0, 0) if brightness > 140 else (255, 255, 255)
    cv2.putText(image, text, (left + 2, top + text_height + 1), _FONT, scale, ink, 1, cv2.LINE_AA)
