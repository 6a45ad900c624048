"""Label maps that are small until they are looked at: they are mostly long runs of one value."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

import numpy as np

from agss_model.masks.labels import LabelMap


class PackedMap:
    """One label map, compressed."""

    def __init__(self, label_map: LabelMap) -> None:
        self._data, self._dtype, self._shape = zlib.compress(label_map.tobytes(), 1), label_map.dtype, label_map.shape

    def unpack(self) -> LabelMap:
        """The (H, W) label map as it was, a new array each time."""
        label_map: LabelMap = np.frombuffer(bytearray(zlib.decompress(self._data)), self._dtype).reshape(self._shape)
        return label_map


class PackedMaps(Mapping[int, LabelMap]):
    """Label maps by frame, compressed: a thousand of 1920x1080 take some ten MB instead of two GB.

    Each look at one gives a new array.
    """

    def __init__(self, maps: Mapping[int, LabelMap] | None = None) -> None:
        self._packed: dict[int, PackedMap] = {}
        for number, label_map in (maps or {}).items():
            self.put(number, label_map)

    def put(self, number: int, label_map: LabelMap) -> None:
        """Keep the (H, W) label map of a frame."""
        self._packed[number] = PackedMap(label_map)

    def __getitem__(self, number: int) -> LabelMap:
        """The (H, W) label map of a frame."""
        return self._packed[number].unpack()

    def __iter__(self) -> Iterator[int]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)
