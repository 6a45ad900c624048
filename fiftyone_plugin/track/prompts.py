"""What humans drew in a clip, and what an earlier run left in it."""

from __future__ import annotations

import hashlib
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter

import fiftyone as fo
import numpy as np
from fiftyone.core.collections import SampleCollection

from agss_model.errors import MaskError
from agss_model.masks.boxes import object_in_box
from agss_model.masks.labels import BoolMask, LabelMap
from agss_model.tracking.results import id_type
from agss_model.video import FrameSource
from agss_model.words import plural
from fiftyone_plugin.data.authorship import NOBODY, Authors
from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.fields import Field
from fiftyone_plugin.data.labels import decode_label, has_region
from fiftyone_plugin.data.saying import LabelContent
from fiftyone_plugin.data.values import Container, labels_in, read_values
from fiftyone_plugin.track.objects import ClipObject, HumanLabel, Identities


@dataclass(frozen=True)
class HumanMask:
    """One object in one frame as a human drew it, compressed.

    Attributes:
        box: top, bottom, left, right in pixels.
        data: the bits of the mask inside the box.
        label: its class there.
        label_id: of the label it came from.
        in_output: whether that label stands in the output field.
        said: what it says of the object, where it stands in the output field.
    """

    box: tuple[int, int, int, int]
    data: bytes
    label: str | None
    label_id: str
    in_output: bool
    said: LabelContent | None = None

    @classmethod
    def of(cls, mask: BoolMask, sighting: HumanLabel) -> HumanMask | None:
        """Compress a (H, W) bool mask; None where it is empty."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if rows.size == 0:
            return None
        top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
        data = zlib.compress(np.packbits(mask[top:bottom, left:right]).tobytes(), 1)
        label = sighting.label
        said = LabelContent.of(label) if sighting.in_output and isinstance(label, fo.Detection) else None
        return cls((top, bottom, left, right), data, label.label, label.id, sighting.in_output, said)

    @property
    def inside(self) -> BoolMask:
        """The (h, w) bool mask inside the box."""
        top, bottom, left, right = self.box
        count = (bottom - top) * (right - left)
        bits = np.unpackbits(np.frombuffer(zlib.decompress(self.data), np.uint8), count=count)
        return bits.reshape(bottom - top, right - left).astype(np.bool_)

    def paint(self, label_map: LabelMap, object_id: int) -> None:
        """Put the object over what is there."""
        top, bottom, left, right = self.box
        label_map[top:bottom, left:right][self.inside] = object_id

    def mask(self, size: tuple[int, int]) -> BoolMask:
        """The mask as (H, W) bool, at the frame's (width, height)."""
        out = np.zeros(size[::-1], np.uint8)
        self.paint(out, 1)
        return out.astype(np.bool_)


class PromptMaps(Mapping[int, LabelMap]):
    """Label maps by frame number, painted when asked for; where objects overlap the smaller one shows."""

    def __init__(self, drawn: Mapping[int, Mapping[int, HumanMask]], size: tuple[int, int]) -> None:
        self._drawn, self._size = drawn, size

    def __getitem__(self, number: int) -> LabelMap:
        objects = self._drawn[number]
        label_map: LabelMap = np.zeros(self._size[::-1], id_type(objects))
        areas = {object_id: int(drawn.inside.sum()) for object_id, drawn in objects.items()}
        for object_id in sorted(objects, key=lambda i: -areas[i]):
            objects[object_id].paint(label_map, object_id)
        return label_map

    def __iter__(self) -> Iterator[int]:
        return iter(self._drawn)

    def __len__(self) -> int:
        return len(self._drawn)


@dataclass(frozen=True)
class Prompts:
    """What a clip holds before it is tracked.

    Attributes:
        objects: by id.
        drawn: frame number -> object id -> what was drawn.
        size: (width, height) of the frames.
        runs: the mark of the run that wrote it, for each frame that has one; see `fiftyone_plugin.track.writing`.
        boxes: labels of which only the box is known.
        empty: labels without a pixel in the frame.
        ends: frame number -> ids of objects whose mask a person deleted there.
        authors: who made the labels that stand in the output field.
    """

    objects: Mapping[int, ClipObject]
    drawn: Mapping[int, Mapping[int, HumanMask]]
    size: tuple[int, int]
    runs: Mapping[int, str]
    boxes: int = 0
    empty: int = 0
    ends: Mapping[int, frozenset[int]] = field(default_factory=dict)
    authors: Authors = NOBODY

    @property
    def keyframes(self) -> PromptMaps:
        """Label maps of the drawn frames, by frame number."""
        return PromptMaps(self.drawn, self.size)

    def away(self, number: int) -> frozenset[int]:
        """Objects that a person ended in this frame or before, and nobody has drawn since."""
        gone: set[int] = set()
        for frame in sorted({*self.ends, *self.drawn}) if self.ends else ():
            if frame > number:
                break
            gone |= self.ends.get(frame, frozenset())
            gone -= self.drawn.get(frame, {}).keys()
        return frozenset(gone)

    def said(self, number: int) -> dict[int, LabelContent]:
        """What people said last of objects, by id, in the output field up to a frame."""
        return {
            object_id: found[place - 1][1]
            for object_id, found in self._said.items()
            if (place := bisect_right(found, number, key=itemgetter(0)))
        }

    @cached_property
    def _said(self) -> dict[int, list[tuple[int, LabelContent]]]:
        found: dict[int, list[tuple[int, LabelContent]]] = {}
        for number in sorted(self.drawn):
            for object_id, drawn in self.drawn[number].items():
                if drawn.said is not None and drawn.said.index is not None:
                    found.setdefault(object_id, []).append((number, drawn.said))
        return found

    def digest(self, number: int) -> str:
        """Changes with anything that was drawn in a frame."""
        parts = hashlib.sha256()
        for object_id, drawn in sorted(self.drawn[number].items()):
            known = self.objects[object_id]
            said = "" if drawn.said is None else drawn.said.beside(known.index)
            parts.update(f"{known.index} {known.label} {known.instance} {drawn.box} {drawn.label}{said}\n".encode())
            parts.update(drawn.data)
        return parts.hexdigest()


@dataclass
class _PromptParts:
    """What is collected frame by frame."""

    sightings: list[HumanLabel] = field(default_factory=list)
    runs: dict[int, str] = field(default_factory=dict)
    known: dict[str, int] = field(default_factory=dict)
    ended: dict[int, set[str]] = field(default_factory=dict)


def read_prompts(
    source: FrameSource,
    frames: Iterable[tuple[int, Container, Container]],
    scope: str,
    authors: tuple[Authors, Authors] = (NOBODY, NOBODY),
) -> Prompts:
    """Find the objects that humans drew; in a box, the pixels that look unlike its surroundings are the object.

    Args:
        source: the clip.
        frames: frame number from 0, value of the input field, value of the output field; one object where that is one.
        scope: of made-up instances, see `Identities`.
        authors: of the labels of the input field, and of those of the output field.

    Raises:
        MaskError: labels that contradict each other or cannot be read; the message names the frame.
    """
    reading = _PromptParts()
    masks: list[HumanMask | None] = []
    boxes = 0
    for number, given, output in frames:
        for sighting in _drawn_in(number, given, output, reading, authors):
            if not 0 <= number < len(source):
                raise MaskError(f"frame {number + 1} is labelled, but {source.name} has {plural(len(source), 'frame')}")
            try:
                mask = decode_label(sighting.label, *source.size)
            except MaskError as error:
                raise MaskError(f"frame {number + 1}: {error}") from error
            if not has_region(sighting.label):
                boxes += 1
                mask = object_in_box(source.read(number), mask) if mask.any() else mask
            masks.append(HumanMask.of(mask, sighting))
            reading.sightings.append(_without_pixels(sighting))
    objects, ids = Identities(scope, reading.known).arrange(reading.sightings)
    drawn: dict[int, dict[int, HumanMask]] = {}
    for sighting, object_id, one in zip(reading.sightings, ids, masks, strict=True):
        if one is not None:
            _put(drawn.setdefault(sighting.frame, {}), object_id, one, sighting)
    return Prompts(
        objects, drawn, source.size, reading.runs, boxes, masks.count(None), _ends(reading, objects, drawn), authors[1]
    )


def _drawn_in(
    number: int, given: Container, output: Container, reading: _PromptParts, authors: tuple[Authors, Authors]
) -> list[HumanLabel]:
    if run := getattr(output, "run", None):
        # What the App put beside the masks of a run goes only when the frame is written again.
        if not any(authors[1].filled(number, label) for label in labels_in(output)):
            reading.runs[number] = run
        # What a run wrote here and is not here any more, somebody deleted.
        written = {*(getattr(output, "shown", None) or ()), *(getattr(output, "ended", None) or ())}
        if deleted := written - {label.instance_id for label in labels_in(output)}:
            reading.ended[number] = deleted
    same = given is output
    given = None if same else given
    # Copies of what was drawn elsewhere stand for it in tracks that are tracked from, but not in the output beside it.
    sightings = [HumanLabel(number, label, False) for label in labels_in(given) if authors[0].by_person(number, label)]
    for label in labels_in(output):
        if label.instance_id and label.index is not None:
            reading.known.setdefault(label.instance_id, int(label.index))
        if authors[1].by_person(number, label) if same else authors[1].drew(number, label):
            sightings.append(HumanLabel(number, label, True))
    return sightings


def _ends(
    reading: _PromptParts, objects: Mapping[int, ClipObject], drawn: Mapping[int, Mapping[int, HumanMask]]
) -> dict[int, frozenset[int]]:
    """Objects that were deleted in a frame where nobody drew them, as what is drawn is there."""
    ids = {known.instance: object_id for object_id, known in objects.items()}
    gone = {number: {ids[i] for i in names if i in ids} for number, names in reading.ended.items()}
    return {number: frozenset(here - drawn.get(number, {}).keys()) for number, here in gone.items()}


def _without_pixels(sighting: HumanLabel) -> HumanLabel:
    """Only what tells objects apart, as thousands of frames may be labelled."""
    label = sighting.label
    light = fo.Detection(label=label.label, index=label.index)
    light.id = label.id
    if label.instance_id:
        light.instance = fo.Instance(id=label.instance_id)
    return HumanLabel(sighting.frame, light, sighting.in_output)


def _put(here: dict[int, HumanMask], object_id: int, drawn: HumanMask, sighting: HumanLabel) -> None:
    """One object has one mask in a frame: what stands in the output field wins, and parts of polygons are joined."""
    other = here.get(object_id)
    if other is None or (drawn.in_output and not other.in_output):
        here[object_id] = drawn
    elif other.in_output and not drawn.in_output:
        return
    else:
        label = sighting.label
        raise MaskError(
            f"frame {sighting.frame + 1} has two labels of object {label.label!r} {label.index or ''}; "
            "give each object its own index, or delete one of them"
        )


def read_frames(
    collection: SampleCollection, dataset: SampleCollection, clip: Clip, given: Field, output: Field | None
) -> Iterator[tuple[int, Container, Container]]:
    """The values of both fields, frame by frame; one frame in memory at a time.

    Args:
        collection: the view, whose filters decide which labels of the input field count.
        dataset: without filters.
        clip: which frames.
        given: the input field.
        output: the output field, None where it does not exist yet.
    """
    if output is None or output.name != given.name:
        for number, (value,) in read_values(collection, clip.whole, given):
            yield number, value, None
    if output is not None:
        for number, (value,) in read_values(dataset, clip.whole, output):
            yield number, value if output.name == given.name else None, value
