"""Folders of frames and annotations as DAVIS and YouTube-VOS lay them out.

DAVIS: `ROOT/JPEGImages[/480p]/SEQUENCE/*.jpg` and `ROOT/Annotations[/480p]/SEQUENCE/*.png`; all objects are in the
first annotated frame; the last frame is not scored. An annotation of 0 and 255 only (DAVIS-2016) is one object with
id 1; otherwise 255 marks void pixels.

YouTube-VOS: `ROOT/JPEGImages/VIDEO/*.jpg`, `ROOT/Annotations/VIDEO/*.png` for some frames, and perhaps
`ROOT/meta.json`, which lists the frames of each object; objects may enter later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from agss_model.bounded_json import read_json
from agss_model.errors import MediaError, OutputError
from agss_model.masks.files import read_label_map, write_label_map
from agss_model.masks.labels import BoolMask, LabelMap, object_ids
from agss_model.video.images import IMAGE_SUFFIXES

Layout = Literal["davis", "youtube-vos"]
_VOID = 255


@dataclass(frozen=True)
class Sequence:
    """One annotated clip; files are read when asked for.

    Attributes:
        name: folder name.
        frames: the image of every frame, in order.
        annotations: mask file by frame number; in YouTube-VOS only some frames have one.
        layout: whose rules hold.
        entries: frame number of the first mask by object id, where the data set says so (`meta.json`).
        given: annotated frames that are given too, as if a person had drawn on them; they are not scored.
    """

    name: str
    frames: tuple[Path, ...]
    annotations: Mapping[int, Path]
    layout: Layout = "davis"
    entries: Mapping[int, int] | None = None
    given: frozenset[int] = frozenset()

    @cached_property
    def first_frames(self) -> dict[int, int]:
        """Frame number of the first mask of each object, by ascending id."""
        if self.entries is not None:
            return dict(sorted(self.entries.items()))
        first: dict[int, int] = {}
        searched = sorted(self.annotations)
        for index in searched[:1] if self.layout == "davis" else searched:
            for object_id in object_ids(self.truth_and_void(index)[0]):
                first.setdefault(object_id, index)
        return dict(sorted(first.items()))

    @property
    def ids(self) -> tuple[int, ...]:
        """All object ids, ascending."""
        return tuple(self.first_frames)

    @property
    def first_masks(self) -> dict[int, Callable[[], LabelMap]]:
        """Readers of the first masks by frame number, in order; each gives the objects that enter there, no others.

        A frame of `given` gives every object that is there.
        """
        return {index: partial(self._drawn, index) for index in sorted({*self.first_frames.values(), *self.given})}

    def drawn_on(self, count: int) -> Sequence:
        """The same sequence with so many frames given: the first one, and others spread evenly up to the last scored.

        Objects that enter later are given where they enter, as always.
        """
        first = min(self.first_frames.values())
        scored = sorted(frozenset().union(*map(self.scored_frames, self.ids)) - {first})
        places = np.linspace(0, len(scored), min(count, len(scored) + 1))[1:]
        return replace(self, given=frozenset(scored[max(0, round(place) - 1)] for place in places))

    def truth(self, index: int) -> LabelMap | None:
        """The annotation of a frame without void pixels, or None where there is none.

        Raises:
            MediaError: the file cannot be read.
        """
        return self.truth_and_void(index)[0] if index in self.annotations else None

    def truth_and_void(self, index: int) -> tuple[LabelMap, BoolMask]:
        """The annotation of an annotated frame, and the (H, W) bool mask of the pixels not to be scored.

        Raises:
            MediaError: there is no annotation, or the file cannot be read.
        """
        if index not in self.annotations:
            raise MediaError(f"frame {index} of {self.name} has no annotation")
        labels = read_label_map(self.annotations[index])
        white = (labels == _VOID) & (self.layout == "davis")
        labels[white] = 1 if self._binary else 0
        return labels, white & (not self._binary)

    def scored_frames(self, object_id: int) -> frozenset[int]:
        """The annotated frames on which an object is scored: after its first mask; not the last frame in DAVIS.

        Frames that are given are not scored.
        """
        first = self.first_frames[object_id]
        last = len(self.frames) - (1 if self.layout == "davis" else 0)
        return frozenset(index for index in self.annotations if first < index < last) - self.given

    @cached_property
    def _binary(self) -> bool:
        first = read_label_map(self.annotations[min(self.annotations)])
        return self.layout == "davis" and object_ids(first) == (_VOID,)

    def _drawn(self, index: int) -> LabelMap:
        labels, _ = self.truth_and_void(index)
        known = index in self.given
        entering = [object_id for object_id, first in self.first_frames.items() if first == index or known]
        labels[~np.isin(labels, entering)] = 0
        return labels


def open_dataset(root: str | Path, layout: Layout = "davis", names: Iterable[str] | None = None) -> list[Sequence]:
    """Find the annotated sequences of a data set.

    Args:
        root: its folder.
        layout: "davis" or "youtube-vos".
        names: only these, in this order; by default all that have annotations, by name. The lists in a DAVIS
            `ImageSets` folder can be read with `read_image_set`.

    Raises:
        MediaError: no such layout or folder, no annotated sequence, an unknown name, an annotation without frame,
            or a damaged `meta.json`.
    """
    root = Path(root)
    if layout not in get_args(Layout):
        raise MediaError(f"layout {layout!r} is not known; use one of {', '.join(get_args(Layout))}")
    images, annotations = (_resolution(root / part) for part in ("JPEGImages", "Annotations"))
    found = sorted({folder.name for folder in _folders(images)} & {folder.name for folder in _folders(annotations)})
    if not found:
        raise MediaError(
            f"{root} has no sequence with both frames and annotations; it must hold JPEGImages/SEQUENCE/ "
            "and Annotations/SEQUENCE/"
        )
    chosen = found if names is None else list(names)
    if unknown := [name for name in chosen if name not in found]:
        raise MediaError(f"{root} has no sequence {', '.join(unknown)}; there are {', '.join(found)}")
    objects = _read_meta(root / "meta.json") if layout == "youtube-vos" else {}
    return [_sequence(images / name, annotations / name, layout, objects.get(name)) for name in chosen]


def read_image_set(path: str | Path) -> list[str]:
    """Sequence names of a DAVIS list: one name per line (2017), or lines of image and mask paths (2016).

    Raises:
        MediaError: the file cannot be read.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise MediaError(f"cannot read the list of sequences {path}: {error}") from error
    entries = (line.split()[0] for line in lines if line.strip())
    return list(dict.fromkeys(Path(entry).parent.name if "/" in entry else entry for entry in entries))


def write_results(
    root: str | Path,
    sequence: Sequence,
    predictions: Mapping[int, LabelMap] | Iterable[tuple[int, LabelMap]],
) -> Path:
    """Write label maps as the benchmarks expect results, named after the frames.

    DAVIS: `ROOT/SEQUENCE/FRAME.png`; YouTube-VOS: `ROOT/Annotations/VIDEO/FRAME.png`. Files of other frames stay.

    Args:
        root: folder of the results, made if missing.
        sequence: which frames these are.
        predictions: label maps by frame number; may be a generator of pairs, written as they come.

    Returns:
        The folder of the sequence.

    Raises:
        OutputError: the folder cannot be written.
        MediaError: a frame number is outside the sequence.
    """
    folder = Path(root) / ("Annotations" if sequence.layout == "youtube-vos" else "") / sequence.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make folder {folder}: {error.strerror}; choose a writable folder") from error
    for index, label_map in predictions.items() if isinstance(predictions, Mapping) else predictions:
        if not 0 <= index < len(sequence.frames):
            raise MediaError(
                f"frame {index} is outside {sequence.name}, which has frames 0 to {len(sequence.frames) - 1}"
            )
        write_label_map(folder / f"{sequence.frames[index].stem}.png", label_map)
    return folder


def _resolution(folder: Path) -> Path:
    return folder / "480p" if (folder / "480p").is_dir() else folder


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise MediaError(f"folder {folder} does not exist; give the folder that holds JPEGImages and Annotations")
    return [path for path in folder.iterdir() if path.is_dir()]


def _images(folder: Path) -> dict[str, Path]:
    paths = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != ".")
    return {path.stem: path for path in sorted(paths)}


def _sequence(images: Path, annotations: Path, layout: Layout, objects: Mapping[int, str] | None) -> Sequence:
    frames, masks = _images(images), _images(annotations)
    number = {stem: index for index, stem in enumerate(frames)}
    if strays := sorted(masks.keys() - number.keys()):
        raise MediaError(
            f"annotation {strays[0]} in {annotations} has no frame in {images}; the data set is incomplete"
        )
    if bare := sorted(set((objects or {}).values()) - masks.keys()):
        raise MediaError(f"meta.json lets an object enter {images.name} at {bare[0]}, which has no annotation file")
    if not masks:
        raise MediaError(f"{annotations} holds no masks; remove the folder or add the annotations")
    by_number = {number[stem]: path for stem, path in masks.items()}
    entries = None if objects is None else {object_id: number[stem] for object_id, stem in objects.items()}
    return Sequence(images.name, tuple(frames.values()), by_number, layout, entries)


def _read_meta(path: Path) -> dict[str, dict[int, str]]:
    """Name of the first annotated frame of each object, per video."""
    if not path.is_file():
        return {}
    try:
        videos: dict[str, Any] = read_json(path)["videos"]
        return {
            name: {int(object_id): min(entry["frames"]) for object_id, entry in video["objects"].items()}
            for name, video in videos.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MediaError(
            f"{path} is not YouTube-VOS metadata ({error!r}); "
            'it must hold {"videos": {NAME: {"objects": {ID: {"frames": [...]}}}}}, or be removed'
        ) from error
