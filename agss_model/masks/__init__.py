"""Masks in every form the tool meets, with exact round trips (or a stated loss).

The exchange type is the label map: (H, W) uint8 or uint16, 0 = background, other values = object ids. Image files, run
lengths, polygons, boxes and points come in; label maps go out, and back. May import no other room.
"""

from __future__ import annotations

from agss_model.masks.cvat_shapes import SHAPE_TYPES, mask_to_shape, shape_to_mask
from agss_model.masks.files import DAVIS_PALETTE, encode_label_map, read_label_map, write_label_map
from agss_model.masks.labels import (
    MAX_OBJECT_ID,
    BoolMask,
    LabelMap,
    object_ids,
    to_label_map,
    to_masks,
    validate_label_map,
    validate_object_id,
)
from agss_model.masks.polygons import Polygon, mask_to_polygons, polygons_to_mask
from agss_model.masks.rle import decode_coco_rle, decode_cvat_mask, encode_coco_rle, encode_cvat_mask

__all__ = [
    "DAVIS_PALETTE",
    "MAX_OBJECT_ID",
    "SHAPE_TYPES",
    "BoolMask",
    "LabelMap",
    "Polygon",
    "decode_coco_rle",
    "decode_cvat_mask",
    "encode_coco_rle",
    "encode_cvat_mask",
    "encode_label_map",
    "mask_to_polygons",
    "mask_to_shape",
    "object_ids",
    "polygons_to_mask",
    "read_label_map",
    "shape_to_mask",
    "to_label_map",
    "to_masks",
    "validate_label_map",
    "validate_object_id",
    "write_label_map",
]
