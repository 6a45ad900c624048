"""Masks of a clip, wherever they come from, as the writers of formats take them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from agss_model.errors import MediaError
from agss_model.files import explained
from agss_model.masks.files import by_number
from agss_model.masks.labels import BoolMask, LabelMap
from agss_model.tracking.results import id_type
from agss_model.video import ImageFrames, VideoFile, prefetch
from agss_model.video.images import encode_picture, shown_as_stored
from agss_model.video.source import FrameSource, Image

UNNAMED = "object"
"""Class of objects that have none."""


def file_name(text: str) -> str:
    """A name for people, made fit for a file system."""
    return re.sub(r"[^\w.-]+", "_", text).strip("._") or "clip"


@dataclass(frozen=True)
class FrameMasks:
    """What is written of one frame.

    Attributes:
        number: of the frame in its clip, from 0.
        masks: (H, W) bool by object id; they may overlap, none is empty.
        human: ids of those that a person drew.
        scores: in [0, 1] by object id, where there are any.
    """

    number: int
    masks: Mapping[int, BoolMask]
    human: frozenset[int] = frozenset()
    scores: Mapping[int, float] = field(default_factory=dict)

    def largest_first(self) -> list[tuple[int, BoolMask]]:
        """The masks in the order of painting: where objects overlap, the smallest is uppermost."""
        areas = {object_id: int(mask.sum()) for object_id, mask in self.masks.items()}
        return sorted(self.masks.items(), key=lambda entry: (-areas[entry[0]], entry[0]))


@dataclass(frozen=True)
class MaskedClip:
    """A clip with masks on some or all of its frames.

    Attributes:
        name: of the clip; a name of files.
        size: (width, height) in pixels.
        count: frames of the whole clip.
        frames: numbers of the frames with masks, ascending; the others say nothing about any object.
        labels: class of every object, by id.
        each: goes through `frames`, in order; may be asked for again.
        part: the frames that are meant, where the clip is only a part; pictures of all of them are written.
        indexes: number of an object among those of its class, where that is not its id.
        stem: from a frame number to the name of its file, without suffix.
        source: the clip itself, where pictures are wanted too.
    """

    name: str
    size: tuple[int, int]
    count: int
    frames: Sequence[int]
    labels: Mapping[int, str]
    each: Callable[[], Iterable[FrameMasks]]
    part: range | None = None
    indexes: Mapping[int, int] = field(default_factory=dict)
    stem: Callable[[int], str] = by_number
    source: FrameSource | None = None

    @property
    def wanted(self) -> range:
        """The frames that are meant."""
        return range(self.count) if self.part is None else self.part

    @property
    def classes(self) -> list[str]:
        """All classes, in the order of their first object; classes count from 1 in COCO, from 0 in YOLO."""
        return list(dict.fromkeys(self.labels[object_id] for object_id in sorted(self.labels)))

    def label_maps(self) -> Iterator[tuple[int, LabelMap]]:
        """(H, W) label maps by frame, all of one depth; where objects overlap the smallest has the pixels."""
        for frame in self.each():
            label_map: LabelMap = np.zeros(self.size[::-1], id_type(self.labels))
            for object_id, mask in frame.largest_first():
                label_map[mask] = object_id
            yield frame.number, label_map

    def picture(self, number: int) -> str:
        """Name of the file that `write_pictures` writes of a frame."""
        return self.stem(number) + self._suffix(number)

    def write_pictures(self, folder: Path, numbers: Sequence[int] | None = None) -> None:
        """Write frames where the clip is at hand: images as they are, odd ones as PNG, those of videos as JPEG.

        Args:
            folder: made if missing.
            numbers: which frames, ascending; by default all that are meant.

        Raises:
            OutputError: they cannot be written.
        """
        if self.source is None:
            return
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for number, image in self._pictures(self.wanted if numbers is None else numbers):
                path = folder / self.picture(number)
                if isinstance(image, Path):
                    shutil.copyfile(image, path)
                else:
                    path.write_bytes(encode_picture(image, path.suffix))

    def write_media(self, folder: Path) -> str:
        """Put the whole clip into a folder: a video under its own name, anything else as `images/`.

        Returns:
            Name of the video, empty for images and where the clip is not at hand.

        Raises:
            OutputError: it cannot be written.
        """
        if not isinstance(self.source, VideoFile):
            self.write_pictures(folder / "images", range(self.count))
            return ""
        video = self.source.path
        with explained(folder):
            try:
                os.link(video.resolve(), folder / video.name)  # takes no space
            except OSError:  # another file system, or one without links
                shutil.copyfile(video, folder / video.name)
        return video.name

    def _file(self, number: int) -> Path | None:
        """The image file that a frame is, where it can be copied."""
        path = self.source.paths[number] if isinstance(self.source, ImageFrames) else None
        return path if path is not None and shown_as_stored(path) else None

    def _suffix(self, number: int) -> str:
        if not isinstance(self.source, ImageFrames):
            return ".jpg"
        path = self._file(number)
        return ".png" if path is None else path.suffix.lower()

    def _pictures(self, numbers: Sequence[int]) -> Iterator[tuple[int, Image | Path]]:
        source = self.source
        if source is None or not numbers:
            return
        if isinstance(source, ImageFrames):
            yield from ((number, self._file(number) or source.read(number)) for number in numbers)
            return
        chosen, span = frozenset(numbers), range(numbers[0], numbers[-1] + 1)
        with closing(prefetch(source.frames(span.start, span.stop))) as images:
            yield from ((number, image) for number, image in zip(span, images, strict=True) if number in chosen)


def labelled(ids: list[int], labels: Mapping[int, str], what: str) -> dict[int, str]:
    """A class for every object.

    Raises:
        MediaError: a class of an object that there is not.
    """
    if unknown := sorted(labels.keys() - set(ids)):
        raise MediaError(f"{what} has no object {unknown[0]}; it has {ids}")
    return {object_id: labels.get(object_id, UNNAMED) for object_id in ids}
