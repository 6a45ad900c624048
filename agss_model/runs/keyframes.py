"""Masks that a person drew, from files to checked keyframes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from agss_model.errors import MaskError, MediaError
from agss_model.files import sha256_of
from agss_model.masks.files import read_label_map
from agss_model.masks.labels import LabelMap, object_ids
from agss_model.tracker import MAX_OBJECTS
from agss_model.video.images import ImageFrames
from agss_model.video.source import FrameSource

_SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff", ".gif"})
_NUMBER = re.compile(r"(?:frame[ _.-]?)?([0-9]{1,9})", re.IGNORECASE)


@dataclass(frozen=True)
class Keyframes:
    """Masks by frame number.

    Attributes:
        label_maps: (H, W) of the frame's size, each with at least one object.
        sha256: of each file.
        ids: all objects in them, ascending.
        doubtful: sentences about numbers that may not be what was meant.
    """

    label_maps: dict[int, LabelMap]
    sha256: dict[int, str]
    ids: tuple[int, ...]
    doubtful: tuple[str, ...] = ()


def read_keyframes(path: Path, source: FrameSource, frame: int | None = None) -> Keyframes:
    """Read one mask or a folder of masks, and check all against the clip.

    A file named by a number (00048.png, frame_48.png) belongs to that frame, counted from 0.

    Args:
        path: a mask file, or a folder of them, all named by numbers.
        source: the clip they were drawn on.
        frame: the frame a single file belongs to; None for the number in its name, or 0 where there is none.

    Raises:
        MaskError: no file, an unusable name, a wrong size, no object, or too many.
        MediaError: a file is missing or damaged, or its frame is outside the clip.
    """
    files = _folder(path, frame) if path.is_dir() else {_single(path, frame): path}
    label_maps = {number: _read(file, number, source) for number, file in sorted(files.items())}
    ids = tuple(sorted({object_id for label_map in label_maps.values() for object_id in object_ids(label_map)}))
    if len(ids) > MAX_OBJECTS:
        raise MaskError(
            f"{path} has {len(ids)} objects; at most {MAX_OBJECTS} can be tracked together. Track them in several "
            "runs, or check that the file is a mask and not a picture."
        )
    doubtful = () if frame is not None else tuple(_doubts(files, source))
    return Keyframes(label_maps, {number: sha256_of(files[number]) for number in label_maps}, ids, doubtful)


def _single(path: Path, frame: int | None) -> int:
    if not path.is_file():
        raise MediaError(f"mask {path} does not exist; give a mask image or a folder of mask images")
    if frame is not None:
        return frame
    match = _NUMBER.fullmatch(path.stem)
    return int(match[1]) if match else 0


def _folder(folder: Path, frame: int | None) -> dict[int, Path]:
    if frame is not None:
        raise MaskError(f"--frame goes with a single mask; the masks in {folder} take their frames from their names.")
    files: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _SUFFIXES or path.name.startswith("."):
            continue
        match = _NUMBER.fullmatch(path.stem)
        if match is None:
            raise MaskError(f"the name of mask {path} is no frame number; call it like 00048.png for frame 48")
        other = files.setdefault(int(match[1]), path)
        if other is not path:
            raise MaskError(f"{other} and {path.name} are both for frame {int(match[1])}; remove one of them")
    if not files:
        raise MaskError(f"folder {folder} holds no masks; put files like 00000.png into it, named by frame number")
    return files


def _read(path: Path, number: int, source: FrameSource) -> LabelMap:
    if not 0 <= number < len(source):
        raise MediaError(
            f"mask {path} is for frame {number}, but {source.name} has frames 0 to {len(source) - 1}; "
            "name it after its frame, counted from 0, or say --frame"
        )
    label_map = read_label_map(path)
    height, width = label_map.shape
    if (width, height) != source.size:
        raise MaskError(
            f"mask {path} is {width}x{height} pixels, but the frames of {source.name} are "
            f"{source.size[0]}x{source.size[1]}; export the mask at the size of the frame"
        )
    if not object_ids(label_map):
        raise MaskError(f"mask {path} has no object, every pixel is 0; paint each object with its id, 1 to 65535")
    return label_map


def _doubts(files: dict[int, Path], source: FrameSource) -> list[str]:
    """Masks that are called like an image of another number: frames count from 0, file names may not."""
    if not isinstance(source, ImageFrames):
        return []
    place = {path.stem: number for number, path in enumerate(source.paths)}
    return [
        f"mask {path.name} is taken for frame {number}, which is image {source.paths[number].name}; "
        f"the image called {path.stem} is frame {place[path.stem]}, as frames count from 0."
        for number, path in files.items()
        if place.get(path.stem, number) != number
    ]
