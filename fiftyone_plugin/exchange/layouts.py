"""How exported clips lie on the disk: as folders of frames and label maps, or as CVAT's XML beside the video."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, get_args

import cv2
import numpy as np

from agss_model.cvat import CvatXmlWriter, Task
from agss_model.errors import ConfigError, MediaError, OutputError
from agss_model.evaluation import Layout, Sequence, write_results
from agss_model.masks.labels import MAX_OBJECT_ID, BoolMask, LabelMap
from agss_model.results import id_type
from agss_model.video import FrameSource, prefetch
from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.identity import UNNAMED, Name

LAYOUTS = (*get_args(Layout), "cvat")
XML, IMAGES, OBJECTS = "annotations.xml", "images", "objects.json"
JPEG_QUALITY = 95
T = TypeVar("T")


@dataclass(frozen=True)
class FrameMasks:
    """What is written of one frame.

    Attributes:
        number: of the frame, from 0.
        masks: (H, W) bool by object id, none of them empty.
        human: ids of those that a human drew.
    """

    number: int
    masks: Mapping[int, BoolMask]
    human: frozenset[int]


class Place(Protocol):
    """A layout below one folder.

    Attributes:
        most_ids: highest object id that it holds.
        whole: an object without a mask in a written frame is said not to be there.
        overlapping: pixels of several objects, of which only one could be kept.
    """

    most_ids: ClassVar[int]
    whole: ClassVar[bool]
    overlapping: int

    def write(
        self, clip: Clip, name: str, source: FrameSource, objects: Mapping[int, Name], frames: Iterable[FrameMasks]
    ) -> None:
        """Write one clip.

        Args:
            clip: which one.
            name: of its folder.
            source: its frames.
            objects: their names, by id.
            frames: ascending.

        Raises:
            OutputError: the folder is there already, or cannot be written.
        """

    def finish(self) -> None:
        """Write what is about all clips.

        Raises:
            OutputError: the folder cannot be written.
        """


def place_for(layout: str, root: Path) -> Place:
    """The layout of a name, below a folder.

    Raises:
        ConfigError: an unknown layout, or no folder.
    """
    if layout not in LAYOUTS:
        raise ConfigError(f"layout is {layout!r}; choose {', '.join(LAYOUTS)}.")
    if not str(root).strip() or str(root) == ".":
        raise ConfigError("no folder was given; say where to write, such as /data/export.")
    root = root.expanduser()
    return CvatTasks(root) if layout == "cvat" else LabelMapFolders(root, layout)


def read_names(root: Path) -> dict[str, dict[int, Name]]:
    """Objects of each sequence by id, where a file in the folder says so; the layouts leave it open.

    Raises:
        MediaError: the file says something else.
    """
    path = next((path for path in (root / "meta.json", root / OBJECTS) if path.is_file()), None)
    if path is None:
        return {}
    try:
        videos = json.loads(path.read_text(encoding="utf-8"))["videos"]
        return {name: dict(_names(video["objects"])) for name, video in videos.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MediaError(
            f'{path} cannot be read ({error!r}); it must hold {{"videos": {{NAME: {{"objects": {{ID: '
            '{"category": ...}}}}, or be removed'
        ) from error


def _names(objects: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[int, Name]]:
    for object_id, known in objects.items():
        if "category" in known or "index" in known:
            index = known.get("index")
            yield int(object_id), Name(str(known.get("category", UNNAMED)), None if index is None else int(index))


def folder_name(clip: Clip) -> str:
    """A clip's name, made fit for a file system: the video's, of a part with its frames, or the images' group's."""
    text = Path(clip.paths[0]).stem if clip.is_video else clip.name.split("/")[0]
    if clip != clip.whole:
        text += f" {clip.first} to {clip.last}"
    return re.sub(r"[^\w.-]+", "_", text).strip("._") or "clip"


class LabelMapFolders:
    """DAVIS and YouTube-VOS: every frame as an image, and a label map for each written frame."""

    most_ids: ClassVar[int] = 254  # in DAVIS 255 marks pixels that are not scored
    whole: ClassVar[bool] = True

    def __init__(self, root: Path, layout: str) -> None:
        self._root, self._layout = root, layout
        self._meta: dict[str, Any] = {}
        self.overlapping = 0

    def write(
        self, clip: Clip, name: str, source: FrameSource, objects: Mapping[int, Name], frames: Iterable[FrameMasks]
    ) -> None:
        """See `Place`."""
        images = self._root / "JPEGImages" / name
        paths = _in_new_folder(images, lambda: _write_images(clip, source, images))
        seen: dict[int, list[str]] = {object_id: [] for object_id in objects}
        sequence = Sequence(name, tuple(paths), {}, self._layout)  # type: ignore[arg-type]
        root = self._root / "Annotations" if self._layout == "davis" else self._root
        write_results(root, sequence, self._label_maps(clip, frames, source.size, paths, seen))
        self._meta[name] = {
            "objects": {str(i): {**_said(i, objects[i]), "frames": stems} for i, stems in seen.items() if stems}
        }

    def _label_maps(
        self,
        clip: Clip,
        frames: Iterable[FrameMasks],
        size: tuple[int, int],
        paths: list[Path],
        seen: dict[int, list[str]],
    ) -> Iterator[tuple[int, LabelMap]]:
        """Where objects overlap the smallest has the pixels."""
        for frame in frames:
            label_map: LabelMap = np.zeros(size[::-1], id_type(frame.masks))
            for object_id in _largest_first(frame.masks):
                mask = frame.masks[object_id]
                self.overlapping += int(np.count_nonzero(label_map[mask]))
                label_map[mask] = object_id
                seen[object_id].append(paths[frame.number - clip.first].stem)
            yield frame.number - clip.first, label_map

    def finish(self) -> None:
        """Lists and classes, in the forms the benchmarks have."""
        meta = json.dumps({"videos": self._meta}, indent=1)
        try:
            if self._layout == "youtube-vos":
                (self._root / "meta.json").write_text(meta, encoding="utf-8")
                return
            (self._root / OBJECTS).write_text(meta, encoding="utf-8")
            lists = self._root / "ImageSets" / "2017"
            lists.mkdir(parents=True, exist_ok=True)
            (lists / "train.txt").write_text("".join(f"{name}\n" for name in self._meta), encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write into {self._root}: {error.strerror or error}") from error


class CvatTasks:
    """CVAT: for each clip a folder with `annotations.xml` and the video, or the folder `images`, that it is for."""

    most_ids: ClassVar[int] = MAX_OBJECT_ID
    whole: ClassVar[bool] = False
    overlapping = 0  # every object keeps its own mask

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(
        self, clip: Clip, name: str, source: FrameSource, objects: Mapping[int, Name], frames: Iterable[FrameMasks]
    ) -> None:
        """See `Place`."""
        folder = self._root / name
        _in_new_folder(folder, lambda: _media_beside(clip, folder))
        video = Path(clip.paths[0]).name if clip.is_video else ""
        task = Task(None, name, *source.size, len(source), source=video)
        if any(known.index not in (None, i) for i, known in objects.items()):
            said = {str(i): _said(i, known) for i, known in objects.items()}
            (folder / OBJECTS).write_text(json.dumps({"videos": {name: {"objects": said}}}, indent=1), encoding="utf-8")
        with CvatXmlWriter(folder / XML, task, {i: known.label for i, known in objects.items()}) as writer:
            for frame in frames:
                # The smallest is uppermost, as it is in label maps.
                for layer, object_id in enumerate(_largest_first(frame.masks)):
                    mask, human = frame.masks[object_id], object_id in frame.human
                    writer.put(frame.number, object_id, mask, human=human, z_order=layer)

    def finish(self) -> None:
        """Nothing: every task stands for itself."""


def _said(object_id: int, name: Name) -> dict[str, Any]:
    """The class, and the index where the id is another."""
    return {"category": name.label, **({"index": name.index} if name.index not in (None, object_id) else {})}


def _largest_first(masks: Mapping[int, BoolMask]) -> list[int]:
    areas = {object_id: int(mask.sum()) for object_id, mask in masks.items()}
    return sorted(areas, key=lambda object_id: (-areas[object_id], object_id))


def _in_new_folder(folder: Path, fill: Callable[[], T]) -> T:
    if folder.exists():
        raise OutputError(f"{folder} exists already; choose an empty folder, or remove that one.")
    try:
        folder.mkdir(parents=True)
        return fill()
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error


def _media_beside(clip: Clip, folder: Path) -> None:
    """The video under its own name, or the images by their numbers."""
    if not clip.is_video:
        (folder / IMAGES).mkdir()
        _copy_images(clip, folder / IMAGES)
        return
    video = Path(clip.paths[0])
    try:
        os.link(video.resolve(), folder / video.name)  # takes no space
    except OSError:  # another file system, or one without links
        shutil.copyfile(video, folder / video.name)


def _copy_images(clip: Clip, folder: Path) -> list[Path]:
    paths = [folder / f"{number:05d}{Path(path).suffix.lower()}" for number, path in enumerate(clip.paths)]
    for origin, path in zip(clip.paths, paths, strict=True):
        shutil.copyfile(origin, path)
    return paths


def _write_images(clip: Clip, source: FrameSource, folder: Path) -> list[Path]:
    """Every frame by its number: images as they are, frames of videos as JPEG."""
    if not clip.is_video:
        return _copy_images(clip, folder)
    paths = []
    frames = source.frames(clip.first, None if clip.last is None else min(clip.last + 1, len(source)))
    for number, frame in enumerate(prefetch(frames), clip.first):
        path = folder / f"{number:05d}.jpg"
        done, data = cv2.imencode(
            ".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        )
        if not done:
            raise OutputError(f"frame {number} of {clip.name} cannot be written as JPEG")
        path.write_bytes(data.tobytes())
        paths.append(path)
    return paths
