"""Attributes of labels frame by frame, without their masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fiftyone.core.collections import SampleCollection

from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.fields import Field


def read_columns(
    collection: SampleCollection, clip: Clip, field: Field, of_labels: Sequence[str], of_frames: Sequence[str]
) -> Iterator[tuple[int, list[tuple[Any, ...]], list[list[Any]]]]:
    """The attributes of a label field, also those that were not declared.

    Args:
        collection: where the clip is, without filters.
        clip: which frames.
        field: of the collection.
        of_labels: attributes of each label.
        of_frames: attributes, lists, of the field itself.

    Yields:
        Frame number from 0; for each label its attributes, None where there is none; the lists, empty likewise.
    """
    view = collection.select(list(clip.samples), ordered=not clip.is_video)
    root = field.labels(collection)
    single = root == field.path
    paths = [f"{root}.{part}" for part in of_labels] + [f"{field.path}.{part}" for part in of_frames]
    columns = [view.values(path) for path in paths]
    if clip.is_video:
        columns = [column[0] if column else None for column in columns]
        numbers = [number - 1 for number in view.values("frames.frame_number")[0]]
    else:
        numbers = list(range(len(clip.samples)))
    for place, number in enumerate(numbers):
        if not clip.covers(number):
            continue
        row = [_listed(column[place] if column else None, single) for column in columns]
        labels, lists = row[: len(of_labels)], row[len(of_labels) :]
        size = max(map(len, labels))
        yield number, list(zip(*(values or [None] * size for values in labels), strict=True)), lists


def _listed(value: Any, single: bool) -> list[Any]:  # noqa: ANN401 - of a label, or of all in a frame
    if single:
        return [] if value is None else [value]
    return value or []
