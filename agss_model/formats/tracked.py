"""Masks of a clip, wherever they come from, as the writers of formats take them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from agss_model.errors import MediaError, OutputError
from agss_model.files import explained
from agss_model.masks.files import read_label_map
from agss_model.masks.labels import BoolMask, LabelMap, to_masks
from agss_model.runs.marks import wanted_frames
from agss_model.runs.scores import Row, read_rows
from agss_model.runs.traces import Traces, by_number
from agss_model.video import open_source
from agss_model.video.images import natural_order
from agss_model.video.source import FrameSource

DEFAULT_LABEL = "object"


@dataclass(frozen=True)
class Tracked:
    """Label maps of the frames of one clip.

    Attributes:
        name: of the clip.
        size: (width, height) in pixels.
        frames: numbers of the frames with masks, ascending.
        ids: all objects.
        read: from a frame number to its (H, W) label map.
        rows: scores by frame and object.
        labels: class of each object; `DEFAULT_LABEL` where there is none.
        stems: from a frame number to the name of its file, without suffix.
        source: the clip itself, where pictures are wanted too.
    """

    name: str
    size: tuple[int, int]
    frames: range
    ids: tuple[int, ...]
    read: Callable[[int], LabelMap]
    rows: Mapping[tuple[int, int], Row] = field(default_factory=dict)
    labels: Mapping[int, str] = field(default_factory=dict)
    stems: Callable[[int], str] = by_number
    source: FrameSource | None = None

    def label(self, object_id: int) -> str:
        """Class of an object."""
        return self.labels.get(object_id, DEFAULT_LABEL)

    @property
    def classes(self) -> list[str]:
        """All classes, in the order of their first object; classes count from 1 in COCO, from 0 in YOLO."""
        return list(dict.fromkeys(self.label(object_id) for object_id in self.ids))

    def masks(self) -> Iterator[tuple[int, dict[int, BoolMask]]]:
        """The (H, W) mask of each object that is there, frame by frame."""
        for number in self.frames:
            yield number, to_masks(self.read(number))

    def write_frames(self, folder: Path) -> None:
        """Write the pictures as JPEG, where the clip is at hand.

        Raises:
            OutputError: they cannot be written.
        """
        if self.source is None:
            return
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        images = self.source.frames(self.frames.start, self.frames.stop)
        for number, image in zip(self.frames, images, strict=True):
            path = folder / f"{self.stems(number)}.jpg"
            if not cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95]):
                raise OutputError(f"cannot write {path}; choose another place, or free some space")


def read_run(root: Path, labels: Mapping[int, str], source: Path | None = None) -> Tracked:
    """The masks of a finished run.

    Args:
        root: the folder that `agss track` wrote.
        labels: class by object.
        source: the clip, where pictures are wanted too.

    Raises:
        OutputError: no run, or not a finished one.
        MediaError: the clip is another one.
    """
    traces = Traces(root)
    record = traces.read_record()
    if record is None or not record.finished:
        raise OutputError(f"{root} holds no finished run; give the folder that agss track wrote with --out")
    about, frames = record.asked["source"], wanted_frames(record.asked)
    clip = None if source is None else open_source(source)
    if clip is not None and (len(clip), list(clip.size)) != (about["frames"], about["size"]):
        raise MediaError(f"{source} is not the clip of {root}: that has {about['frames']} frames of {about['size']}")
    names = {number: by_number(number) for number in frames}
    if record.asked.get("names") == "source":
        stems = sorted((Path(name).stem for name in record.files if name.startswith("masks/")), key=natural_order)
        names = dict(zip(frames, stems, strict=False))  # a folder's frames are in this order
    rows = {(row.frame, row.object_id): row for row in read_rows(traces.scores)}
    ids = sorted({object_id for told in record.asked["masks"].values() for object_id in told["objects"]})
    if unknown := sorted(labels.keys() - set(ids)):
        raise MediaError(f"{root} has no object {unknown[0]}; it has {ids}")
    return Tracked(
        name=Path(Path(about["name"]).name).stem or "clip",
        size=(about["size"][0], about["size"][1]),
        frames=frames,
        ids=tuple(ids),
        read=lambda number: read_label_map(traces.masks / f"{names[number]}.png"),
        rows=rows,
        labels={int(object_id): name for object_id, name in record.asked.get("labels", {}).items()} | dict(labels),
        stems=names.__getitem__,
        source=clip,
    )
