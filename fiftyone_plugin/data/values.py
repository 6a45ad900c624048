"""The values of label fields, frame by frame: read and stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.fields import Field
from fiftyone_plugin.data.labels import Label

Container: TypeAlias = fo.Detections | fo.Detection | fo.Polylines | fo.Polyline | None


def labels_in(container: Container) -> list[Label]:
    """The labels of a field's value."""
    if container is None:
        return []
    if isinstance(container, fo.Detections):
        return list(container.detections or [])
    return list(container.polylines or []) if isinstance(container, fo.Polylines) else [container]


def read_values(collection: SampleCollection, clip: Clip, *fields: Field) -> Iterator[tuple[int, list[Container]]]:
    """Frame number from 0 and the values of these fields, for each frame that the database knows, in order."""
    view = collection.select(list(clip.samples), ordered=not clip.is_video)
    view = view.select_fields([wanted.path for wanted in fields])
    for number, sample in enumerate(view.iter_samples()):
        if not clip.is_video:
            yield number, [sample[wanted.name] for wanted in fields]
            continue
        for frame_number, frame in sample.frames.items():
            if clip.covers(frame_number - 1):
                yield frame_number - 1, [frame[wanted.name] for wanted in fields]


def store(collection: SampleCollection, clip: Clip, field: Field, frames: Mapping[int, object]) -> None:
    """Write many frames at once; errors of the database are raised as they come.

    Args:
        collection: where the clip is, without filters.
        clip: whose frames.
        field: of the collection, declared.
        frames: the value of each frame, by its number from 0.
    """
    values: dict[str, object]
    if clip.is_video:
        values = {clip.key: {number + 1: value for number, value in frames.items()}}
    else:
        values = {clip.samples[number]: value for number, value in frames.items()}
    collection.set_values(field.path, values, key_field="id", expand_schema=False, validate=False)
