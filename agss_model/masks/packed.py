"""Label maps of many frames, small until one is looked at."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

import numpy as np

from agss_model.masks.labels import LabelMap


class PackedMaps(Mapping[int, LabelMap]):
    """Label maps by frame, compressed: a thousand of 1920x1080 take some ten MB instead of two GB.

    Each look at one gives a new array.
    """

    def __init__(self, maps: Mapping[int, LabelMap] | None = None) -> None:
        self._packed: dict[int, tuple[bytes, np.dtype[np.uint8 | np.uint16], tuple[int, ...]]] = {}
        for number, label_map in (maps or {}).items():
            self.put(number, label_map)

    def put(self, number: int, label_map: LabelMap) -> None:
        """Keep the (H, W) label map of a frame."""
        self._packed[number] = zlib.compress(label_map.tobytes(), 1), label_map.dtype, label_map.shape

    def __getitem__(self, number: int) -> LabelMap:
        """The (H, W) label map of a frame."""
        data, dtype, shape = self._packed[number]
        label_map: LabelMap = np.frombuffer(bytearray(zlib.decompress(data)), dtype).reshape(shape)
        return label_map

    def __iter__(self) -> Iterator[int]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)
