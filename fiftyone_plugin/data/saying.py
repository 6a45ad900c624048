"""What a label says of its object beside where it is: class, index, and attributes that people gave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import fiftyone as fo

_OWN = frozenset(fo.Detection().field_names) | {"keyframe", "tracked", "reasons", "instance", "area"}
"""Attributes of FiftyOne and of ours, which say where an object is, or who made the label."""


@dataclass(frozen=True)
class LabelContent:
    """What one label says.

    Attributes:
        label: its class.
        index: among the objects of its class.
        attributes: by name, those that are set.
    """

    label: str | None
    index: int | None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, label: fo.Detection) -> LabelContent:
        """Read a label."""
        names = [name for name in label.field_names if name not in _OWN and not name.startswith("_")]
        given = {name: label[name] for name in names if label[name] is not None}
        return cls(label.label, label.index, given)

    def beside(self, index: int) -> str:
        """What is said beside the class and an index, as text; empty for nothing."""
        other = "" if self.index in (None, index) else f" {self.index}"
        return other + "".join(f" {name}={value!r}" for name, value in sorted(self.attributes.items()))

    def put(self, label: fo.Detection) -> None:
        """Let a label say the same."""
        label.label, label.index = self.label, self.index
        for name in LabelContent.of(label).attributes.keys() - self.attributes.keys():
            label[name] = None
        for name, value in self.attributes.items():
            label[name] = value
