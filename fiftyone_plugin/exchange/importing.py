"""Masks of DAVIS and YouTube-VOS folders and of CVAT's video XML onto the frames they belong to; masks are exact."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import fiftyone as fo
from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from agss_model.cvat import Include, VideoAnnotations, read_cvat_xml
from agss_model.errors import AgssError, ConfigError
from agss_model.evaluation import Layout, Sequence, open_dataset
from agss_model.formats.annotated import masks_of
from agss_model.formats.clip import FrameMasks
from agss_model.formats.names import ObjectLabel, read_names
from agss_model.masks.labels import to_masks
from agss_model.words import plural
from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.collections import flat, unfiltered
from fiftyone_plugin.data.database import FRAMES_AT_ONCE, DatabaseError, guarded
from fiftyone_plugin.data.fields import Field, FieldError, declare, field_of, output_field
from fiftyone_plugin.data.identity import UNNAMED, ObjectName
from fiftyone_plugin.data.labels import encode_mask, fingerprint
from fiftyone_plugin.data.progress import Progress, Summary
from fiftyone_plugin.data.values import store
from fiftyone_plugin.exchange.matching import Matching, frame_in, xml_files

FORMATS = (*get_args(Layout), "cvat")


@dataclass
class ImportSummary(Summary):
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
        """The outcome in sentences."""
        where = f"{plural(self.frames, 'frame')} of {plural(self.clips, 'clip')}"
        parts = [f"{plural(self.objects, 'object')} on {where} imported."]
        if self.added:
            parts.append(f"{plural(self.added, 'image')} added to the dataset.")
        parts += [f"Failed: {name}: {reason}" for name, reason in self.failed.items()]
        return " ".join([*parts, *self.notes[:20]])


class Importer:
    """Reads sequence by sequence when iterated."""

    def __init__(
        self,
        dataset: fo.Dataset,
        path: Path,
        form: str,
        name: str,
        include: str = "human",
        sort_field: str | None = None,
        group_field: str | None = None,
    ) -> None:
        """Find what there is; nothing is written.

        Args:
            dataset: with the videos, or with images, or empty to be filled from a folder.
            path: the folder; of CVAT the XML ("CVAT for video 1.1"), its folder, or a folder of such folders.
            form: one of `FORMATS`.
            name: of the field to write, which must not hold labels on these frames.
            include: of CVAT's shapes: "human" for drawn ones, "interpolated" for those in between too, or "all".
            sort_field: orders images that a task of CVAT is about.
            group_field: tells sequences of such images apart.

        Raises:
            AgssError: an unknown format, or nothing to read.
        """
        if form not in FORMATS or include not in get_args(Include):
            raise ConfigError(
                f"format {form!r}, shapes {include!r}: choose {', '.join(FORMATS)}; {', '.join(get_args(Include))}."
            )
        self._dataset, self._name = dataset, name
        self._include: Include = include  # type: ignore[assignment]
        self._matching = Matching(dataset, sort_field, group_field)
        path = path.expanduser()
        self._items: list[Sequence | Path]
        self._named: dict[str, dict[int, ObjectLabel]] = {}
        if form == "cvat":
            self._items = list(xml_files(path))
        else:
            self._items = list(open_dataset(path, form))  # type: ignore[arg-type]
            self._named = read_names(path)
        field_of(dataset, name)
        self.imported = ImportSummary()

    @property
    def result(self) -> dict[str, Any]:
        """What was read, as plain values."""
        return self.imported.to_dict()

    def __iter__(self) -> Iterator[Progress]:
        """Import.

        Raises:
            DatabaseError: the database cannot be written.
            AgssError: nothing could be used.
        """
        for place, item in enumerate(self._items):
            name = item.name if isinstance(item, Sequence) else str(item)
            yield Progress(place / len(self._items), name)
            try:
                for task in [item] if isinstance(item, Sequence) else read_cvat_xml(item):
                    name = task.name
                    self._import(task, item)
            except DatabaseError:
                raise
            except AgssError as error:
                self.imported.failed[name] = str(error)
        self.imported.added = self._matching.added
        if self.imported.failed and not self.imported.clips:
            raise AgssError(f"nothing was imported. {self.imported}")

    def _import(self, task: Sequence | VideoAnnotations, item: Sequence | Path) -> None:
        if isinstance(task, Sequence):
            clip = self._matching.of_folder(task)
            known = self._named.get(task.name, {})
            frames, names = _of_sequence(task), {i: ObjectName(named.label, named.index) for i, named in known.items()}
        else:
            clip = self._matching.of_task(task, Path(str(item)))
            frames = _of_cvat(task, self._include, clip)
            known = read_names(Path(str(item)).parent).get(task.name, {})
            nobody = ObjectLabel("")
            names = {entry.id: ObjectName(entry.label, known.get(entry.id, nobody).index) for entry in task.objects}
            self.imported.notes += [f"{task.name}: {problem.text}" for problem in task.problems]
        view = unfiltered(flat(self._dataset))
        target = output_field(view, self._name)
        self._check_free(view, clip, target)
        guarded(lambda: declare(self._dataset, target))
        self._write(view, _Labeller(clip, target, names), frames)

    def _check_free(self, view: SampleCollection, clip: Clip, target: Field) -> None:
        if view.has_field(target.path) and view.select(list(clip.samples)).count(target.root):
            raise FieldError(
                f"field {target.name!r} already holds labels on {clip.name}; give the name of another field"
            )

    def _write(self, view: SampleCollection, labeller: _Labeller, frames: Iterator[FrameMasks]) -> None:
        waiting: dict[int, fo.Detections] = {}
        objects: set[int] = set()
        for frame in frames:
            waiting[frame.number] = labeller.detections(frame)
            objects |= frame.masks.keys()
            self.imported.frames += 1
            if len(waiting) == FRAMES_AT_ONCE:
                guarded(partial(store, view, labeller.clip, labeller.target, waiting))
                waiting = {}
        if waiting:
            guarded(partial(store, view, labeller.clip, labeller.target, waiting))
        self.imported.objects += len(objects)
        self.imported.clips += 1


@dataclass(frozen=True)
class _Labeller:
    """Makes labels of the masks of one clip.

    Attributes:
        clip: which one.
        target: where the labels go; an object has the same instance in all of it.
        names: of the objects, by id; an object without an index gets its id, or the next that its class has free.
    """

    clip: Clip
    target: Field
    names: Mapping[int, ObjectName]
    _indexed: dict[int, ObjectName] = field(default_factory=dict)

    def _index(self, object_id: int) -> ObjectName:
        name = self.names.get(object_id, ObjectName(UNNAMED))
        if name.index is not None:
            return name
        taken = {*self.names.values(), *self._indexed.values()}
        return next(n for i in itertools.count(object_id) if (n := ObjectName(name.label, i)) not in taken)

    def detections(self, frame: FrameMasks) -> fo.Detections:
        """The labels of a frame; what no human drew is marked as a prediction is."""
        labels = []
        for object_id, mask in frame.masks.items():
            if (encoded := encode_mask(mask)) is None:
                continue
            name = self._indexed.setdefault(object_id, self._index(object_id))
            label = fo.Detection(label=name.label, bounding_box=encoded[0], mask=encoded[1], index=name.index)
            digest = hashlib.sha256(f"{self.clip.key} {self.target.name} {object_id}".encode()).digest()
            label["instance"] = fo.Instance(id=str(ObjectId(digest[:12])))
            label["keyframe"] = object_id in frame.human
            if object_id not in frame.human:
                label["tracked"] = fingerprint(label)
            labels.append(label)
        return fo.Detections(detections=labels)


def _of_sequence(sequence: Sequence) -> Iterator[FrameMasks]:
    for number in sorted(sequence.annotations):
        label_map = sequence.truth(number)
        masks = {} if label_map is None else to_masks(label_map)
        yield FrameMasks(number, masks, frozenset(masks))


def _of_cvat(annotations: VideoAnnotations, include: Include, clip: Clip) -> Iterator[FrameMasks]:
    for frame in masks_of(annotations, include):
        yield replace(frame, number=frame_in(clip, annotations, frame.number))
