"""What people bring besides mask images, as label maps by frame: COCO, Datumaro, LabelMe JSON, YOLO text, CVAT XML."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from agss_model.bounded_json import LARGEST
from agss_model.errors import AgssError, MaskError, MediaError
from agss_model.files import refuse_pipe
from agss_model.masks.boxes import object_in_box
from agss_model.masks.labels import BoolMask, LabelMap, validate_object_id
from agss_model.masks.packed import PackedMaps
from agss_model.tracking.results import id_type
from agss_model.video.source import FrameSource
from agss_model.words import plural

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class DrawnShape:
    """One object in one frame.

    Attributes:
        object_id: None where the file says nothing of it.
        label: class, or empty.
        mask: makes the (H, W) bool mask, so that a file's masks are not all expanded together; None for a box.
        box: left, top, width, height in pixels, where that is all there is.
    """

    object_id: int | None
    label: str
    mask: Callable[[], BoolMask] | None = None
    box: Box | None = None


@dataclass(frozen=True)
class ClipDrawings:
    """Everything drawn in a clip.

    Attributes:
        label_maps: (H, W) by frame.
        labels: class by object.
        absent: by frame the objects that are said not to be there.
        notes: sentences on what was taken for granted.
        boxes: objects that were only boxed, whose masks are guesses.
    """

    label_maps: PackedMaps
    labels: dict[int, str] = field(default_factory=dict)
    absent: dict[int, frozenset[int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    boxes: int = 0


def put_together(shapes: Mapping[int, list[DrawnShape]], source: FrameSource, what: str) -> ClipDrawings:
    """Label maps of shapes; objects in boxes are looked for, see `agss_model.masks.boxes`.

    Args:
        shapes: by frame, in the order of drawing.
        source: the clip.
        what: names the file in messages.

    Raises:
        MaskError: nothing is drawn, a mask has another size, or nobody can tell which object is which.
        MediaError: a frame is outside the clip.
    """
    shapes = identified({number: _unboxed(found) for number, found in sorted(shapes.items()) if found}, what)
    if not shapes:
        raise MaskError(f"{what} holds no mask, polygon or box of a frame of {source.name}")
    labels = {one.object_id: one.label for found in shapes.values() for one in found if one.object_id and one.label}
    notes, maps = list[str](), PackedMaps()
    boxes = sum(one.mask is None for found in shapes.values() for one in found)
    for number, found in shapes.items():
        label_map, hidden = _label_map(number, found, source, what)
        maps.put(number, label_map)
        if hidden:
            notes.append(f"objects of frame {number} in {what} share {hidden} pixels; they go to the one drawn last.")
    if boxes:
        notes.append(f"{plural(boxes, 'object')} in {what} came as boxes; each was looked for in its box.")
    return ClipDrawings(
        maps, {i: label for i, label in labels.items() if i is not None}, notes=tuple(notes), boxes=boxes
    )


def _unboxed(found: list[DrawnShape]) -> list[DrawnShape]:
    """Shapes without the boxes of objects whose masks are there too, as Datumaro writes both."""
    masked = {one.object_id for one in found if one.mask is not None and one.object_id is not None}
    return [one for one in found if one.mask is not None or one.object_id not in masked]


def identified(shapes: Mapping[int, list[DrawnShape]], what: str) -> dict[int, list[DrawnShape]]:
    """Give ids to the shapes of one frame where the file has none.

    Raises:
        MaskError: some have ids and some have not, or several frames have none.
    """
    without = sum(one.object_id is None for found in shapes.values() for one in found)
    if not without:
        return dict(shapes)
    if len(shapes) > 1 or without < sum(map(len, shapes.values())):
        raise MaskError(
            f"{what} does not say which of its objects is which from frame to frame: {without} have no id; "
            "give ids, or only one annotated frame"
        )
    return {
        number: [DrawnShape(place, one.label, one.mask, one.box) for place, one in enumerate(found, 1)]
        for number, found in shapes.items()
    }


def _label_map(number: int, found: Iterable[DrawnShape], source: FrameSource, what: str) -> tuple[LabelMap, int]:
    """The label map of a frame, and the pixels in which an object hides another."""
    if not 0 <= number < len(source):
        raise MediaError(f"{what} is about frame {number}, but {source.name} has frames 0 to {len(source) - 1}")
    shapes = list(found)
    width, height = source.size
    ids = [validate_object_id(one.object_id or 0) for one in shapes]
    label_map: LabelMap = np.zeros((height, width), id_type(ids))
    hidden = 0
    for object_id, one in zip(ids, shapes, strict=True):
        mask = one.mask() if one.mask is not None else _in_box(one.box, source, number, what)
        if mask.shape != label_map.shape:
            raise MaskError(
                f"a mask of frame {number} in {what} is {mask.shape[1]}x{mask.shape[0]} pixels, but the frames of "
                f"{source.name} are {width}x{height}"
            )
        hidden += int(np.count_nonzero((label_map > 0) & (label_map != object_id) & mask))
        label_map[mask] = object_id
    return label_map, hidden


def _in_box(box: Box | None, source: FrameSource, number: int, what: str) -> BoolMask:
    width, height = source.size
    area = np.zeros((height, width), dtype=np.bool_)
    if box is not None and np.isfinite(box).all():
        left, top, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
        rows = slice(*np.clip((round(top), round(bottom)), 0, height).tolist())
        columns = slice(*np.clip((round(left), round(right)), 0, width).tolist())
        area[rows, columns] = True
    if not area.any():
        raise MaskError(f"box {box} in {what} has no pixel of frame {number}, which is {width}x{height}")
    return object_in_box(source.read(number), area)


def explaining(path: Path, read: Callable[[], ClipDrawings]) -> ClipDrawings:
    """Run a reader, and turn whatever a malformed file makes it stumble over into a sentence.

    Raises:
        MediaError: the file is missing, too large or not what it should be.
        AgssError: as the reader says.
    """
    refuse_pipe(path)
    try:
        if path.is_file() and path.stat().st_size > LARGEST:
            raise MediaError(f"{path} has more than {LARGEST >> 20} MiB; export fewer frames")
        return read()
    except MaskError as error:
        raise error if str(path) in str(error) else MaskError(f"{path}: {error}") from error
    except AgssError:
        raise
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        EOFError,
        RuntimeError,  # of JSON too deep, and of ZIPs with a password
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        kind = type(error).__name__
        raise MediaError(f"{path} cannot be read as annotations ({kind}: {error}); export it again") from error
