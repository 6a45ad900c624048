"""What names an object wherever it is seen: its class and index, such as `person 1`, which is not `dog 1`.

Labels that share an instance are one object, even where somebody changed the class or index of some of them; it has the
name of the first of them with an index. A label with neither is the one object of its class, as far as can be known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.columns import read_columns
from fiftyone_plugin.data.fields import Field


@dataclass(frozen=True)
class ObjectName:
    """An object of a clip.

    Attributes:
        label: its class.
        index: among the objects of its class, None where it has none.
        instance: the id of its instance, where that is all there is.
    """

    label: str
    index: int | None = None
    instance: str | None = None

    def __str__(self) -> str:
        """The name for people, such as `person 1`."""
        return self.label if self.index is None else f"{self.label} {self.index}"

    @property
    def order(self) -> tuple[int, str, str]:
        """What to sort by: index, then class; those without an index come last."""
        return (self.index if self.index is not None else 1 << 31, self.label, self.instance or "")


UNNAMED = "object"
"""Class of labels that have none."""
IDENTITY = ("instance._id", "label", "index")
"""Attributes of labels that `ObjectNames` needs."""


class ObjectNames:
    """The objects of a clip."""

    def __init__(self, labels: Iterable[tuple[object, object, object]] = ()) -> None:
        """Read through labels: of each the attributes `IDENTITY`."""
        self._of: dict[str, ObjectName] = {}
        for instance, label, index in labels:
            if instance and isinstance(index, int):
                self._of.setdefault(str(instance), ObjectName(str(label or UNNAMED), index))

    @classmethod
    def read(cls, collection: SampleCollection, clip: Clip, *fields: Field) -> ObjectNames:
        """Read the names in fields that share their objects; `collection` holds the whole clip, without filters."""
        return cls(
            label
            for field in fields
            for _, labels, _ in read_columns(collection, clip.whole, field, IDENTITY, ())
            for label in labels
        )

    def name(self, instance: object, label: object, index: object) -> ObjectName:
        """The name of a label with these attributes."""
        if instance and str(instance) in self._of:
            return self._of[str(instance)]
        kind = str(label or UNNAMED)
        if isinstance(index, int):
            return ObjectName(kind, index)
        return ObjectName(kind, None, str(instance) if instance else None)

    def of(self, label: fo.Label) -> ObjectName:
        """The name of a label."""
        return self.name(label.instance_id, label.label, label.index)


ABSENT = ("lost_objects", "lost", "jumped_objects", "jumped")
"""Attributes of a tracked frame that `lost_in` reads: names, and the indexes that earlier versions wrote."""


def lost_in(lists: Sequence[Sequence[object]], known: Iterable[ObjectName]) -> Iterator[tuple[str, bool]]:
    """Names of the objects that a run could not find in a frame, and whether they had jumped.

    Args:
        lists: the attributes `ABSENT` of the frame.
        known: objects of the clip.
    """
    names, indexes, jumped, jumped_indexes = lists
    of_index = {name.index: str(name) for name in known}
    for name in names:
        yield str(name), name in jumped
    for index in () if names else indexes:
        yield of_index.get(index, f"object {index}"), index in jumped_indexes  # type: ignore[call-overload]


def numbered(names: Iterable[ObjectName], most: int | None = None) -> Mapping[ObjectName, int]:
    """An id for each object: its index where no two share one and all fit, else counted from 1.

    Args:
        names: in any order, also several times.
        most: highest id that is possible.
    """
    distinct = list(dict.fromkeys(names))
    indexes = [name.index for name in distinct]
    if len(set(indexes)) == len(indexes) and all(i is not None and 1 <= i <= (most or i) for i in indexes):
        return {name: int(name.index or 0) for name in distinct}
    return {name: number for number, name in enumerate(distinct, 1)}
