"""Who made a shape: a machine of this project, another program, or a person.

This is the one meaning of it, for the job command, the readers and the button; `authorship.js` says the same for the
browser, and both are held to one table of cases.

What a machine of ours writes has source `auto`, which CVAT's own page turns into `semi-auto` when somebody edits the
shape, and carries a signature over all of its content, because CVAT does not do so for attributes, and not for
keyframes of tracks that a person drew. The signature of a mask lies in the digits of its score; that of a keyframe in
the hundredths of a pixel of its first three points, so that it survives an export too. It is made of the names of
labels and attributes, not of their numbers, which differ from task to task.

    score of a mask   0.ttt ssssss n cccc    confidence, signature, neighbours, check of the digits before it

The check tells an edited shape of ours from one that another program wrote. The neighbours say beside which frames a
mask was written as well: where one of those is gone, somebody deleted it.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
Author = Literal["ours", "other", "person"]

SOURCE = "auto"
PREVIOUS, NEXT = 1, 2
_SIGNATURES, _CHECKS, _WHOLE = 10**6, 10**4, 10**14
_POINTS = 6  # numbers of a keyframe that carry a digit each


@dataclass(frozen=True)
class Names:
    """Names of a task's labels and attributes by their numbers; what is missing stands for itself.

    Attributes:
        labels: by label_id.
        attributes: by spec_id.
        mutable: spec_ids of the attributes that may change from frame to frame.
    """

    labels: Mapping[Any, str] = field(default_factory=dict)
    attributes: Mapping[Any, str] = field(default_factory=dict)
    mutable: frozenset[Any] = frozenset()


def author(item: Json, names: Names) -> Author:
    """Who made a shape or track, as the API gives it: the last one who touched it.

    A track is ours when all of its keyframes are.
    """
    if "shapes" not in item:
        head = _marked(item)
        if head is None:
            return "other" if item.get("source") == SOURCE else "person"
        fits = head // 10 % _SIGNATURES == _number(_mask(item, names), _SIGNATURES)
        return "ours" if fits and item.get("source") == SOURCE else "person"
    authors = set(keyframe_authors(item, names).values())
    if authors == {"ours"}:
        return "ours" if item.get("source") == SOURCE else "person"
    return "other" if authors == {"other"} else "person"


def keyframe_authors(track: Json, names: Names) -> dict[int, Author]:
    """Who made each keyframe of a track, by frame."""
    shapes = in_order(track)
    signed = {int(shape["frame"]): _is_signed(track, shape, shape is shapes[0], names) for shape in shapes}
    rest: Author = "other" if track.get("source") == SOURCE and not any(signed.values()) else "person"
    return {frame: "ours" if ours else rest for frame, ours in signed.items()}


def was_ours(item: Json, names: Names) -> bool:
    """Whether a machine of ours made a shape or a part of a track, whoever edited it since."""
    if "shapes" in item:
        return "ours" in keyframe_authors(item, names).values()
    return _marked(item) is not None


def was_ours_as(track: Json, drawing: Json, names: Names) -> bool:
    """Whether a machine of ours made a track as the object of a drawing, before a person gave it another label.

    CVAT takes all attributes of the old label away then, and with them every signature.
    """
    if not drawing.get("attributes"):
        return was_ours(track, names)
    mutable, fixed = (
        [a for a in drawing["attributes"] if (a["spec_id"] in names.mutable) is kind] for kind in (True, False)
    )
    shapes = [{**shape, "attributes": mutable} for shape in track["shapes"]]
    return was_ours({**track, "label_id": drawing["label_id"], "attributes": fixed, "shapes": shapes}, names)


def sign_mask(shape: Json, names: Names, near: int = 0) -> Json:
    """A mask with its signature.

    Args:
        shape: as it will be sent; its score is cut to three digits.
        names: of the task.
        near: `PREVIOUS` and `NEXT`, where the frames beside it hold a mask of ours of the same object.
    """
    thousandths = min(math.floor(float(shape.get("score") or 0) * 1000 + 1e-6), 999)
    head = (thousandths * _SIGNATURES + _number(_mask(shape, names), _SIGNATURES)) * 10 + near
    return {**shape, "source": SOURCE, "score": (head * _CHECKS + _number(head, _CHECKS)) / _WHOLE}


def sign_track(track: Json, names: Names, kept: Collection[int] = ()) -> Json:
    """A track whose keyframes are signed, except those on the frames `kept`; points move by at most 0.1 pixels."""
    shapes = in_order(track)
    for place, shape in enumerate(shapes):
        if shape["frame"] not in kept:
            points = shape["points"]
            number = _number(_keyframe(track, shape, place == 0, names), 10 ** min(_POINTS, len(points)))
            shapes[place] = {**shape, "points": _with_digits(points, number)}
    return {**track, "shapes": shapes}


def near_of(shape: Json) -> int:
    """Beside which frames a mask of the same object was written too; 0 for a shape that never was ours."""
    return (_marked(shape) or 0) % 10


def emptied(frames: Sequence[int], occupied: Collection[int], near: Mapping[int, int]) -> set[int]:
    """Frames from which somebody deleted masks of ours.

    Args:
        frames: of the job, ascending, without deleted ones.
        occupied: those in which CVAT shows something of the object.
        near: what its masks that are or were ours say, by frame; see `near_of`.
    """
    place = {frame: row for row, frame in enumerate(frames)}
    gone: set[int] = set()
    for frame, bits in near.items():
        for bit, step in ((PREVIOUS, -1), (NEXT, 1)):
            row = place[frame] + step if frame in place and bits & bit else -1
            while 0 <= row < len(frames) and frames[row] not in occupied:
                gone.add(frames[row])
                row += step
    return gone


def content(item: Json, names: Names) -> str:
    """What a person can change of a shape or track, as one text."""
    if "shapes" not in item:
        return json.dumps(_mask(item, names))
    return json.dumps([_about(item, names), [_form(shape, names, _hundredths(shape)) for shape in in_order(item)]])


def in_order(track: Json) -> list[Json]:
    """Keyframes of a track by frame."""
    return sorted(track["shapes"], key=lambda shape: int(shape["frame"]))


def _marked(shape: Json) -> int | None:
    """The digits of a score before its check, where that fits."""
    score = shape.get("score")
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 < score < 1:
        return None
    head, check = divmod(round(score * _WHOLE), _CHECKS)
    return head if check == _number(head, _CHECKS) else None


def _is_signed(track: Json, shape: Json, first: bool, names: Names) -> bool:
    count = min(_POINTS, len(shape["points"]))
    digits = [(h - 10 * _tenths(h)) % 10 for h in _hundredths(shape)[:count]]
    return count > 3 and int("".join(map(str, digits))) == _number(_keyframe(track, shape, first, names), 10**count)


def _number(what: object, most: int) -> int:
    """A number from 1 to `most` - 1; never 0, so that no round score or coordinate looks signed."""
    text = json.dumps(what, ensure_ascii=False, separators=(",", ":"))
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) % (most - 1) + 1


def _mask(shape: Json, names: Names) -> list[object]:
    return [*_owner(shape, names), *_form(shape, names, _hundredths(shape))]


def _keyframe(track: Json, shape: Json, first: bool, names: Names) -> list[object]:
    """What the signature of a keyframe covers; that of the first one also what belongs to the whole track."""
    points = _hundredths(shape)
    # The signature must not depend on itself.
    points = [_tenths(value) for value in points[:_POINTS]] + points[_POINTS:]
    return [*_form(shape, names, points), *([_about(track, names)] if first else [])]


def _about(track: Json, names: Names) -> list[object]:
    return [*_owner(track, names), _values(track, names)]


def _owner(item: Json, names: Names) -> list[object]:
    label = item["label_id"]
    return [names.labels.get(label, str(label)), int(item.get("group") or 0)]


def _form(shape: Json, names: Names, points: list[int]) -> list[object]:
    flags = bool(shape.get("occluded")), bool(shape.get("outside"))
    order = int(shape.get("z_order") or 0)
    return [int(shape["frame"]), shape["type"], points, *flags, order, _values(shape, names)]


def _values(item: Json, names: Names) -> list[list[str]]:
    given = item.get("attributes") or ()
    return sorted([names.attributes.get(a["spec_id"], str(a["spec_id"])), str(a["value"])] for a in given)


def _hundredths(shape: Json) -> list[int]:
    return [math.floor(float(value) * 100 + 0.5) for value in shape["points"]]


def _tenths(hundredths: int) -> int:
    return (hundredths + 5) // 10


def _with_digits(points: Sequence[float], number: int) -> list[float]:
    count = min(_POINTS, len(points))
    digits = [int(digit) for digit in f"{number:0{count}d}"]
    coarse = [_tenths(math.floor(float(value) * 100 + 0.5)) for value in points[:count]]
    moved = [(10 * t + (d if d < 5 else d - 10)) / 100 for t, d in zip(coarse, digits, strict=True)]
    return [*moved, *map(float, points[count:])]
