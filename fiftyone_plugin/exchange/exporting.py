"""Clips with their masks as files, by the writers of `agss_model.formats`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from fiftyone.core.collections import SampleCollection

from agss_model.errors import AgssError, ConfigError, OutputError
from agss_model.formats.clip import FrameMasks, MaskedClip
from agss_model.formats.registry import FORMATS, add, filling
from agss_model.masks.labels import BoolMask
from agss_model.words import listing, plural
from fiftyone_plugin.data.authorship import Authors
from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.collections import unfiltered
from fiftyone_plugin.data.fields import Field
from fiftyone_plugin.data.identity import ObjectName, ObjectNames, numbered
from fiftyone_plugin.data.labels import Label, decode_label
from fiftyone_plugin.data.progress import Progress, Summary
from fiftyone_plugin.data.values import labels_in, read_values
from fiftyone_plugin.exchange.naming import folder_name

LAYOUTS = tuple(FORMATS)
Which = Literal["human", "all"]


@dataclass
class ExportSummary(Summary):
    """What was written.

    Attributes:
        folder: where it is.
        sequences: names of the folders in it.
        frames: with masks.
        partial: frames left out because a human drew only some of their objects.
        overlapping: pixels that belong to several objects; the smallest one has them.
        bare: names of clips without a frame to write.
        failed: names of clips that could not be written, and why.
    """

    folder: str
    sequences: list[str] = field(default_factory=list)
    frames: int = 0
    partial: int = 0
    overlapping: int = 0
    bare: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """The outcome in sentences."""
        names = f" to {self.folder}: {listing(self.sequences)}" if self.sequences else ""
        written = f"{plural(len(self.sequences), 'sequence')} with masks on {plural(self.frames, 'frame')} written"
        parts = [f"{written}{names}."]
        if self.partial:
            parts.append(f"{plural(self.partial, 'frame')} left out: only some of their objects were drawn by a human.")
        if self.overlapping:
            parts.append(f"{plural(self.overlapping, 'pixel')} belonged to several objects and went to the smallest.")
        if self.bare:
            parts.append(f"Nothing to write in {listing(self.bare)}.")
        return " ".join([*parts, *(f"Failed: {name}: {reason}" for name, reason in self.failed.items())])


@dataclass
class _Survey:
    """What a clip has to offer.

    Attributes:
        names: of the labels.
        objects: that are written.
        chosen: for each frame to write the ids of its labels, and whether a human drew them.
    """

    names: ObjectNames
    objects: dict[ObjectName, None] = field(default_factory=dict)
    chosen: dict[int, dict[str, bool]] = field(default_factory=dict)


class Exporter:
    """Writes clip by clip when iterated."""

    def __init__(
        self, collection: SampleCollection, clips: list[Clip], labels: Field, root: Path, layout: str, which: str
    ) -> None:
        """Check the settings; nothing is written.

        Args:
            collection: holds the clips.
            clips: to write.
            labels: field with masks.
            root: folder, made if missing, once everything is in it; folders of sequences must not be there yet.
            layout: one of `LAYOUTS`, or "cvat" for "cvat-video".
            which: "human": what a human drew, or confirmed by an edit; where the layout says of every object whether it
                is there, only frames in which that is every object; "all": every mask.

        Raises:
            ConfigError: an unknown layout or choice, or no folder.
        """
        if which not in get_args(Which):
            raise ConfigError(f"labels is {which!r}; choose {' or '.join(get_args(Which))}.")
        self._layout = "cvat-video" if layout == "cvat" else layout
        if self._layout not in FORMATS:
            raise ConfigError(f"layout is {layout!r}; choose {', '.join(LAYOUTS)}.")
        if not str(root).strip() or str(root) == ".":
            raise ConfigError("no folder was given; say where to write, such as /data/export.")
        self._root, self._format = root.expanduser(), FORMATS[self._layout]
        self._collection, self._clips, self._labels, self._which = collection, clips, labels, which
        self.exported = ExportSummary(str(self._root))

    @property
    def result(self) -> dict[str, Any]:
        """What was written, as plain values."""
        return self.exported.to_dict()

    def __iter__(self) -> Iterator[Progress]:
        """Write.

        Raises:
            OutputError: the folder cannot be written, or another process is writing into it.
            AgssError: not one clip could be written.
        """
        with filling(self._root) as root:
            for place, clip in enumerate(self._clips):
                yield Progress(place / len(self._clips), clip.name)
                try:
                    self._export(clip, root)
                except OutputError:
                    raise
                except AgssError as error:
                    self.exported.failed[f"{clip.name} (sample {clip.key})"] = str(error)
        if not self.exported.sequences:
            raise AgssError(f"nothing was written. {self.exported}")

    def _export(self, clip: Clip, root: Path) -> None:
        survey = self._survey(clip)
        if not survey.chosen:
            self.exported.bare.append(clip.name)
            return
        most = self._format.most_ids
        if len(survey.objects) > most:
            raise AgssError(
                f"{len(survey.objects)} objects are too many for this layout, which holds {most}; split the clip."
            )
        ids = numbered(survey.objects, most)
        name = folder_name(clip)
        if name in self.exported.sequences:
            name = f"{name}_{clip.key[-6:]}"
        with clip.open() as source:
            masked = MaskedClip(
                name=name,
                size=source.size,
                count=len(source),
                frames=sorted(survey.chosen),
                labels={i: known.label for known, i in ids.items()},
                each=lambda: self._frames(clip, source.size, ids, survey),
                part=range(clip.first, len(source) if clip.last is None else min(clip.last + 1, len(source))),
                indexes={i: known.index for known, i in ids.items() if known.index is not None and known.index != i},
                source=source,
            )
            add(masked, self._layout, root)
        self.exported.sequences.append(name)
        self.exported.frames += len(survey.chosen)

    def _survey(self, clip: Clip) -> _Survey:
        """The objects, and the labels in each frame to write."""
        data = unfiltered(self._collection)
        survey = _Survey(ObjectNames.read(data, clip, self._labels))
        authors = Authors.read(data, clip, self._labels)
        for number, (value,) in read_values(self._collection, clip, self._labels):
            chosen = self._chosen(number, labels_in(value), authors)
            if chosen:
                survey.chosen[number] = {label.id: human for label, human in chosen}
            for label, _ in chosen:
                survey.objects[survey.names.of(label)] = None
        return survey

    def _chosen(self, number: int, labels: list[Label], authors: Authors) -> list[tuple[Label, bool]]:
        """Those to write, and whether a human drew them; what the App filled in is nobody's."""
        marked = [(label, authors.by_person(number, label)) for label in labels]
        if self._which == "all":
            return marked
        drawn = [pair for pair in marked if pair[1]]
        if len(drawn) == len(marked) or not self._format.whole:
            return drawn
        self.exported.partial += bool(drawn)
        return []

    def _frames(
        self, clip: Clip, size: tuple[int, int], ids: Mapping[ObjectName, int], survey: _Survey
    ) -> Iterator[FrameMasks]:
        for number, (value,) in read_values(self._collection, clip, self._labels):
            if (chosen := survey.chosen.get(number)) is None:
                continue
            masks: dict[int, BoolMask] = {}
            human = set()
            for label in labels_in(value):
                if label.id not in chosen or not (mask := decode_label(label, *size)).any():
                    continue
                object_id = ids[survey.names.of(label)]
                masks[object_id] = masks[object_id] | mask if object_id in masks else mask
                if chosen[label.id]:
                    human.add(object_id)
            if self._format.flat:
                self.exported.overlapping += _shared_pixels(masks)
            yield FrameMasks(number, masks, frozenset(human))


def _shared_pixels(masks: Mapping[int, BoolMask]) -> int:
    """Pixels that could be kept for one of their objects only."""
    return int(np.maximum(sum((mask.astype(np.int64) for mask in masks.values()), np.int64(0)) - 1, 0).sum())
