"""Which labels of a clip are the same object.

Labels are joined by their instance, else by class and index, as FiftyOne numbers objects. A class of which no frame
holds two loose labels (without either) is one object. Everything that is made up here, an index or an instance, follows
from the labels alone, so that another run makes up the same.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from bson import ObjectId

from agss_model.errors import MaskError
from fiftyone_plugin.data.identity import UNNAMED, ObjectName
from fiftyone_plugin.data.labels import Label

InstanceKey = tuple[str, ...]


@dataclass(frozen=True)
class ClipObject:
    """One object of a clip.

    Attributes:
        id: in label maps, from 1.
        index: as FiftyOne shows it; unique among the objects of its class.
        label: its class.
        instance: the id of its `fiftyone.Instance`.
    """

    id: int
    index: int
    label: str | None
    instance: str

    @property
    def name(self) -> ObjectName:
        """The object's name, the same everywhere."""
        return ObjectName(str(self.label or UNNAMED), self.index)


@dataclass(frozen=True)
class HumanLabel:
    """One label that a human made.

    Attributes:
        frame: from 0.
        label: as read.
        in_output: whether it stands in the output field.
    """

    frame: int
    label: Label
    in_output: bool


class Identities:
    """Tells the objects of one clip apart."""

    def __init__(self, scope: str, known: Mapping[str, int] | None = None) -> None:
        """Start without objects.

        Args:
            scope: of instances that are made up: the clip and the output field.
            known: index by instance, of objects of an earlier run, which keep their index.
        """
        self._scope = scope
        self._known = dict(known or {})

    def arrange(self, sightings: list[HumanLabel]) -> tuple[dict[int, ClipObject], list[int]]:
        """The objects by id, and for each sighting the id of its object.

        Raises:
            MaskError: loose labels of one class in several frames, which could be anything.
        """
        keys = self._keys(sightings)
        first: dict[InstanceKey, Label] = {}
        for sighting, key in zip(sightings, keys, strict=True):
            first.setdefault(key, sighting.label)
        indexes = self._indexes(sightings, keys)
        ids = {key: number for number, key in enumerate(first, 1)}
        objects = {
            number: ClipObject(number, indexes[key], first[key].label, self._instance(key))
            for key, number in ids.items()
        }
        return objects, [ids[key] for key in keys]

    def _keys(self, sightings: list[HumanLabel]) -> list[InstanceKey]:
        """What names the object of each sighting."""
        numbered: dict[InstanceKey, InstanceKey] = {}  # class and index -> the instance that has them
        for label in (sighting.label for sighting in sightings):
            if label.instance_id and label.index is not None:
                numbered.setdefault(_index_key(label), ("instance", label.instance_id))
        single = _single_classes([s for s in sightings if not s.label.instance_id and s.label.index is None])
        keys = [_key(sighting.label, numbered, single) for sighting in sightings]
        # A label of the output field may carry the instance that an earlier run made up for its object.
        made_up = {self._instance(key): key for key in keys if key[0] != "instance"}
        return [made_up.get(key[1], key) if key[0] == "instance" else key for key in keys]

    def _instance(self, key: InstanceKey) -> str:
        if key[0] == "instance":
            return key[1]
        return str(ObjectId(hashlib.sha256("\n".join((self._scope, *key)).encode()).digest()[:12]))

    def _indexes(self, sightings: list[HumanLabel], keys: list[InstanceKey]) -> dict[InstanceKey, int]:
        given: dict[InstanceKey, int] = {}
        for sighting, key in zip(sightings, keys, strict=True):
            if sighting.label.index is not None:
                given.setdefault(key, int(sighting.label.index))
        free = max([0, *given.values(), *self._known.values()])
        for key in dict.fromkeys(keys):
            if key in given:
                continue
            if (known := self._known.get(self._instance(key))) is None:
                known = free = free + 1
            given[key] = known
        return given


def _index_key(label: Label) -> InstanceKey:
    return ("index", str(label.label), str(label.index))


def _key(label: Label, numbered: Mapping[InstanceKey, InstanceKey], single: frozenset[str]) -> InstanceKey:
    if label.instance_id:
        return ("instance", label.instance_id)
    if label.index is not None:
        return numbered.get(_index_key(label), _index_key(label))
    return ("class", str(label.label)) if str(label.label) in single else ("label", label.id)


def _single_classes(loose: list[HumanLabel]) -> frozenset[str]:
    """Classes whose labels without instance and index can all be one object.

    Raises:
        MaskError: a class that cannot, in several frames.
    """
    counts: dict[str, Counter[int]] = {}
    for sighting in loose:
        counts.setdefault(str(sighting.label.label), Counter())[sighting.frame] += 1
    for name, frames in counts.items():
        if max(frames.values()) > 1 and len(frames) > 1:
            numbers = ", ".join(str(frame + 1) for frame in sorted(frames)[:5])
            raise MaskError(
                f"frames {numbers} hold several labels {name!r} without index or instance, so it is unknown which are "
                "the same object; give the labels of one object the same index, or leave one labelled frame"
            )
    return frozenset(name for name, frames in counts.items() if max(frames.values()) == 1)
