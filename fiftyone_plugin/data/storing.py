"""Values of a label field into the frames of a clip."""

from __future__ import annotations

from collections.abc import Mapping

from fiftyone.core.collections import SampleCollection

from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.fields import Field


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
