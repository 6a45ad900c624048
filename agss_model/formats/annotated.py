"""The masks of a video annotated in CVAT, as the writers of formats take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from agss_model.cvat import Include, VideoAnnotations
from agss_model.errors import MaskError
from agss_model.formats.clip import FrameMasks, MaskedClip, file_name, labelled
from agss_model.video.source import FrameSource


def of_annotations(
    annotations: VideoAnnotations,
    include: Include,
    labels: Mapping[int, str],
    source: FrameSource | None = None,
    part: range | None = None,
) -> MaskedClip:
    """The masks of a video annotated in CVAT.

    Args:
        annotations: as CVAT's readers give them.
        include: what counts, see `Include`.
        labels: class by object, where another than CVAT has is wanted.
        source: the frames, counted as CVAT counts them, where pictures are wanted too.
        part: the frames that are meant, where these are not all.

    Raises:
        MaskError: nothing of what counts is drawn.
        MediaError: a class of an object that there is not.
    """
    name = annotations.name
    frames = annotations.frames(include)
    if not frames:
        raise MaskError(f"{name} holds nothing to export; interpolated and automatic shapes count with --shapes all")
    ids = [entry.id for entry in annotations.objects]
    given = {entry.id: entry.label for entry in annotations.objects if entry.label} | dict(labels)

    size = (annotations.width, annotations.height)
    count, told = annotations.frame_count, labelled(ids, given, name)
    each = partial(masks_of, annotations, include)
    return MaskedClip(file_name(name), size, count, frames, told, each, part, source=source)


def masks_of(annotations: VideoAnnotations, include: Include) -> Iterator[FrameMasks]:
    """What counts in a video annotated in CVAT, frame by frame; objects keep their whole masks where they overlap."""
    for number in annotations.frames(include):
        known = annotations.known(number, include)
        masks = {object_id: annotations.mask(object_id, number, include) for object_id in known}
        shown = {object_id: mask for object_id, mask in masks.items() if mask.any()}
        yield FrameMasks(number, shown, frozenset(annotations.known(number, "interpolated")) & shown.keys())
