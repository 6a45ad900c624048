"""What a person says about some frames, from files to checked keyframes.

A mask file says where objects are in a frame. A `.json` file of the same name, `{"absent": [3, 7]}`, says which are not
there: they are gone from that frame on, until a later mask shows them again. Either may stand alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from agss_model.bounded_json import read_json
from agss_model.errors import MaskError, MediaError
from agss_model.files import refuse_pipe, sha256_of
from agss_model.formats.drawn import ClipDrawings
from agss_model.formats.reading import holds_labelme, read_drawn
from agss_model.masks.files import read_drawn_map
from agss_model.masks.labels import LabelMap, object_ids, validate_object_id
from agss_model.masks.packed import PackedMaps
from agss_model.runs.given.mask_names import MaskNames
from agss_model.tracking.tracker import MAX_OBJECTS
from agss_model.video.source import FrameSource

SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff", ".gif"})
_NOTES = ".json"
_LARGEST_NOTE = 1 << 16


@dataclass(frozen=True)
class Keyframes:
    """Masks and absences by frame number.

    Attributes:
        label_maps: (H, W) of the frame's size, each with at least one object.
        sha256: of the files of each frame.
        ids: all objects drawn, ascending.
        absent: objects that are said not to be there.
        doubtful: sentences about what may not be what was meant.
        labels: class of each object, where one is said.
        boxes: how many objects were given by boxes, and looked for in them.
    """

    label_maps: PackedMaps
    sha256: dict[int, str]
    ids: tuple[int, ...]
    absent: dict[int, frozenset[int]] = field(default_factory=dict)
    doubtful: tuple[str, ...] = ()
    labels: dict[int, str] = field(default_factory=dict)
    boxes: int = 0

    @property
    def drawn(self) -> dict[int, frozenset[int]]:
        """The objects in each label map."""
        return {number: frozenset(object_ids(label_map)) for number, label_map in self.label_maps.items()}

    def told(self) -> dict[str, dict[str, Any]]:
        """What was said of each frame, as plain values."""
        drawn = self.drawn
        return {
            str(number): {
                "sha256": self.sha256[number],
                "objects": sorted(drawn.get(number, ())),
                "absent": sorted(self.absent.get(number, ())),
            }
            for number in sorted(self.sha256)
        }


def read_keyframes(path: Path, source: FrameSource, frame: int | None = None) -> Keyframes:
    """Read one mask or a folder of masks, and check all against the clip.

    Args:
        path: a mask file, or a folder of them; see `MaskNames` for the frames they belong to. Or annotations, see
            `agss_model.formats.reading`.
        source: the clip they were drawn on.
        frame: the frame a single file belongs to; None for what its name says, or 0 where that is nothing.

    Raises:
        MaskError: no file, an unusable name, a wrong size, no object, or too many.
        MediaError: a file is missing or damaged, or its frame is outside the clip.
    """
    names = MaskNames(source)
    if not (path.is_dir() and any(each.suffix.lower() in SUFFIXES for each in path.iterdir())) or holds_labelme(path):
        drawn = read_drawn(path, source, names.frame, frame)
        if drawn is not None:
            return keyframes_of(drawn, str(path))
    files = _folder(path, frame, names) if path.is_dir() else _single(path, frame, names)
    maps = PackedMaps()
    told = {number: _FrameFiles(number, found, source, maps) for number, found in sorted(files.items())}
    return _checked(
        str(path),
        Keyframes(
            maps,
            {number: one.sha256 for number, one in told.items()},
            (),
            {number: one.absent for number, one in told.items() if one.absent},
            (*names.doubtful, *(sentence for one in told.values() for sentence in one.doubtful)),
        ),
    )


def keyframes_of(drawn: ClipDrawings, what: str) -> Keyframes:
    """What is drawn in a clip, as keyframes; each frame is told from others by what is drawn in it.

    Args:
        drawn: with masks of the clip's size.
        what: names it in messages.

    Raises:
        MaskError: no object, or too many.
    """
    numbers = sorted(drawn.label_maps.keys() | drawn.absent.keys())
    empty = np.zeros(0, np.uint8)
    digests = {n: hashlib.sha256(drawn.label_maps.get(n, empty).tobytes()).hexdigest() for n in numbers}
    told = Keyframes(drawn.label_maps, digests, (), drawn.absent, drawn.notes, drawn.labels, drawn.boxes)
    return _checked(what, told)


def _checked(path: str, keyframes: Keyframes) -> Keyframes:
    drawn = frozenset[int]().union(*keyframes.drawn.values())
    if not keyframes.label_maps:
        raise MaskError(f"{path} says only what is absent; draw the objects on at least one frame")
    if len(drawn) > MAX_OBJECTS:
        raise MaskError(
            f"{path} has {len(drawn)} objects; at most {MAX_OBJECTS} can be tracked together. Track them in several "
            "runs, or check that the file is a mask and not a picture."
        )
    if unknown := sorted(frozenset[int]().union(*keyframes.absent.values()) - drawn):
        raise MaskError(
            f"{path} says that object {unknown[0]} is absent, but no mask shows it; drawn are {sorted(drawn)}"
        )
    return replace(keyframes, ids=tuple(sorted(drawn)))


class _FrameFiles:
    """What the files of one frame say; the label map goes into `maps`."""

    def __init__(self, number: int, files: list[Path], source: FrameSource, maps: PackedMaps) -> None:
        if not 0 <= number < len(source):
            raise MediaError(
                f"mask {files[0]} is for frame {number}, but {source.name} has frames 0 to {len(source) - 1}; "
                "name it after its frame, counted from 0, or say --frame"
            )
        label_map: LabelMap | None = None
        self.absent: frozenset[int] = frozenset()
        self.doubtful: list[str] = []
        notes = [path for path in files if path.suffix.lower() == _NOTES]
        for path in notes:
            self.absent = read_absent(path)
        for path in files:
            if path not in notes:
                label_map = self._mask(path, source)
        self.sha256 = "+".join(sha256_of(path) for path in files)
        shown = frozenset(object_ids(label_map)) if label_map is not None else frozenset()
        if both := sorted(shown & self.absent):
            raise MaskError(
                f"{notes[0]} says that object {both[0]} is absent, but {files[0].name} shows it; remove one"
            )
        if label_map is not None:
            maps.put(number, label_map)

    def _mask(self, path: Path, source: FrameSource) -> LabelMap | None:
        label_map = read_drawn_map(path, self.doubtful)
        height, width = label_map.shape
        if (width, height) != source.size:
            raise MaskError(
                f"mask {path} is {width}x{height} pixels, but the frames of {source.name} are "
                f"{source.size[0]}x{source.size[1]}; export the mask at the size of the frame"
            )
        if object_ids(label_map):
            return label_map
        if self.absent:
            return None
        raise MaskError(
            f"mask {path} has no object, every pixel is 0; paint each object with its id, 1 to 65535. To say that "
            f'object 3 is not there, write {{"absent": [3]}} into {path.with_suffix(_NOTES).name} beside it'
        )


def read_absent(path: Path) -> frozenset[int]:
    """Objects that a note says are absent.

    Raises:
        MediaError: the file cannot be read, or is no such note.
    """
    try:
        refuse_pipe(path)
        if path.stat().st_size > _LARGEST_NOTE:
            raise ValueError(f"it has {path.stat().st_size} bytes")
        content = read_json(path)
        return frozenset(validate_object_id(object_id) for object_id in content["absent"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError, MaskError) as error:
        raise MediaError(f'{path} does not say what is absent, as {{"absent": [3]}} does ({error!r})') from error


def _single(path: Path, frame: int | None, names: MaskNames) -> dict[int, list[Path]]:
    refuse_pipe(path)
    if not path.is_file():
        raise MediaError(f"mask {path} does not exist; give a mask image or a folder of mask images")
    found = names.frame(path) if frame is None else frame
    return {0 if found is None else found: [path]}


def _folder(folder: Path, frame: int | None, names: MaskNames) -> dict[int, list[Path]]:
    if frame is not None:
        raise MaskError(f"--frame goes with a single mask; the masks in {folder} take their frames from their names.")
    paths = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    masks = [path for path in paths if path.suffix.lower() in SUFFIXES]
    if not masks:
        raise MaskError(f"folder {folder} holds no masks; put files like 00000.png into it, named by frame number")
    names.settle(masks)
    files: dict[int, list[Path]] = {}
    for path in (*masks, *(path for path in paths if path.suffix.lower() == _NOTES)):
        number = names.frame(path)
        if number is None:
            raise MaskError(
                f"the name of mask {path} is no frame number{names.otherwise}; call it like 00048.png for frame 48"
            )
        others = files.setdefault(number, [])
        if any((other.suffix.lower() == _NOTES) == (path.suffix.lower() == _NOTES) for other in others):
            raise MaskError(f"{others[0]} and {path.name} are both for frame {number}; remove one of them")
        others.append(path)
    return files
