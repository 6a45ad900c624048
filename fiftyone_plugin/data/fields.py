"""Names and types of label fields, checked before anything is read or written."""

from __future__ import annotations

from dataclasses import dataclass

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from agss_model.errors import AgssError
from fiftyone_plugin.data.collections import one_kind

PROMPTS = (fo.Detections, fo.Detection, fo.Polylines, fo.Polyline)
"""Labels from which objects can be tracked."""
LISTS: dict[type[fo.Label] | None, str] = {fo.Detections: ".detections", fo.Polylines: ".polylines"}
"""Where values that hold several labels have them."""
MASKS = (fo.Detections, fo.Detection)
"""Labels that hold masks."""


class FieldError(AgssError):
    """A field that is missing, or does not hold what is needed."""


@dataclass(frozen=True)
class Field:
    """A label field of the frames of videos, or of images.

    Attributes:
        name: without "frames.".
        of_frames: whether frames of videos have it.
    """

    name: str
    of_frames: bool

    @property
    def path(self) -> str:
        """The field's path as FiftyOne's aggregations and views want it."""
        return f"frames.{self.name}" if self.of_frames else self.name

    @property
    def root(self) -> str:
        """The path up to the list of labels of a `Detections` field."""
        return f"{self.path}.detections"

    def kind(self, collection: SampleCollection) -> type[fo.Label] | None:
        """Class of the values; None where the field does not exist or holds no labels."""
        return getattr(collection.get_field(self.path), "document_type", None)

    def labels(self, collection: SampleCollection) -> str:
        """The path up to the labels, whether a value is a list of them or one."""
        return self.path + LISTS.get(self.kind(collection), "")


def field_of(collection: SampleCollection, name: str) -> Field:
    """A field by its name, with or without "frames."; nothing is checked.

    Raises:
        FieldError: no name.
    """
    name = (name or "").removeprefix("frames.").strip()
    if not name or "." in name:
        raise FieldError(f"{name!r} is not the name of a label field; give one such as 'ground_truth'.")
    return Field(name, one_kind(collection).media_type == "video")


def label_fields(collection: SampleCollection, types: tuple[type, ...] = PROMPTS) -> list[str]:
    """Names of the label fields of these types, without "frames."."""
    kinds = {name: getattr(field, "document_type", None) for name, field in _schema(collection).items()}
    return [name for name, kind in kinds.items() if kind is not None and issubclass(kind, types)]


def input_field(collection: SampleCollection, name: str, types: tuple[type, ...] = PROMPTS) -> Field:
    """A field that labels are read from.

    Raises:
        FieldError: it does not exist or holds something else; the message lists those that would do.
    """
    field = field_of(collection, name)
    known = _schema(collection)
    usable = label_fields(collection, types)
    offer = f"fields that would do: {', '.join(usable)}" if usable else "there is no field that would do"
    kinds = " or ".join(kind.__name__ for kind in types[::2])
    if field.name not in known:
        raise FieldError(f"{_place(field)} have no field {field.name!r}; {offer} ({kinds}).")
    if field.name not in usable:
        kind = getattr(known[field.name], "document_type", None) or type(known[field.name])
        raise FieldError(f"field {field.name!r} holds {kind.__name__}, but {kinds} are needed; {offer}.")
    return field


def output_field(collection: SampleCollection, name: str) -> Field:
    """A field that masks are written to; it may exist or not.

    Raises:
        FieldError: it exists and does not hold `Detections`, or cannot be written.
    """
    field = field_of(collection, name)
    known = _schema(collection).get(field.name)
    if known is None:
        if field.name.startswith("_") or not field.name.isidentifier():
            raise FieldError(f"{field.name!r} cannot be the name of a field; use letters, digits and _.")
        return field
    kind = getattr(known, "document_type", None) or type(known)
    if kind is not fo.Detections:
        raise FieldError(
            f"output field {field.name!r} holds {kind.__name__}, and masks need a field of Detections; "
            "give another name, such as a new one."
        )
    if getattr(known, "read_only", False):
        raise FieldError(f"output field {field.name!r} is read-only; give another name, or make it writable.")
    return field


ATTRIBUTES: dict[str, type] = {
    "detections.keyframe": fo.BooleanField,
    "detections.tracked": fo.StringField,
    "detections.reasons": fo.ListField,
    "detections.instance": fo.EmbeddedDocumentField,
    "run": fo.StringField,
    "lost_objects": fo.ListField,
    "jumped_objects": fo.ListField,
    "shown": fo.ListField,
    "ended": fo.ListField,
}
"""What a tracked field has beyond FiftyOne's own attributes; see `fiftyone_plugin.track.writing`."""


def declare(dataset: fo.Dataset, field: Field) -> None:
    """Make the output field and its attributes known to FiftyOne, where they are not."""
    add = dataset.add_frame_field if field.of_frames else dataset.add_sample_field
    schema = dataset.get_frame_field_schema if field.of_frames else dataset.get_field_schema
    if field.name not in schema():
        add(field.name, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    known = schema(flat=True)
    for name, kind in ATTRIBUTES.items():
        path = f"{field.name}.{name}"
        if path not in known:
            extra = {
                fo.ListField: {"subfield": fo.StringField},
                fo.EmbeddedDocumentField: {"embedded_doc_type": fo.Instance},
            }.get(kind, {})
            add(path, kind, **extra)


def _schema(collection: SampleCollection) -> dict[str, fo.Field]:
    collection = one_kind(collection)
    schema = collection.get_frame_field_schema() if collection.media_type == "video" else collection.get_field_schema()
    return dict(schema or {})


def _place(field: Field) -> str:
    return "the frames of these videos" if field.of_frames else "these samples"
