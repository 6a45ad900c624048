"""Clips with their masks as folders in the DAVIS or YouTube-VOS layout; masks are exact."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
from fiftyone.core.collections import SampleCollection

from agss_model.errors import AgssError, ConfigError, OutputError
from agss_model.evaluation import Layout, Sequence, write_results
from agss_model.masks.labels import LabelMap
from agss_model.results import id_type
from agss_model.video import FrameSource, prefetch
from fiftyone_plugin.clips import Clip
from fiftyone_plugin.evaluation import identity
from fiftyone_plugin.fields import Field
from fiftyone_plugin.labels import decode_label
from fiftyone_plugin.objects import Label
from fiftyone_plugin.prompts import Container, is_prediction, labels_in, read_values

Which = Literal["human", "all"]
MOST_IDS = 254  # in DAVIS 255 marks pixels that are not scored
JPEG_QUALITY = 95


@dataclass
class Exported:
    """What was written.

    Attributes:
        sequences: names of the folders.
        frames: with masks.
        partial: frames left out because a human drew only some of their objects.
        overlapping: pixels that belong to several objects; the smallest one has them.
        bare: names of clips without a frame to write.
        failed: names of clips that could not be written, and why.
    """

    sequences: list[str] = field(default_factory=list)
    frames: int = 0
    partial: int = 0
    overlapping: int = 0
    bare: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """In sentences."""
        parts = [f"{len(self.sequences)} sequences with masks on {self.frames} frames written."]
        if self.partial:
            parts.append(f"{self.partial} frames left out: only some of their objects were drawn by a human.")
        if self.overlapping:
            parts.append(f"{self.overlapping} pixels belonged to several objects and went to the smallest.")
        if self.bare:
            parts.append(f"Nothing to write in {', '.join(self.bare[:5])}.")
        return " ".join([*parts, *(f"Failed: {name}: {reason}" for name, reason in self.failed.items())])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the sentences as `summary`."""
        return {**self.__dict__, "summary": str(self)}


class Exporter:
    """Writes clip by clip when iterated; gives the share that is done and the clip's name."""

    def __init__(
        self, collection: SampleCollection, clips: list[Clip], labels: Field, root: Path, layout: str, which: str
    ) -> None:
        """Checks the settings; nothing is written.

        Args:
            collection: holds the clips.
            clips: to write.
            labels: field with masks.
            root: folder, made if missing; folders of sequences must not be there yet.
            layout: "davis" or "youtube-vos".
            which: "human": frames in which a human drew, or confirmed by an edit, every object; "all": every frame.

        Raises:
            ConfigError: an unknown layout or choice, or no folder.
        """
        if layout not in get_args(Layout) or which not in get_args(Which):
            raise ConfigError(
                f"layout {layout!r} and labels {which!r}: choose {' or '.join(get_args(Layout))}, and "
                f"{' or '.join(get_args(Which))}."
            )
        if not str(root).strip() or str(root) == ".":
            raise ConfigError("no folder was given; say where to write, such as /data/export.")
        self._collection, self._clips, self._labels = collection, clips, labels
        self._root, self._layout, self._which = root.expanduser(), layout, which
        self._meta: dict[str, Any] = {}
        self.exported = Exported()

    def __iter__(self) -> Iterator[tuple[float, str]]:
        """Write.

        Raises:
            OutputError: the folder cannot be written.
            AgssError: not one clip could be written.
        """
        for place, clip in enumerate(self._clips):
            yield place / len(self._clips), clip.name
            try:
                self._export(clip)
            except OutputError:
                raise
            except AgssError as error:
                self.exported.failed[f"{clip.name} (sample {clip.key})"] = str(error)
        if not self.exported.sequences:
            raise AgssError(f"nothing was written. {self.exported}")
        self._finish()

    def _export(self, clip: Clip) -> None:
        name = self._name(clip)
        ids, chosen = self._survey(clip)
        if not chosen:
            self.exported.bare.append(clip.name)
            return
        images = self._root / "JPEGImages" / name
        if images.exists():
            raise OutputError(f"{images} exists already; choose an empty folder, or remove that one.")
        with clip.open() as source:
            try:
                images.mkdir(parents=True)
                paths = _write_images(clip, source, images)
            except OSError as error:
                raise OutputError(f"cannot write {images}: {error.strerror or error}") from error
            sequence = Sequence(name, tuple(paths), {}, self._layout)  # type: ignore[arg-type]
            root = self._root / "Annotations" if self._layout == "davis" else self._root
            write_results(root, sequence, self._label_maps(clip, source.size, ids, chosen))
        self._meta[name] = {"objects": _objects(ids, chosen, paths)}
        self.exported.sequences.append(name)
        self.exported.frames += len(chosen)

    def _name(self, clip: Clip) -> str:
        """Of the folder: the video's or group's, made fit for a file system, and unique."""
        text = Path(clip.paths[0]).stem if clip.is_video else clip.name.split("/")[0]
        name = re.sub(r"[^\w.-]+", "_", text).strip("._") or "clip"
        return name if name not in self._meta else f"{name}_{clip.key[-6:]}"

    def _survey(self, clip: Clip) -> tuple[dict[tuple[str, str], tuple[int, str]], dict[int, list[tuple[str, str]]]]:
        """Id and class of each object, and the objects in each frame to write."""
        labels: dict[tuple[str, str], Label] = {}
        chosen: dict[int, list[tuple[str, str]]] = {}
        for number, (value,) in read_values(self._collection, clip, self._labels):
            here = labels_in(value)
            if not here or not self._wanted(here):
                continue
            chosen[number] = [identity(label) for label in here]
            for label in here:
                labels.setdefault(identity(label), label)
        return _numbered(labels), chosen

    def _wanted(self, labels: list[Label]) -> bool:
        if self._which == "all":
            return True
        human = [bool(getattr(label, "keyframe", False)) or not is_prediction(label) for label in labels]
        self.exported.partial += any(human) and not all(human)
        return all(human)

    def _label_maps(
        self,
        clip: Clip,
        size: tuple[int, int],
        ids: dict[tuple[str, str], tuple[int, str]],
        chosen: dict[int, list[tuple[str, str]]],
    ) -> Iterator[tuple[int, LabelMap]]:
        for number, (value,) in read_values(self._collection, clip, self._labels):
            if number in chosen:
                yield number, self._painted(value, size, ids)

    def _painted(
        self, value: Container, size: tuple[int, int], ids: dict[tuple[str, str], tuple[int, str]]
    ) -> LabelMap:
        masks = [(ids[identity(label)][0], decode_label(label, *size)) for label in labels_in(value)]
        label_map: LabelMap = np.zeros(size[::-1], id_type(number for number, _ in masks))
        for number, mask in sorted(masks, key=lambda entry: -int(entry[1].sum())):
            self.exported.overlapping += int(np.count_nonzero(label_map[mask]))
            label_map[mask] = number
        return label_map

    def _finish(self) -> None:
        """Lists and classes, in the forms the benchmarks have."""
        meta = json.dumps({"videos": self._meta}, indent=1)
        try:
            if self._layout == "youtube-vos":
                (self._root / "meta.json").write_text(meta, encoding="utf-8")
                return
            (self._root / "objects.json").write_text(meta, encoding="utf-8")
            lists = self._root / "ImageSets" / "2017"
            lists.mkdir(parents=True, exist_ok=True)
            (lists / "train.txt").write_text("".join(f"{name}\n" for name in self._meta), encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write into {self._root}: {error.strerror or error}") from error


def _numbered(labels: dict[tuple[str, str], Label]) -> dict[tuple[str, str], tuple[int, str]]:
    """Ids: the indexes where they are fit for it, else counted from 1."""
    if len(labels) > MOST_IDS:
        raise AgssError(f"{len(labels)} objects do not fit into one label map; at most {MOST_IDS} do. Split the clip.")
    indexes = [label.index for label in labels.values()]
    fit = all(i is not None and 1 <= i <= MOST_IDS for i in indexes) and len(set(indexes)) == len(indexes)
    return {
        key: (int(label.index) if fit else place, str(label.label))
        for place, (key, label) in enumerate(labels.items(), 1)
    }


def _objects(
    ids: dict[tuple[str, str], tuple[int, str]], chosen: dict[int, list[tuple[str, str]]], paths: list[Path]
) -> dict[str, Any]:
    return {
        str(number): {
            "category": name,
            "frames": [paths[frame].stem for frame, here in sorted(chosen.items()) if key in here],
        }
        for key, (number, name) in ids.items()
    }


def _write_images(clip: Clip, source: FrameSource, folder: Path) -> list[Path]:
    """Every frame by its number: images as they are, frames of videos as JPEG."""
    if not clip.is_video:
        paths = [folder / f"{number:05d}{Path(path).suffix.lower()}" for number, path in enumerate(clip.paths)]
        for origin, path in zip(clip.paths, paths, strict=True):
            shutil.copyfile(origin, path)
        return paths
    paths = []
    for number, frame in enumerate(prefetch(source.frames())):
        path = folder / f"{number:05d}.jpg"
        done, data = cv2.imencode(
            ".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        )
        if not done:
            raise OutputError(f"frame {number} of {clip.name} cannot be written as JPEG")
        path.write_bytes(data.tobytes())
        paths.append(path)
    return paths
