"""Collections as clips: each video, each ordered sequence of images, is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from fiftyone.core.collections import SampleCollection

from agss_model.errors import AgssError
from agss_model.video import FrameSource, ImageFrames, VideoFile
from agss_model.video.images import natural_order
from fiftyone_plugin.data.collections import flat


class ViewError(AgssError):
    """A view that does not consist of clips."""


@dataclass(frozen=True)
class Clip:
    """One sequence of frames.

    Attributes:
        name: of the file or group, for people.
        samples: the id of a video's sample, or of the sample of each image.
        paths: the file of the video, or of each image.
        is_video: which of the two.
        first: first frame that may be written, from 0.
        last: last frame that may be written, None for the end.
    """

    name: str
    samples: tuple[str, ...]
    paths: tuple[str, ...]
    is_video: bool
    first: int = 0
    last: int | None = None

    @property
    def key(self) -> str:
        """The sample by which the clip is known; several parts of one video share it."""
        return self.samples[0]

    @property
    def media_type(self) -> str:
        """FiftyOne's name for what its samples are."""
        return "video" if self.is_video else "image"

    @property
    def whole(self) -> Clip:
        """All frames of the video."""
        return replace(self, first=0, last=None)

    def covers(self, number: int) -> bool:
        """Whether a frame, counted from 0, is in the clip."""
        return self.first <= number and (self.last is None or number <= self.last)

    def open(self) -> FrameSource:
        """The frames.

        Raises:
            MediaError: missing, unreadable or truncated.
        """
        if self.is_video:
            return VideoFile(_existing(self.paths[0]))
        return ImageFrames([_existing(path) for path in self.paths], name=self.name)


def _existing(path: str) -> Path:
    if not Path(path).is_file():
        raise ViewError(
            f"the file {path} does not exist on this machine; put it back, or correct the sample's filepath."
        )
    return Path(path)


def find_clips(
    collection: SampleCollection, sort_field: str | None = None, group_field: str | None = None
) -> list[Clip]:
    """The clips of a dataset or view.

    Args:
        collection: of videos; or of images, as one sequence, grouped by `group_field`, or in dynamic groups.
        sort_field: orders images; by default the order of a dynamic group, else the names of the files.
        group_field: images with the same value belong to one sequence.

    Raises:
        ViewError: nothing there, single frames or patches, another kind of media, or no order.
    """
    if len(collection) == 0:
        raise ViewError("the view is empty: no sample is left to work on; clear its filters, or select other samples.")
    for odd, what in (("_is_patches", "patches"), ("_is_frames", "single frames of videos")):
        if getattr(collection, odd, False):
            raise ViewError(f"this view shows {what}, which are no clips; go back to the view of the videos or images.")
    if getattr(collection, "_is_dynamic_groups", False):
        return [clip for group in collection.iter_dynamic_groups() for clip in _of_group(group, sort_field)]
    collection = flat(collection)
    if collection.media_type == "video":
        return _videos(collection)
    if collection.media_type != "image":
        raise ViewError(f"samples of media type {collection.media_type!r} cannot be tracked; use videos or images.")
    return _images(collection, sort_field, group_field)


def _videos(collection: SampleCollection) -> list[Clip]:
    if not getattr(collection, "_is_clips", False):
        ids, paths = collection.values(["id", "filepath"])
        return [Clip(Path(path).name, (i,), (path,), True) for i, path in zip(ids, paths, strict=True)]
    ids, paths, supports = collection.values(["sample_id", "filepath", "support"])
    return [
        Clip(f"{Path(path).name}, frames {low} to {high}", (i,), (path,), True, low - 1, high - 1)
        for i, path, (low, high) in zip(ids, paths, supports, strict=True)
    ]


def _of_group(group: SampleCollection, sort_field: str | None) -> list[Clip]:
    group = flat(group)
    if group.media_type == "video":
        return _videos(group)
    ids, paths = group.values(["id", "filepath"])
    if sort_field is None:
        return [_sequence(list(zip(ids, paths, strict=True)), _name(paths[0]))]
    return _images(group, sort_field, None)


def _name(path: str) -> str:
    """The name of a sequence that has no other than its first file."""
    return f"{Path(path).parent.name}/{Path(path).name} ..."


def _images(collection: SampleCollection, sort_field: str | None, group_field: str | None) -> list[Clip]:
    ids, paths = collection.values(["id", "filepath"])
    ranks = _values(collection, sort_field) if sort_field else [natural_order(path) for path in paths]
    groups = _values(collection, group_field) if group_field else [_name(paths[0])] * len(ids)
    if missing := [path for path, rank in zip(paths, ranks, strict=True) if rank is None]:
        raise ViewError(f"{missing[0]} has no value of {sort_field!r}, so its place is unknown; set it on every image.")
    found: dict[object, list[tuple[object, str, str]]] = {}
    for group, rank, sample, path in zip(groups, ranks, ids, paths, strict=True):
        found.setdefault(group, []).append((rank, sample, path))
    return [_sequence(_sorted(entries, sort_field), str(group)) for group, entries in found.items()]


def _values(collection: SampleCollection, name: str) -> list[object]:
    if not collection.has_field(name):
        known = [field for field in collection.get_field_schema() if not field.startswith("_")]
        raise ViewError(f"there is no field {name!r} to order or group by; there are {', '.join(known)}.")
    return list(collection.values(name))


def _sorted(entries: list[tuple[object, str, str]], sort_field: str | None) -> Iterator[tuple[str, str]]:
    try:
        entries.sort(key=lambda entry: entry[0])  # type: ignore[arg-type, return-value]
    except TypeError as error:
        raise ViewError(f"the values of {sort_field!r} cannot be ordered ({error}); use numbers or texts.") from error
    for (rank, _, path), (following, _, other) in pairwise(entries):
        if rank == following:
            alike = f"have the same {sort_field} ({rank})" if sort_field else "are one file or have the same numbers"
            raise ViewError(
                f"{Path(path).name} and {Path(other).name} {alike}, so their order is unknown; if they belong to "
                "different sequences, say by which field (group_field)."
            )
    return ((sample, path) for _, sample, path in entries)


def _sequence(entries: Iterator[tuple[str, str]] | list[tuple[str, str]], name: str) -> Clip:
    ids, paths = zip(*entries, strict=True)
    return Clip(name, tuple(ids), tuple(paths), False)
