"""Collections as they can be read and written by the ids of samples."""

from __future__ import annotations

from fiftyone.core.collections import SampleCollection


def flat(collection: SampleCollection) -> SampleCollection:
    """A collection without slices: of a grouped one the active slice."""
    if collection.media_type != "group" or getattr(collection, "_is_dynamic_groups", False):
        return collection
    return collection.select_group_slices(collection.group_slice or collection.default_group_slice)


def one_kind(collection: SampleCollection) -> SampleCollection:
    """Samples of one media type, whose fields are those of a collection's clips; which samples is open."""
    if getattr(collection, "_is_dynamic_groups", False):
        return flat(collection._root_dataset)
    return flat(collection)


def readable(collection: SampleCollection) -> SampleCollection:
    """Samples that can be selected by their ids: those in dynamic groups, and the whole videos of clips."""
    if getattr(collection, "_is_dynamic_groups", False):
        return flat(collection._root_dataset).select(
            [i for group in collection.iter_dynamic_groups() for i in group.values("id")]
        )
    if getattr(collection, "_is_clips", False):
        return collection._root_dataset.select(collection.values("sample_id"))
    return flat(collection)


def unfiltered(view: SampleCollection) -> SampleCollection:
    """All samples and labels of the dataset behind a readable view."""
    return every_slice(view._dataset, view.media_type)


def every_slice(dataset: SampleCollection, kind: str) -> SampleCollection:
    """All samples of a dataset, of a grouped one those of a media type."""
    return dataset if dataset.media_type != "group" else dataset.select_group_slices(media_type=kind)
