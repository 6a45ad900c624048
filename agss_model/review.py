"""Which frames a person should look at first, in plain words: where one correction is worth most.

Frames in which an object's score is low make stretches, and a stretch is one entry. Besides, what changes who is who is
named once where it begins, however good the masks seem: an object found again, a cut, two alike that meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agss_model.runs.scores import Row
from agss_model.tracking.quality import DISAGREE, EVENTS

LOW = 0.65
"""Scores below this are worth a look; of the good masks of training clips that were held out, one in twenty has one."""
GAP = 3
"""Low stretches of one object that are at most this many frames apart are one stretch; so are events."""
LASTING = 0.9
"""How much of what a correction mends in one frame it mends in the next, up to the next mask that a person gave."""


@dataclass(frozen=True)
class DoubtfulStretch:
    """A stretch of frames in which one object is doubtful.

    Attributes:
        first: frame number.
        last: frame number, inclusive.
        object_id: the object.
        worst: its lowest score there.
        worst_frame: where that is.
        lost: frames in which it was lost.
        reasons: why, the most frequent first.
        best_frame: where a correction of all objects mends most.
        gain: what it is expected to mend of this object there, in frames' worth of intersection over union.
    """

    first: int
    last: int
    object_id: int
    worst: float
    worst_frame: int
    lost: int
    reasons: tuple[str, ...]
    best_frame: int
    gain: float

    def __str__(self) -> str:
        """A line for people."""
        return self.line(f"object {self.object_id}")

    def line(self, name: str) -> str:
        """A line for people who know the object by a name."""
        frames = f"frame {self.first}" if self.first == self.last else f"frames {self.first}-{self.last}"
        length = self.last - self.first + 1
        if self.lost == length:
            return f"{frames}: {name} lost"
        parts = [f"score {self.worst:.2f}" + (f" at frame {self.worst_frame}" if length > 1 else "")]
        parts += [f"lost in {self.lost} of {length}"] if self.lost else []
        parts += [word for word in self.reasons if word != "lost"]
        return f"{frames}: {name} doubtful ({', '.join(parts)})"


def look_first(rows: Iterable[Row], limit: int | None = 20) -> list[DoubtfulStretch]:
    """Stretches and events, those first where a correction mends most; each frame of an object is in one at most.

    Args:
        rows: of a whole run; masks that a person gave are passed over.
        limit: entries returned, None for all.
    """
    by_object = _by_object(rows)
    mends = {object_id: _mends(own) for object_id, own in by_object.items()}
    worth = _worth(mends)
    stretches = [stretch for own in by_object.values() for stretch in _stretches(own)]
    covered = {(s[0].object_id, frame) for s in stretches for frame in range(s[0].frame, s[-1].frame + 1)}
    stretches += [[row] for row in _events(by_object, covered)]
    entries = [_entry(stretch, mends[stretch[0].object_id], worth) for stretch in stretches]
    return sorted(entries, key=lambda entry: (-entry.gain, entry.first, entry.object_id))[:limit]


def worth_of(rows: Iterable[Row]) -> dict[int, float]:
    """By frame, what a correction of all objects there is expected to mend, in frames' worth of IoU."""
    return _worth({object_id: _mends(own) for object_id, own in _by_object(rows).items()})


def _by_object(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """Rows of each object in the order of frames."""
    found: dict[int, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row.object_id, row.frame)):
        found.setdefault(row.object_id, []).append(row)
    return found


def _mends(own: list[Row]) -> dict[int, float]:
    """By frame, what a correction of one object there mends: there, and ever less of what follows."""
    found, after = dict[int, float](), 0.0
    for row in reversed(own):
        after = 0.0 if row.human else 1 - row.score + LASTING * after
        found[row.frame] = after
    return found


def _worth(mends: Mapping[int, Mapping[int, float]]) -> dict[int, float]:
    total: dict[int, float] = {}
    for own in mends.values():
        for frame, value in own.items():
            total[frame] = total.get(frame, 0.0) + value
    return total


def _stretches(own: list[Row]) -> list[list[Row]]:
    """Of one object, its rows in the order of frames."""
    stretches: list[list[Row]] = []
    for row in own:
        if row.human or (row.score >= LOW and DISAGREE not in row.reasons):
            continue
        if stretches and row.frame - stretches[-1][-1].frame <= GAP:
            stretches[-1].append(row)
        else:
            stretches.append([row])
    return stretches


def _events(by_object: dict[int, list[Row]], covered: set[tuple[int, int]]) -> list[Row]:
    """Rows in which something begins that is worth a look; of several objects in one frame the most doubtful one."""
    begun: dict[tuple[str, int], list[Row]] = {}
    for own in by_object.values():
        last: dict[str, int] = {}
        for row in own:
            for word in set(row.reasons) & set(EVENTS):
                if row.frame - last.get(word, -GAP - 1) > GAP and not row.human:
                    begun.setdefault((word, row.frame), []).append(row)
                last[word] = row.frame
    chosen: dict[tuple[int, int], Row] = {}
    for rows in begun.values():
        if not any((row.object_id, row.frame) in covered for row in rows):
            row = min(rows, key=lambda row: row.score)
            chosen[row.object_id, row.frame] = row
    return list(chosen.values())


def _entry(stretch: list[Row], mends: Mapping[int, float], worth: Mapping[int, float]) -> DoubtfulStretch:
    words = [word for row in stretch for word in row.reasons]
    reasons = sorted(set(words), key=lambda word: (-words.count(word), word))
    worst = min(stretch, key=lambda row: row.score)
    best = max(stretch, key=lambda row: worth[row.frame]).frame
    return DoubtfulStretch(
        first=stretch[0].frame,
        last=stretch[-1].frame,
        object_id=stretch[0].object_id,
        worst=worst.score,
        worst_frame=worst.frame,
        lost=sum(row.lost for row in stretch),
        reasons=tuple(reasons),
        best_frame=best,
        gain=round(mends[best], 4),
    )
