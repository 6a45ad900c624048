"""Which shapes are the same object: by track, by label and group, or by matching, never silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from agss_model.errors import MaskError
from agss_model.masks.boxes import object_in_box
from agss_model.masks.labels import BoolMask, LabelMap
from agss_model.masks.runs import decode_cvat_mask, encode_cvat_mask
from agss_model.masks.shapes import mask_to_shape, shape_to_mask
from agss_model.tracker import MAX_OBJECTS
from agss_model.video.source import Image
from serverless.job.read import Given, Label

Key = tuple[int, int]
"""Label and group: what makes an object in CVAT."""
SAME = 0.5
"""IoU of a tracked mask and a drawn one from which they are taken for the same object."""


@dataclass(frozen=True)
class Target:
    """An object to be tracked.

    Attributes:
        number: its id for the tracker, from 1.
        label_id: its label.
        group: its group in CVAT, above 0.
        z_order: of its shapes.
        attributes: values by id, of its first shape.
    """

    number: int
    label_id: int
    group: int
    z_order: int
    attributes: Mapping[int, str]

    def title(self, labels: Mapping[int, Label]) -> str:
        """How people can find it."""
        label = labels.get(self.label_id)
        return f"{label.name if label else self.label_id}, group {self.group}"


class Groups:
    """The group of every shape; those without get new ones, which are remembered so that they stay the same.

    Args:
        known: groups given earlier, by origin.
        taken: groups that are in use in the task.
    """

    def __init__(self, known: Mapping[str, int], taken: Iterable[int]) -> None:
        self.given = dict(known)
        self._free = count(max([0, *taken, *known.values()]) + 1)

    def key(self, given: Given) -> Key | None:
        """The object of a shape; None for one without a group that has not got one yet."""
        group = given.group or self.given.get(given.origin, 0)
        return (given.label_id, group) if group else None

    def begin(self, given: Given) -> Key:
        """A shape without a group is a new object."""
        self.given.setdefault(given.origin, next(self._free))
        return given.label_id, self.given[given.origin]

    def join(self, given: Given, group: int) -> None:
        """A shape without a group belongs to an object."""
        self.given[given.origin] = group


def by_frame(givens: Iterable[Given]) -> dict[int, list[Given]]:
    """Ascending frames, each from back to front."""
    frames: dict[int, list[Given]] = {}
    for given in givens:
        frames.setdefault(given.frame, []).append(given)
    return dict(sorted(frames.items()))


def name_first(givens: Sequence[Given], groups: Groups) -> list[Given]:
    """Give groups where no doubt is possible: to tracks, and to shapes of the first frame.

    Returns:
        Shapes without a group on later frames, which may be objects that are already known.
    """
    first = min((given.frame for given in givens), default=0)
    loose: list[Given] = []
    for given in sorted(givens, key=_age):
        if groups.key(given) is None:
            if given.frame == first or given.origin.startswith("track"):
                groups.begin(given)
            else:
                loose.append(given)
    return loose


def _age(given: Given) -> tuple[int, str, int]:
    """Order in which people drew."""
    kind, number = given.origin.split()
    return given.frame, kind, int(number)


def match(predicted: Mapping[Key, BoolMask], drawn: Sequence[Given], groups: Groups) -> Iterator[str]:
    """Join shapes without a group to the objects that were tracked to where they are, best overlap first.

    Args:
        predicted: (H, W) bool by object with at least one pixel, of objects that are not drawn in this frame otherwise.
        drawn: shapes of this frame without a group.
        groups: where the result goes.

    Yields:
        A sentence for each shape.
    """
    masks = {given.origin: given.mask() for given in drawn}
    pairs = sorted(
        (
            (_iou(_as_drawn(mask, given), masks[given.origin]), given.origin, key)
            for given in drawn
            for key, mask in predicted.items()
            if key[0] == given.label_id
        ),
        reverse=True,
    )
    of = {given.origin: given for given in drawn}
    used: set[Key] = set()
    for overlap, origin, key in pairs:
        if overlap < SAME or origin not in of or key in used:
            continue
        given = of.pop(origin)
        used.add(key)
        groups.join(given, key[1])
        yield f"frame {given.frame}: {origin} has no group; it is taken for group {key[1]} (overlap {overlap:.2f})."
    for given in of.values():
        group = groups.begin(given)[1]
        yield f"frame {given.frame}: {given.origin} has no group and begins a new object, group {group}."


def _as_drawn(mask: BoolMask, given: Given) -> BoolMask:
    """The mask, or the box around it where a box was drawn."""
    if given.kind != "rectangle":
        return mask
    height, width = mask.shape
    return shape_to_mask("rectangle", mask_to_shape("rectangle", mask), width=width, height=height)


def _iou(one: np.ndarray, two: np.ndarray) -> float:
    union = int((one | two).sum())
    return int((one & two).sum()) / union if union else 0.0


def make_targets(givens: Sequence[Given], groups: Groups, labels: Mapping[int, Label]) -> tuple[Target, ...]:
    """The objects, in the order in which they appear.

    Raises:
        MaskError: nothing to track, or too much.
    """
    firsts: dict[Key, Given] = {}
    for given in sorted(givens, key=_age):
        key = groups.key(given)
        if key is not None:
            firsts.setdefault(key, given)
    if not firsts:
        raise MaskError("There is no mask, polygon or box to track in these frames; draw the objects on one of them.")
    if len(firsts) > MAX_OBJECTS:
        raise MaskError(f"There are {len(firsts)} objects; at most {MAX_OBJECTS} can be tracked together.")
    return tuple(
        Target(number, label_id, group, given.z_order, _attributes(given, labels.get(label_id)))
        for number, ((label_id, group), given) in enumerate(firsts.items(), 1)
    )


def _attributes(given: Given, label: Label | None) -> dict[int, str]:
    """All attributes of the label: the server gives defaults for missing ones, and shapes must come back as sent."""
    return {**(label.defaults if label else {}), **given.attributes}


class Boxes:
    """Boxes filled with what stands out in them; each picture is asked for once.

    Args:
        read: gives the picture of a frame of the job, (H, W, 3) uint8 RGB.
    """

    def __init__(self, read: Callable[[int], Image]) -> None:
        self._read = read
        self._filled: dict[tuple[int, str], list[int]] = {}

    def mask(self, given: Given) -> BoolMask:
        """The pixels that a shape stands for, (H, W) bool."""
        if given.kind != "rectangle":
            return given.mask()
        width, height = given.size
        name = given.frame, given.origin
        if name not in self._filled:
            self._filled[name] = encode_cvat_mask(object_in_box(self._read(given.frame), given.mask()))
        return decode_cvat_mask(self._filled[name], width=width, height=height)


class Keyframes(Mapping[int, LabelMap]):
    """Label maps of the frames that were drawn on, by position; each is made when it is asked for.

    Args:
        givens: what was drawn.
        groups: which object each shape is.
        targets: the objects.
        frames: number of the frame at each position.
        boxes: fills boxes.
    """

    def __init__(
        self,
        givens: Iterable[Given],
        groups: Groups,
        targets: Iterable[Target],
        frames: Sequence[int],
        boxes: Boxes,
    ) -> None:
        self._boxes = boxes
        self._numbers = {(target.label_id, target.group): target.number for target in targets}
        self._groups = groups
        place = {frame: position for position, frame in enumerate(frames)}
        self._drawn = {place[frame]: drawn for frame, drawn in by_frame(givens).items()}

    def __getitem__(self, position: int) -> LabelMap:
        drawn = self._drawn[position]
        width, height = drawn[0].size
        label_map: LabelMap = np.zeros((height, width), dtype=np.uint8)
        for given in drawn:
            key = self._groups.key(given)
            if key is not None:
                label_map[self._boxes.mask(given)] = self._numbers[key]
        return label_map

    def __iter__(self) -> Iterator[int]:
        return iter(self._drawn)

    def __len__(self) -> int:
        return len(self._drawn)

    def notes(self) -> Iterator[str]:
        """What a person might not expect."""
        for drawn in self._drawn.values():
            keys = Counter(key for given in drawn if (key := self._groups.key(given)) is not None)
            for (_, group), times in keys.items():
                if times > 1:
                    where = f"frame {drawn[0].frame}"
                    yield f"{where}: {times} shapes of one label share group {group}; they are parts of one object."
