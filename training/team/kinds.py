"""What new weights are better at: kinds of masks by what is measured of the truth, and the corrections they save."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from agss_model.masks.labels import BoolMask
from training.team.measure import Case, Result

Point = npt.NDArray[np.float64]
Pair = tuple[Case, Result, Result]
"""A video, and what was measured on it with the old and the new weights."""


@dataclass(frozen=True)
class Traits:
    """What is measured of the true mask of an object in a judged frame.

    Attributes:
        size: share of the frame.
        away: frames since the object's first mask.
        speed: way of its middle since the truth before, in its own lengths (root of the area) a frame; None where it
            is not in sight in one of the two.
    """

    size: float
    away: int
    speed: float | None


@dataclass(frozen=True)
class Kind:
    """Masks that are alike, with both weights.

    Attributes:
        name: in words.
        masks: that were judged.
        old: mean IoU with the old weights, without corrections.
        new: likewise with the new ones.
        old_below: masks below the wanted IoU.
        new_below: likewise.
    """

    name: str
    masks: int
    old: float
    new: float
    old_below: int
    new_below: int


_KINDS: tuple[tuple[str, Callable[[Traits], bool]], ...] = (
    ("not in sight", lambda of: of.size == 0),
    ("small: below 1 % of the frame", lambda of: 0 < of.size < 0.01),
    ("middle-sized: 1 to 5 %", lambda of: 0.01 <= of.size < 0.05),
    ("large: 5 % and more", lambda of: of.size >= 0.05),
    ("up to 10 frames after the first mask", lambda of: of.away <= 10),
    ("11 to 40 frames after it", lambda of: 10 < of.away <= 40),
    ("more than 40 frames after it", lambda of: of.away > 40),
    ("slow: moves by less than 2 % of its length a frame", lambda of: of.speed is not None and of.speed < 0.02),
    ("moves by 2 to 10 %", lambda of: of.speed is not None and 0.02 <= of.speed < 0.1),
    ("fast: moves by 10 % and more", lambda of: of.speed is not None and of.speed >= 0.1),
)
"""Every judged mask is of one kind of size and one of distance, and of one of speed where it can be told."""


Corrections = tuple[tuple[int, int], ...]
"""(frame of the video, object) of corrections."""
NAMED = 5
"""Corrections that are named in one sentence."""


@dataclass(frozen=True)
class Gains:
    """What new weights are better at on videos of the team.

    Attributes:
        kinds: how each kind of mask fares; those without a mask are left out.
        saved: by video, corrections that only the old weights ask for.
        added: by video, those that only the new ones ask for. After the first that differs the two tracks are not the
            same, so single ones say where, and their numbers how much.
    """

    kinds: tuple[Kind, ...]
    saved: Mapping[str, Corrections]
    added: Mapping[str, Corrections]

    def sentences(self) -> list[str]:
        """The outcome in sentences."""
        lines = []
        best = max(self.kinds, key=lambda kind: kind.new - kind.old, default=None)
        if best is not None and best.new > best.old:
            lines.append(f"most gained: {best.name}, mean IoU {best.old:.3f} -> {best.new:.3f} in {best.masks} masks")
        gone = [f"{entry['video']} frame {entry['frame']} object {entry['object']}" for entry in _rows(self.saved)]
        if gone:
            more = f" and {len(gone) - NAMED} more" if len(gone) > NAMED else ""
            lines.append(f"corrections saved: {', '.join(gone[:NAMED])}{more}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        sides = {"corrections_saved": _rows(self.saved), "corrections_added": _rows(self.added)}
        return {"kinds": [asdict(kind) for kind in self.kinds]} | sides


def _rows(places: Mapping[str, Corrections]) -> list[dict[str, Any]]:
    return [{"video": name, "frame": frame, "object": of} for name, some in places.items() for frame, of in some]


def learned(pairs: Sequence[Pair], wanted: float) -> Gains:
    """Compare the results of both weights.

    Args:
        pairs: videos.
        wanted: IoU below which a mask is corrected.

    Raises:
        MediaError: truth cannot be read.
    """
    saved = {case.name: _only(case, old, new) for case, old, new in pairs}
    added = {case.name: _only(case, new, old) for case, old, new in pairs}
    return Gains(_kinds_of(pairs, wanted), saved, added)


def _only(case: Case, one: Result, other: Result) -> Corrections:
    return tuple((case.number(index), object_id) for index, object_id in sorted(set(one.given) - set(other.given)))


def _kinds_of(pairs: Sequence[Pair], wanted: float) -> tuple[Kind, ...]:
    rows = [
        (traits, old.ious[key], new.ious[key])
        for case, old, new in pairs
        for key, traits in traits_of(case).items()
        if key in old.ious and key in new.ious
    ]
    kinds = []
    for name, fits in _KINDS:
        ious = np.array([(old, new) for traits, old, new in rows if fits(traits)])
        if len(ious):
            (old, new), (old_below, new_below) = ious.mean(0).tolist(), (ious < wanted).sum(0).tolist()
            kinds.append(Kind(name, len(ious), old, new, old_below, new_below))
    return tuple(kinds)


def traits_of(case: Case) -> dict[tuple[int, int], Traits]:
    """Measure the traits of each object in each judged frame."""
    found: dict[tuple[int, int], Traits] = {}
    before: dict[int, tuple[int, Point | None]] = {}
    entered: dict[int, int] = {}
    for index in sorted({*case.first_masks, *(frame for frames in case.judged.values() for frame in frames)}):
        labels = case.truth(index)[0] if any(index in frames for frames in case.judged.values()) else None
        for object_id, frames in case.judged.items():
            if index in frames and labels is not None and object_id in entered:
                mask = labels == object_id
                middle = _middle(mask)
                speed = _speed(before[object_id], (index, middle), float(np.sqrt(mask.sum())))
                found[object_id, index] = Traits(float(mask.mean()), index - entered[object_id], speed)
                before[object_id] = index, middle
        if index in case.first_masks:
            entering = case.first_masks[index]()
            for object_id in np.unique(entering[entering > 0]).tolist():
                entered[object_id] = index
                before[object_id] = index, _middle(entering == object_id)
    return found


def _middle(mask: BoolMask) -> Point | None:
    return np.argwhere(mask).mean(0) if mask.any() else None


def _speed(before: tuple[int, Point | None], now: tuple[int, Point | None], length: float) -> float | None:
    if before[1] is None or now[1] is None:
        return None
    return float(np.linalg.norm(now[1] - before[1])) / length / (now[0] - before[0])
