"""Which shapes are the same object: by track, by label and group, or by matching, never silently."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from agss_model.cvat.authorship import Names, was_ours, was_ours_as
from agss_model.errors import MaskError
from agss_model.masks.cvat_shapes import mask_to_shape, shape_to_mask
from agss_model.masks.labels import BoolMask
from agss_model.tracking.tracker import MAX_OBJECTS
from agss_model.words import printable
from serverless.job.read import Drawing, Json, Label

Key = tuple[int, int]
"""Label and group: what makes an object in CVAT. A track without a group has its own number there, below 0."""
Place = tuple[int | None, Key]
"""A shape of an object in a frame, or (None) the object's track."""
SAME = 0.5
"""IoU of a tracked mask and a drawn one from which they are taken for the same object."""


@dataclass(frozen=True)
class Target:
    """An object to be tracked.

    Attributes:
        number: its id for the tracker, from 1.
        label_id: its label.
        group: its group in CVAT, above 0; below 0 the number of the track that it is.
        z_order: of its shapes.
        attributes: values by id, of its first shape.
        changes: all values by id, by the frame on which they were given.
    """

    number: int
    label_id: int
    group: int
    z_order: int
    attributes: Mapping[int, str]
    changes: Mapping[int, Mapping[int, str]] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """See `Key`."""
        return self.label_id, self.group

    def title(self, labels: Mapping[int, Label]) -> str:
        """How people can find it."""
        label = labels.get(self.label_id)
        where = f"group {self.group}" if self.group > 0 else f"track {-self.group}"
        return f"{printable(label.name) if label else self.label_id}, {where}"

    def values(self, frame: int, mutable: Container[int], backward: bool = False) -> dict[int, str]:
        """Attributes in a frame: those that may change are carried on from the drawing that tracking comes from."""
        frames = sorted(self.changes, reverse=backward)
        passed = [at for at in frames if (at >= frame if backward else at <= frame)] or frames[:1]
        here = self.changes[passed[-1]] if passed else {}
        return {spec: here.get(spec, value) if spec in mutable else value for spec, value in self.attributes.items()}


class Groups:
    """Which object every shape is.

    Shapes of one label and one group are one object, and a track without a group is one. A shape of ours that a person
    gave another label stays the object that its group was drawn as. Shapes without a group get new ones.

    Args:
        taken: groups that are in use in the task.
        items: shapes and tracks of the job.
        names: of labels and attributes.
    """

    def __init__(self, taken: Iterable[int], items: Iterable[Json] = (), names: Names | None = None) -> None:
        names = names or Names()
        self.drawing: dict[str, int] = {}
        """Groups that were found for shapes and tracks without one, by origin."""
        self._free = count(max([0, *taken]) + 1)
        self._drawn: dict[int, set[int]] = {}
        edited: list[Json] = []
        items = list(items)
        drawn = [item for item in items if item.get("group") and "shapes" not in item]
        for item in items:
            if was_ours(item, names) or _relabelled(item, drawn, names):
                edited.append(item)
            else:
                self._drawn.setdefault(int(item.get("group") or 0), set()).add(int(item["label_id"]))
        self._labels = {origin_of(item): label for item in edited if (label := self._drawn_as(item)) is not None}

    def _drawn_as(self, item: Json) -> int | None:
        labels = self._drawn.get(int(item.get("group") or 0), set()) if item.get("group") else set()
        return next(iter(labels)) if len(labels) == 1 else None

    def owner(self, origin: str, label_id: int, group: int) -> Key | None:
        """The object of a shape or track; None for a shape without a group that has not got one yet."""
        group = group or self.drawing.get(origin, 0)
        kind, number = origin.split()
        if not group and kind == "track":
            group = -int(number)
        return (self._labels.get(origin, label_id), group) if group else None

    def of(self, item: Json) -> Key | None:
        """The same of an item as the API gives it."""
        return self.owner(origin_of(item), int(item["label_id"]), int(item.get("group") or 0))

    def key(self, drawing: Drawing) -> Key | None:
        """The same of what was drawn in a frame."""
        return self.owner(drawing.origin, drawing.label_id, drawing.group)

    def begin(self, drawing: Drawing) -> Key:
        """A shape without a group is a new object."""
        self.drawing.setdefault(drawing.origin, next(self._free))
        return drawing.label_id, self.drawing[drawing.origin]

    def join(self, drawing: Drawing, key: Key) -> int:
        """A shape without a group belongs to an object; a track without one gets one with it."""
        group = key[1]
        if group < 0:
            group = self.drawing.setdefault(f"track {-group}", next(self._free))
        self.drawing[drawing.origin] = group
        return group


def _relabelled(item: Json, drawn: Sequence[Json], names: Names) -> bool:
    """Whether an item is a track of ours of one of these drawings that got another label than that."""
    others = (one for one in drawn if one["group"] == item.get("group") and one["label_id"] != item["label_id"])
    return "shapes" in item and any(was_ours_as(item, one, names) for one in others)


def place_of(item: Json) -> Place:
    """What a shape or track is, whatever its number."""
    frame = None if "shapes" in item else int(item["frame"])
    return frame, (int(item["label_id"]), int(item.get("group") or 0))


def origin_of(item: Json) -> str:
    """What a shape or track is on the server, such as "shape 12"."""
    return f"{'track' if 'shapes' in item else 'shape'} {item['id']}"


def by_frame(drawings: Iterable[Drawing]) -> dict[int, list[Drawing]]:
    """Ascending frames, each from back to front."""
    frames: dict[int, list[Drawing]] = {}
    for drawing in drawings:
        frames.setdefault(drawing.frame, []).append(drawing)
    return dict(sorted(frames.items()))


def name_first(drawings: Sequence[Drawing], groups: Groups) -> list[Drawing]:
    """Give groups where no doubt is possible: to shapes of the first frame.

    Returns:
        Shapes without a group on later frames, which may be objects that are already known.
    """
    first = min((drawing.frame for drawing in drawings), default=0)
    loose: list[Drawing] = []
    for drawing in sorted(drawings, key=_age):
        if groups.key(drawing) is None:
            if drawing.frame == first:
                groups.begin(drawing)
            else:
                loose.append(drawing)
    return loose


def _age(drawing: Drawing) -> tuple[int, str, int]:
    """Order in which people drew."""
    kind, number = drawing.origin.split()
    return drawing.frame, kind, int(number)


def match(predicted: Mapping[Key, BoolMask], drawn: Sequence[Drawing], groups: Groups) -> Iterator[str]:
    """Join shapes without a group to the objects that were tracked to where they are, best overlap first.

    Args:
        predicted: (H, W) bool by object with at least one pixel, of objects that are not drawn in this frame otherwise.
        drawn: shapes of this frame without a group.
        groups: where the result goes.

    Yields:
        A sentence for each shape.
    """
    masks = {drawing.origin: drawing.mask() for drawing in drawn}
    pairs = sorted(
        (
            (_iou(_as_drawn(mask, drawing), masks[drawing.origin]), drawing.origin, key)
            for drawing in drawn
            for key, mask in predicted.items()
            if key[0] == drawing.label_id
        ),
        reverse=True,
    )
    of = {drawing.origin: drawing for drawing in drawn}
    used: set[Key] = set()
    for overlap, origin, key in pairs:
        if overlap < SAME or origin not in of or key in used:
            continue
        drawing = of.pop(origin)
        used.add(key)
        group = groups.join(drawing, key)
        yield f"frame {drawing.frame}: {origin} has no group; it is taken for group {group} (overlap {overlap:.2f})."
    for drawing in of.values():
        group = groups.begin(drawing)[1]
        yield f"frame {drawing.frame}: {drawing.origin} has no group and begins a new object, group {group}."


def _as_drawn(mask: BoolMask, drawing: Drawing) -> BoolMask:
    """The mask, or the box around it where a box was drawn."""
    if drawing.kind != "rectangle":
        return mask
    height, width = mask.shape
    return shape_to_mask("rectangle", mask_to_shape("rectangle", mask), width=width, height=height)


def _iou(one: np.ndarray, two: np.ndarray) -> float:
    union = int((one | two).sum())
    return int((one & two).sum()) / union if union else 0.0


def make_targets(drawings: Sequence[Drawing], groups: Groups, labels: Mapping[int, Label]) -> tuple[Target, ...]:
    """The objects, in the order in which they appear.

    Raises:
        MaskError: nothing to track, or too much.
    """
    drawn: dict[Key, list[Drawing]] = {}
    for drawing in sorted(drawings, key=_age):
        key = groups.key(drawing)
        if key is not None:
            drawn.setdefault(key, []).append(drawing)
    if not drawn:
        raise MaskError("There is no mask, polygon or box to track in these frames; draw the objects on one of them.")
    if len(drawn) > MAX_OBJECTS:
        raise MaskError(f"There are {len(drawn)} objects; at most {MAX_OBJECTS} can be tracked together.")
    return tuple(
        _target(number, key, of_it, labels.get(key[0], Label("")))
        for number, (key, of_it) in enumerate(drawn.items(), 1)
    )


def _target(number: int, key: Key, drawn: Sequence[Drawing], label: Label) -> Target:
    """Shapes must come back as they were sent, so attributes are all of the label, and of no other one."""
    same = [drawing for drawing in drawn if drawing.label_id == key[0]] or drawn
    changes = {drawing.frame: label.completed(drawing.attributes) for drawing in reversed(same)}
    return Target(number, *key, drawn[0].z_order, changes[same[0].frame], dict(sorted(changes.items())))
