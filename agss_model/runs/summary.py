"""Which frames a person should look at first, in plain words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agss_model.runs.scores import Row

LOW = 0.5
"""Scores below this are worth a look."""
GAP = 3
"""Low stretches of one object that are at most this many frames apart are one stretch."""


@dataclass(frozen=True)
class Look:
    """A stretch of frames in which one object is doubtful.

    Attributes:
        first: frame number.
        last: frame number, inclusive.
        object_id: the object.
        worst: its lowest score there.
        worst_frame: where that is.
        lost: frames in which it was lost.
        reasons: why, the most frequent first.
    """

    first: int
    last: int
    object_id: int
    worst: float
    worst_frame: int
    lost: int
    reasons: tuple[str, ...]

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


def look_first(rows: Iterable[Row], limit: int = 8) -> list[Look]:
    """The worst stretches, the worst first: by how far and how long the score is below `LOW`.

    Args:
        rows: of a whole run; masks that a person gave are passed over.
        limit: stretches returned.
    """
    low = sorted((row.object_id, row.frame, row) for row in rows if row.score < LOW and not row.human)
    stretches: list[list[Row]] = []
    for object_id, frame, row in low:
        last = stretches[-1][-1] if stretches else None
        if last is not None and last.object_id == object_id and frame - last.frame <= GAP:
            stretches[-1].append(row)
        else:
            stretches.append([row])
    stretches.sort(key=lambda stretch: (-sum(LOW - row.score for row in stretch), stretch[0].frame))
    return [_look(stretch) for stretch in stretches[:limit]]


def _look(stretch: list[Row]) -> Look:
    words = [word for row in stretch for word in row.reasons]
    reasons = sorted(set(words), key=lambda word: (-words.count(word), word))
    worst = min(stretch, key=lambda row: row.score)
    return Look(
        first=stretch[0].frame,
        last=stretch[-1].frame,
        object_id=stretch[0].object_id,
        worst=worst.score,
        worst_frame=worst.frame,
        lost=sum(row.lost for row in stretch),
        reasons=tuple(reasons),
    )
