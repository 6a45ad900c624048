"""What was drawn, as the masks that a tracker takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from agss_model.masks.boxes import object_in_box
from agss_model.masks.labels import BoolMask, LabelMap
from agss_model.masks.rle import decode_cvat_mask, encode_cvat_mask
from agss_model.video.source import Image
from serverless.job.objects import Groups, Target, by_frame
from serverless.job.read import Drawing


class Boxes:
    """Boxes filled with what stands out in them; each picture is asked for once.

    Args:
        read: gives the picture of a frame of the job, (H, W, 3) uint8 RGB.
    """

    def __init__(self, read: Callable[[int], Image]) -> None:
        self._read = read
        self._filled: dict[tuple[int, str], list[int]] = {}

    def mask(self, drawing: Drawing) -> BoolMask:
        """The pixels that a shape stands for, (H, W) bool."""
        if drawing.kind != "rectangle":
            return drawing.mask()
        width, height = drawing.size
        name = drawing.frame, drawing.origin
        if name not in self._filled:
            self._filled[name] = encode_cvat_mask(object_in_box(self._read(drawing.frame), drawing.mask()))
        return decode_cvat_mask(self._filled[name], width=width, height=height)


class DrawnKeyframes(Mapping[int, LabelMap]):
    """Label maps of the frames that were drawn on, by position; each is made when it is asked for.

    Args:
        drawings: what was drawn.
        groups: which object each shape is.
        targets: the objects.
        frames: number of the frame at each position.
        boxes: fills boxes.
    """

    def __init__(
        self,
        drawings: Iterable[Drawing],
        groups: Groups,
        targets: Iterable[Target],
        frames: Sequence[int],
        boxes: Boxes,
    ) -> None:
        self._boxes = boxes
        self._numbers = {target.key: target.number for target in targets}
        self._groups = groups
        place = {frame: position for position, frame in enumerate(frames)}
        self._drawn = {place[frame]: drawn for frame, drawn in by_frame(drawings).items()}

    def __getitem__(self, position: int) -> LabelMap:
        drawn = self._drawn[position]
        width, height = drawn[0].size
        label_map: LabelMap = np.zeros((height, width), dtype=np.uint8)
        for drawing in drawn:
            key = self._groups.key(drawing)
            if key is not None:
                label_map[self._boxes.mask(drawing)] = self._numbers[key]
        return label_map

    def __iter__(self) -> Iterator[int]:
        return iter(self._drawn)

    def __len__(self) -> int:
        return len(self._drawn)

    def notes(self) -> Iterator[str]:
        """What a person might not expect."""
        for drawn in self._drawn.values():
            keys = Counter(key for drawing in drawn if (key := self._groups.key(drawing)) is not None)
            for (_, group), times in keys.items():
                if times > 1 and group > 0:
                    where = f"frame {drawn[0].frame}"
                    yield f"{where}: {times} shapes of one label share group {group}; they are parts of one object."
