"""Which shapes are one object. Identity is read where the tool keeps it, and what has to be guessed is reported.

1. A track is one object. Pieces of a track that was cut at the border of two jobs are joined when label and group
   agree, or when they overlap there.
2. Otherwise shapes with one label and one group (above 0) are one object, and so are they and the one track of that
   label and group: what was drawn, and how it was tracked on. Groups are counted per job, so across jobs pieces are
   joined only where they overlap at the border.
3. Shapes without a group are joined from frame to frame by overlap, and that is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from agss_model.cvat.records import AnnotatedObject, Appearance, CvatShape, Problem
from agss_model.masks.labels import MAX_OBJECT_ID, BoolMask

SAME_AT_BORDER = 0.3  # IoU at which two pieces on both sides of a job border are one object
SAME_WITHOUT_GROUP = 0.5  # IoU at which a shape continues another of an earlier frame
LONGEST_GAP = 10  # frames over which a shape without a group is sought


@dataclass(frozen=True)
class LooseShape:
    """A shape of one frame, as CVAT keeps masks.

    Attributes:
        frame: index.
        label: name.
        group: 0 for none.
        shape: the region.
        human: whether a human drew or corrected it.
        interpolated: it may have been computed between two keyframes.
    """

    frame: int
    label: str
    group: int
    shape: CvatShape
    human: bool = True
    interpolated: bool = False

    @property
    def appearance(self) -> Appearance:
        """What it says of its frame."""
        return Appearance((self.shape,), self.human, self.interpolated)


@dataclass
class Piece:
    """A run of appearances that certainly belong together."""

    label: str
    group: int
    appearances: dict[int, Appearance]
    track: bool = True
    segment: int = 0

    @property
    def visible(self) -> list[int]:
        """Frames in which it is seen, ascending."""
        return sorted(index for index, appearance in self.appearances.items() if not appearance.outside)

    def span(self) -> tuple[int, int]:
        """First and last frame in which it is seen."""
        visible = self.visible
        return visible[0], visible[-1]


@dataclass
class _VideoContext:
    """What all steps of sorting out one video share."""

    width: int
    height: int
    segments: Sequence[tuple[int, int]]
    problems: list[Problem] = field(default_factory=list)

    def report(self, kind: str, text: str) -> None:
        self.problems.append(Problem(kind, text))

    def segment_of(self, frame: int) -> int:
        """The job a frame belongs to; frames of an overlap belong to the earlier one."""
        return next((row for row, (start, stop) in enumerate(self.segments) if start <= frame <= stop), 0)

    def overlapped(self, frame: int) -> bool:
        """Whether two jobs hold this frame."""
        return sum(start <= frame <= stop for start, stop in self.segments) > 1

    def mask(self, piece: Piece, frame: int) -> BoolMask:
        mask = np.zeros((self.height, self.width), dtype=np.bool_)
        for shape in piece.appearances[frame].shapes:
            mask |= shape.mask(self.width, self.height)
        return mask

    def overlap(self, one: BoolMask, two: BoolMask) -> float:
        union = np.count_nonzero(one | two)
        return np.count_nonzero(one & two) / union if union else 0.0


def sort_out(
    tracks: Iterable[Piece],
    loose: Iterable[LooseShape],
    *,
    width: int,
    height: int,
    segments: Sequence[tuple[int, int]] = (),
) -> tuple[tuple[AnnotatedObject, ...], tuple[Problem, ...]]:
    """Make objects of tracks and single shapes.

    Args:
        tracks: in the order of the file; all their shapes have been checked.
        loose: likewise.
        width: of a frame, pixels.
        height: of a frame, pixels.
        segments: first and last frame of every job of the task, where there are several.

    Returns:
        Objects ascending by id, and what was guessed or dropped. A group keeps its number as the object's id where no
        other object has it.
    """
    case = _VideoContext(width, height, segments)
    pieces = [piece for piece in tracks if piece.visible]
    for piece in pieces:
        piece.segment = case.segment_of(piece.span()[0])
    shapes = _without_repeats(list(loose), case)
    pieces += _beside_tracks(_grouped([shape for shape in shapes if shape.group > 0], case), pieces)
    pieces = _joined_at_borders(pieces, case)
    chains = _chained([shape for shape in shapes if shape.group <= 0], case)
    return _numbered(pieces, chains, case), tuple(case.problems)


def _without_repeats(shapes: list[LooseShape], case: _VideoContext) -> list[LooseShape]:
    """Masks of frames that two jobs share come once per job."""
    seen: dict[tuple[int, str, int, bytes], LooseShape] = {}
    repeats = 0
    for shape in shapes:
        key = (shape.frame, shape.label, shape.group, shape.shape.points.tobytes())
        repeats += key in seen
        seen.setdefault(key, shape)
    if repeats:
        case.report("repeated", f"{repeats} shapes occur twice, as on frames that two jobs share; each was read once")
    return list(seen.values())


def _grouped(shapes: list[LooseShape], case: _VideoContext) -> list[Piece]:
    found: dict[tuple[int, str, int], Piece] = {}
    for shape in shapes:
        segment = case.segment_of(shape.frame)
        piece = found.setdefault(
            (segment, shape.label, shape.group), Piece(shape.label, shape.group, {}, track=False, segment=segment)
        )
        before = piece.appearances.get(shape.frame)
        if before is not None and case.overlapped(shape.frame):
            case.report(
                "conflict",
                f"frame {shape.frame}: two jobs have different masks of {shape.label} in group {shape.group}; "
                "the first was taken",
            )
            continue
        found_here = shape.appearance
        if before is not None:
            human, computed = before.human or shape.human, before.interpolated and shape.interpolated
            found_here = Appearance((*before.shapes, shape.shape), human, computed)
        piece.appearances[shape.frame] = found_here
    return list(found.values())


def _beside_tracks(groups: list[Piece], tracks: list[Piece]) -> list[Piece]:
    """Give single shapes to the only track of their label and group; those of other groups are left."""
    left: list[Piece] = []
    for piece in groups:
        owners = [track for track in tracks if _alike(track, piece)]
        if len(owners) != 1:
            left.append(piece)
            continue
        for frame, found in piece.appearances.items():
            there = owners[0].appearances.get(frame, Appearance())
            owners[0].appearances[frame] = _together(there, found)
    return left


def _alike(one: Piece, other: Piece) -> bool:
    return (one.segment, one.label, one.group) == (other.segment, other.label, other.group)


def _together(one: Appearance, other: Appearance) -> Appearance:
    """What two say of one frame: what people drew goes before what a machine made or what was computed."""
    if one.outside or other.outside:
        return other if one.outside else one
    ranks = [(entry.human, not entry.interpolated) for entry in (one, other)]
    if ranks[0] != ranks[1]:
        return one if ranks[0] > ranks[1] else other
    return Appearance((*one.shapes, *other.shapes), one.human, one.interpolated)


def _joined_at_borders(pieces: list[Piece], case: _VideoContext) -> list[Piece]:
    """Join what the borders of jobs cut."""
    if len(case.segments) < 2:
        return pieces
    pieces = sorted(pieces, key=lambda piece: piece.span()[0])
    kept: list[Piece] = []
    for piece in pieces:
        before = next((other for other in kept if _continues(other, piece, case)), None)
        if before is None:
            kept.append(piece)
            continue
        start = piece.span()[0]
        earlier = {index: entry for index, entry in before.appearances.items() if index < start or not entry.outside}
        before.appearances = piece.appearances | earlier
        before.segment = piece.segment
    return kept


def _continues(before: Piece, piece: Piece, case: _VideoContext) -> bool:
    """Whether a piece goes on where another ended, on two sides of a job's border."""
    if before.label != piece.label or before.track != piece.track or before.segment >= piece.segment:
        return False
    end, start = before.span()[1], piece.span()[0]
    border = case.segments[piece.segment][0]
    if start < end and not case.overlapped(start):
        return False
    if before.group != piece.group:
        return False
    near = start - border <= LONGEST_GAP and border - end <= LONGEST_GAP
    if piece.track and piece.group > 0 and near:
        return True
    alike = case.overlap(case.mask(before, end), case.mask(piece, start)) >= SAME_AT_BORDER
    if near and alike:
        case.report(
            "identity",
            f"{piece.label} in frame {end} and in frame {start}, across the border of two jobs, were taken for one "
            "object because they overlap",
        )
        return True
    if piece.group > 0 and not piece.track:
        case.report(
            "identity",
            f"group {piece.group} of {piece.label} occurs in two jobs (frames {end} and {start}) without overlap; "
            "these were taken for two objects, as groups are counted per job",
        )
    return False


def _chained(shapes: list[LooseShape], case: _VideoContext) -> list[Piece]:
    """Shapes without a group, joined by overlap."""
    chains: list[Piece] = []
    last: dict[int, BoolMask] = {}  # of each chain
    by_frame: dict[int, list[LooseShape]] = {}
    for shape in shapes:
        by_frame.setdefault(shape.frame, []).append(shape)
    for frame, here in sorted(by_frame.items()):
        masks = [shape.shape.mask(case.width, case.height) for shape in here]
        taken: set[int] = set()
        for row, column in _best_pairs(here, masks, chains, last, case):
            chains[column].appearances[frame] = here[row].appearance
            last[column] = masks[row]
            taken.add(row)
        for row, shape in enumerate(here):
            if row not in taken:
                last[len(chains)] = masks[row]
                chains.append(Piece(shape.label, 0, {frame: shape.appearance}, track=False))
    return chains


def _best_pairs(
    here: list[LooseShape], masks: list[BoolMask], chains: list[Piece], last: dict[int, BoolMask], case: _VideoContext
) -> list[tuple[int, int]]:
    """(shape, chain) that overlap enough, the best first, each used once."""
    ranked = [
        (overlap, row, column)
        for row, shape in enumerate(here)
        for column, chain in enumerate(chains)
        if chain.label == shape.label
        and shape.frame - max(chain.appearances) <= LONGEST_GAP
        and (overlap := case.overlap(masks[row], last[column])) >= SAME_WITHOUT_GROUP
    ]
    pairs: list[tuple[int, int]] = []
    for _, row, column in sorted(ranked, reverse=True):
        if row not in {pair[0] for pair in pairs} and column not in {pair[1] for pair in pairs}:
            pairs.append((row, column))
    return pairs


def _numbered(pieces: list[Piece], chains: list[Piece], case: _VideoContext) -> tuple[AnnotatedObject, ...]:
    """Ids: a group keeps its number where it can, the others get the free ones in order of appearance."""
    counts: dict[int, int] = {}
    for piece in pieces:
        counts[piece.group] = counts.get(piece.group, 0) + 1
    keeps = {group for group, count in counts.items() if 0 < group <= MAX_OBJECT_ID and count == 1}
    free = (number for number in range(1, MAX_OBJECT_ID + 1) if number not in keeps)
    objects: list[AnnotatedObject] = []
    order = sorted(pieces, key=lambda piece: piece.span()[0]) + chains
    for piece in order:
        number = piece.group if piece.group in keeps else next(free)
        objects.append(AnnotatedObject(number, piece.label, dict(sorted(piece.appearances.items()))))
    for entry in objects[len(pieces) :]:
        frames = sorted(entry.appearances)
        where = f"frame {frames[0]}" if len(frames) == 1 else f"frames {frames[0]} to {frames[-1]}"
        case.report(
            "identity",
            f"object {entry.id} ({entry.label}, {where}) has no group and is no track; "
            + ("it stands alone" if len(frames) == 1 else "its shapes were joined by overlap")
            + ", give it a group to be sure",
        )
    return tuple(sorted(objects, key=lambda entry: entry.id))


def without_frames(piece: Piece, deleted: frozenset[int]) -> Piece:
    """A piece without the frames that were deleted."""
    return replace(piece, appearances={k: v for k, v in piece.appearances.items() if k not in deleted})
