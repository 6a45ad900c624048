"""Masks of DAVIS and YouTube-VOS folders and of CVAT's video XML onto the frames they belong to; masks are exact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import fiftyone as fo
from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from agss_model.annotations import Include, VideoAnnotations, read_cvat_xml
from agss_model.errors import AgssError, ConfigError, MediaError
from agss_model.evaluation import Sequence, open_dataset
from agss_model.masks.labels import BoolMask, to_masks
from fiftyone_plugin.clips import Clip, find_clips
from fiftyone_plugin.collections import unfiltered
from fiftyone_plugin.fields import Field, FieldError, declare, field_of, output_field
from fiftyone_plugin.labels import encode_mask
from fiftyone_plugin.writing import FRAMES_AT_ONCE, guarded

FORMATS = ("davis", "youtube-vos", "cvat")
SEQUENCE, NUMBER = "sequence", "frame_number"
"""Fields of samples that are made for the frames of a folder."""


_FrameMasks = tuple[int, dict[int, BoolMask], dict[int, str]]  # frame number, masks and classes by object id


@dataclass
class Imported:
    """What was read.

    Attributes:
        clips: that got masks.
        frames: with masks.
        objects: in all clips.
        added: samples made for frames that were not in the dataset.
        failed: names of sequences that could not be used, and why.
        notes: what else a user should know.
    """

    clips: int = 0
    frames: int = 0
    objects: int = 0
    added: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """In sentences."""
        parts = [f"{self.objects} objects on {self.frames} frames of {self.clips} clips imported."]
        if self.added:
            parts.append(f"{self.added} images added to the dataset.")
        parts += [f"Failed: {name}: {reason}" for name, reason in self.failed.items()]
        return " ".join([*parts, *self.notes[:20]])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the sentences as `summary`."""
        return {**self.__dict__, "summary": str(self)}


class Importer:
    """Reads sequence by sequence when iterated; gives the share that is done and the sequence's name."""

    def __init__(self, dataset: fo.Dataset, path: Path, form: str, name: str, include: str = "human") -> None:
        """Reads what there is; nothing is written.

        Args:
            dataset: with the videos, or with images, or empty to be filled from a folder.
            path: the folder, or CVAT's XML file ("CVAT for video 1.1").
            form: one of `FORMATS`.
            name: of the field to write, which must not hold labels on these frames.
            include: of CVAT's shapes: "human" for drawn ones, "interpolated" for those in between too, or "all".

        Raises:
            AgssError: an unknown format, or files that cannot be read.
        """
        if form not in FORMATS or include not in get_args(Include):
            raise ConfigError(
                f"format {form!r}, shapes {include!r}: choose {', '.join(FORMATS)}; {', '.join(get_args(Include))}."
            )
        self._dataset, self._name, self._include = dataset, name, include
        path = path.expanduser()
        self._items: list[Sequence | VideoAnnotations]
        self._classes: dict[str, dict[int, str]] = {}
        if form == "cvat":
            self._items = list(read_cvat_xml(path))
        else:
            self._items = list(open_dataset(path, form))  # type: ignore[arg-type]
            self._classes = _classes(path)
        field_of(dataset, name)
        self.imported = Imported()

    def __iter__(self) -> Iterator[tuple[float, str]]:
        """Import.

        Raises:
            DatabaseError: the database cannot be written.
            AgssError: nothing could be used.
        """
        for place, item in enumerate(self._items):
            yield place / len(self._items), item.name
            try:
                self._import(item)
            except AgssError as error:
                self.imported.failed[item.name] = str(error)
        if self.imported.failed and not self.imported.clips:
            raise AgssError(f"nothing was imported. {self.imported}")

    def _import(self, item: Sequence | VideoAnnotations) -> None:
        if isinstance(item, Sequence):
            clip = self._clip_of(item)
            frames: Iterator[_FrameMasks] = _of_sequence(item, self._classes.get(item.name, {}))
        else:
            clip = self._video_of(item)
            frames = _of_cvat(item, self._include)
            self.imported.notes += [f"{item.name}: {problem.text}" for problem in item.problems]
        view = self._dataset if clip.is_video or self._dataset.media_type == "image" else unfiltered(self._dataset)
        target = output_field(view, self._name)
        self._check_free(view, clip, target)
        guarded(lambda: declare(self._dataset, target))
        self._write(view, clip, target, frames)

    def _clip_of(self, sequence: Sequence) -> Clip:
        """The video or the images that a folder of frames belongs to; images are added where there are none."""
        if self._dataset.media_type == "video":
            clip = self._named(sequence.name)
            with clip.open() as source:
                if len(source) != len(sequence.frames):
                    raise MediaError(
                        f"the folder has {len(sequence.frames)} frames, but {clip.name} has {len(source)}; "
                        "they must be the same for masks to belong to the right frames"
                    )
            return clip
        if self._dataset.media_type not in (None, "image"):
            raise MediaError(
                f"a dataset of {self._dataset.media_type!r} cannot take folders of frames; use another one"
            )
        return self._images_of(sequence)

    def _images_of(self, sequence: Sequence) -> Clip:
        paths = [str(path.resolve()) for path in sequence.frames]
        ids, known = self._dataset.values(["id", "filepath"]) if len(self._dataset) else ([], [])
        by_path = dict(zip(known, ids, strict=True))
        missing = [number for number, path in enumerate(paths) if path not in by_path]
        samples = [fo.Sample(paths[number], **{SEQUENCE: sequence.name, NUMBER: number}) for number in missing]
        added = guarded(lambda: self._dataset.add_samples(samples, progress=False)) if samples else []
        by_path |= {paths[number]: sample_id for number, sample_id in zip(missing, added, strict=True)}
        self.imported.added += len(missing)
        return Clip(sequence.name, tuple(by_path[path] for path in paths), tuple(paths), False)

    def _video_of(self, annotations: VideoAnnotations) -> Clip:
        if self._dataset.media_type != "video":
            raise MediaError("CVAT's video annotations need a dataset of videos; load the videos first")
        clip = self._named(Path(annotations.source or annotations.name).stem)
        with clip.open() as source:
            size, count = source.size, len(source)
        if size != (annotations.width, annotations.height):
            raise MediaError(
                f"the masks are for frames of {annotations.width}x{annotations.height}, but {clip.name} has "
                f"{size[0]}x{size[1]}; import onto the video that was annotated"
            )
        last = annotations.source_frame(max(annotations.frame_count - 1, 0))
        if last >= count:
            raise MediaError(f"the annotations reach frame {last}, but {clip.name} ends with frame {count - 1}")
        return clip

    def _named(self, stem: str) -> Clip:
        clips = [clip for clip in find_clips(self._dataset) if Path(clip.paths[0]).stem == stem]
        if len(clips) != 1:
            how = "no video" if not clips else f"{len(clips)} videos"
            raise MediaError(f"the dataset has {how} called {stem!r}; names of files tell which annotations are whose")
        return clips[0]

    def _check_free(self, view: SampleCollection, clip: Clip, target: Field) -> None:
        if view.has_field(target.path) and view.select(list(clip.samples)).count(target.root):
            raise FieldError(
                f"field {target.name!r} already holds labels on {clip.name}; give the name of another field"
            )

    def _write(
        self,
        view: SampleCollection,
        clip: Clip,
        target: Field,
        frames: Iterator[_FrameMasks],
    ) -> None:
        waiting: dict[int, fo.Detections] = {}
        objects: set[int] = set()
        for number, masks, names in frames:
            waiting[number] = _detections(clip, target, masks, names)
            objects |= masks.keys()
            self.imported.frames += 1
            if len(waiting) == FRAMES_AT_ONCE:
                _put(view, clip, target, waiting)
                waiting = {}
        if waiting:
            _put(view, clip, target, waiting)
        self.imported.objects += len(objects)
        self.imported.clips += 1


def _put(view: SampleCollection, clip: Clip, target: Field, waiting: dict[int, fo.Detections]) -> None:
    values: dict[str, Any]
    if clip.is_video:
        values = {clip.key: {number + 1: value for number, value in waiting.items()}}
    else:
        values = {clip.samples[number]: value for number, value in waiting.items()}
    guarded(lambda: view.set_values(target.path, values, key_field="id", expand_schema=False, validate=False))


def _detections(clip: Clip, target: Field, masks: dict[int, BoolMask], names: dict[int, str]) -> fo.Detections:
    labels = []
    for object_id, mask in masks.items():
        if (encoded := encode_mask(mask)) is None:
            continue
        label = fo.Detection(label=names[object_id], bounding_box=encoded[0], mask=encoded[1], index=object_id)
        digest = hashlib.sha256(f"{clip.key} {target.name} {object_id}".encode()).digest()
        label["instance"] = fo.Instance(id=str(ObjectId(digest[:12])))
        label["keyframe"] = True
        labels.append(label)
    return fo.Detections(detections=labels)


def _classes(root: Path) -> dict[str, dict[int, str]]:
    """Class of each object of each sequence, where a file says so; both layouts leave it open."""
    path = next((path for path in (root / "meta.json", root / "objects.json") if path.is_file()), None)
    if path is None:
        return {}
    try:
        videos = json.loads(path.read_text(encoding="utf-8"))["videos"]
        return {
            name: {int(i): str(known["category"]) for i, known in video["objects"].items() if "category" in known}
            for name, video in videos.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MediaError(
            f'{path} cannot be read ({error!r}); it must hold {{"videos": {{NAME: {{"objects": {{ID: '
            '{"category": ...}}}}, or be removed'
        ) from error


def _of_sequence(sequence: Sequence, classes: dict[int, str]) -> Iterator[_FrameMasks]:
    for number in sorted(sequence.annotations):
        label_map = sequence.truth(number)
        masks = {} if label_map is None else to_masks(label_map)
        yield number, masks, {object_id: classes.get(object_id, "object") for object_id in masks}


def _of_cvat(annotations: VideoAnnotations, include: str) -> Iterator[_FrameMasks]:
    """Objects keep their own masks where they overlap."""
    names = {entry.id: entry.label for entry in annotations.objects}
    for index in annotations.frames(include):  # type: ignore[arg-type]
        masks: dict[int, BoolMask] = {}
        for entry in annotations.objects:
            appearance = entry.appearances.get(index)
            if appearance is None or not appearance.counts(include):  # type: ignore[arg-type]
                continue
            for shape in appearance.shapes:
                mask = shape.mask(annotations.width, annotations.height)
                masks[entry.id] = masks[entry.id] | mask if entry.id in masks else mask
        yield annotations.source_frame(index), masks, names
