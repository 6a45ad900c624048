"""How a run knows its own shapes again, on any machine, and tells them from what a person made of them.

Every shape carries a seal, a number computed from all of its content: a mask in digits 4 to 9 of its score, a polygon
track in the hundredths of a pixel of its first three points. Whoever edits the shape breaks the seal, and from then on
the shape is that person's. Where a server does not keep these digits, the record of what was written stands in: number
of the shape and digest of its content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

SOURCE = "semi-auto"
_SEALS = 10**6
_DIGITS = 6


def digest(item: Json) -> str:
    """Digest of what a person can change of a shape or track: all but numbers of rows, source and score."""
    content = _track(item) if "shapes" in item else _shape(item)
    return hashlib.blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()


def seal(item: Json) -> Json:
    """A shape or track with its seal.

    Args:
        item: as it will be sent. The score of a shape is cut to three digits; the first three points of a track's
            first polygon move by up to 0.14 pixels.
    """
    if "shapes" in item:
        first, *rest = sorted(item["shapes"], key=lambda shape: int(shape["frame"]))
        coarse = {**first, "points": [round(p, 1) for p in first["points"][:_DIGITS]] + first["points"][_DIGITS:]}
        number = _number({**item, "shapes": [coarse, *rest]})
        return {**item, "shapes": [{**coarse, "points": _with_digits(coarse["points"], number)}, *rest]}
    thousandths = min(int(float(item["score"]) * 1000 + 1e-6), 999)
    return {**item, "score": round(thousandths / 1000 + _number(item) / 10**9, 9)}


def is_sealed(item: Json) -> bool:
    """A run wrote this, and nobody has touched it since."""
    if item.get("source") != SOURCE:
        return False
    if "shapes" not in item:
        return round(float(item.get("score") or 0) * 10**9) % _SEALS == _number(item)
    points = min(item["shapes"], key=lambda shape: int(shape["frame"]))["points"] if item["shapes"] else []
    return len(points) >= _DIGITS and _digits(points) == _number(item)


def is_own(item: Json, written: Mapping[str, str]) -> bool:
    """Sealed, or recorded and unchanged.

    Args:
        item: shape or track from the server.
        written: digest by the number that the server gave, see `name`.
    """
    return is_sealed(item) or (item.get("source") == SOURCE and written.get(name(item)) == digest(item))


def name(item: Json) -> str:
    """Key of a shape or track in the record of what was written."""
    return f"{'track' if 'shapes' in item else 'shape'} {item['id']}"


def _number(item: Json) -> int:
    """From 1 on, so that no round score looks sealed."""
    return int(digest(item), 16) % (_SEALS - 1) + 1


def _shape(shape: Json) -> list[object]:
    return [shape["frame"], shape["label_id"], shape.get("group") or 0, *_form(shape, _hundredths(shape["points"]))]


def _track(track: Json) -> list[object]:
    forms: list[object] = []
    for place, shape in enumerate(sorted(track["shapes"], key=lambda shape: int(shape["frame"]))):
        points = _hundredths(shape["points"])
        if place == 0:  # the seal must not depend on itself
            points = [value // 10 for value in points[:_DIGITS]] + points[_DIGITS:]
        forms.append([shape["frame"], *_form(shape, points)])
    return [track["label_id"], track.get("group") or 0, _attributes(track), forms]


def _form(shape: Json, points: list[int]) -> list[object]:
    flags = bool(shape.get("occluded")), bool(shape.get("outside"))
    return [shape["type"], points, *flags, int(shape.get("z_order") or 0), _attributes(shape)]


def _attributes(item: Json) -> list[list[object]]:
    return sorted([int(a["spec_id"]), str(a["value"])] for a in item.get("attributes") or ())


def _hundredths(points: list[float]) -> list[int]:
    return [round(float(value) * 100) for value in points]


def _with_digits(points: list[float], number: int) -> list[float]:
    tenths = [round(value * 10) for value in points[:_DIGITS]]
    return [(10 * tenth + int(digit)) / 100 for tenth, digit in zip(tenths, f"{number:06d}", strict=True)] + points[
        _DIGITS:
    ]


def _digits(points: list[float]) -> int:
    return int("".join(str(value % 10) for value in _hundredths(points[:_DIGITS])))
