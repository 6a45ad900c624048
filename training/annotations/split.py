"""Which videos are learned from, which decide when to stop, and which the gate judges on. Never by frame.

Many videos: some are kept apart. Few: every one is learned from, and left out in turn of trainings that come before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from agss_model.errors import ConfigError

HELD_OUT_SHARE = 0.25
OWN_VALIDATION_FROM = 8  # recordings to measure on; with fewer none is kept apart, and each is left out in turn
FOLDS = 4  # trainings at most in which something is left out
STRETCHES = 3  # of a single recording, at most


@dataclass(frozen=True)
class Facts:
    """What the split needs to know of a video.

    Attributes:
        name: of the video.
        annotated: frames with truth, ascending.
        prints: of some of its frames; videos that share one are the same footage and stay together.
        shown: objects that are large enough to be learned, by annotated frame; a frame that is missing shows object 1.
        told: objects whose whereabouts a frame tells, likewise.
    """

    name: str
    annotated: tuple[int, ...]
    prints: frozenset[str] = frozenset()
    shown: Mapping[int, frozenset[int]] = field(default_factory=dict)
    told: Mapping[int, frozenset[int]] = field(default_factory=dict)

    def measurable(self, frames: Sequence[int] | None = None) -> bool:
        """Whether an object can be followed from one of these frames, by default all, to a later one that tells."""
        seen: set[int] = set()
        for frame in self.annotated if frames is None else frames:
            if seen & self.told.get(frame, _ONE):
                return True
            seen |= self.shown.get(frame, _ONE)
        return False


_ONE = frozenset({1})


@dataclass(frozen=True)
class Fold:
    """A training that comes before the last one.

    Attributes:
        train: annotated frames that it learns from, by video.
        left_out: annotated frames of other footage, on which it is validated and judged.
    """

    train: Mapping[str, tuple[int, ...]]
    left_out: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Split:
    """Annotated frames by video.

    Attributes:
        train: learned from.
        validation: decide when to stop.
        held_out: for the gate.
        notes: what people should know, in sentences.
        folds: where nothing is kept apart: the trainings that choose the number of steps, before all of `train` is
            learned from.
    """

    train: Mapping[str, tuple[int, ...]]
    validation: Mapping[str, tuple[int, ...]]
    held_out: Mapping[str, tuple[int, ...]]
    notes: tuple[str, ...] = ()
    folds: tuple[Fold, ...] = ()


def split_videos(videos: Sequence[Facts], *, hold_out: Sequence[str] = (), seed: int = 0) -> Split:
    """Divide videos; the order in which they are given does not matter.

    Args:
        videos: with at least one annotated frame each.
        hold_out: names to keep for the gate; by default about a quarter is chosen, and none where there are few.
        seed: of the choice.

    Raises:
        ConfigError: an unknown name, or too little to both learn and measure.
    """
    if unknown := set(hold_out) - {video.name for video in videos}:
        names = ", ".join(sorted(video.name for video in videos))
        raise ConfigError(f"there is no video {sorted(unknown)[0]!r} to hold out; the videos are: {names}")
    groups = _groups(videos)
    ranked = sorted(groups, key=lambda group: hashlib.sha256(f"{seed} {group[0].name}".encode()).hexdigest())
    measurable = [group for group in ranked if any(video.measurable() for video in group)]
    notes = _shared_notes(groups)
    if hold_out or len(measurable) >= OWN_VALIDATION_FROM:
        return _kept_apart(ranked, measurable, hold_out, notes)
    if len(measurable) > 1:
        parts = [measurable[first::FOLDS] for first in range(min(FOLDS, len(measurable)))]
        folds = [Fold(_frames([group for group in ranked if group not in part]), _frames(part)) for part in parts]
        notes.append(
            "There are few recordings: all are learned from, after each was left out once to choose the steps."
        )
    elif measurable:
        folds, note = _in_stretches(measurable[0], [group for group in ranked if group not in measurable])
        notes.append(note)
    else:
        raise _too_little(videos, groups)
    return Split(_frames(groups), {}, {}, tuple(notes), tuple(folds))


def _kept_apart(
    ranked: list[list[Facts]], measurable: list[list[Facts]], hold_out: Sequence[str], notes: list[str]
) -> Split:
    """Some videos only for the gate; where there are many, others to say when to stop."""
    kept = [group for group in ranked if any(video.name in hold_out for video in group)]
    kept = kept or measurable[: max(1, round(HELD_OUT_SHARE * len(measurable)))]
    rest = [group for group in ranked if group not in kept]
    spare = [group for group in rest if group in measurable]
    if not spare or not any(group in measurable for group in kept):
        raise _too_little([video for group in ranked for video in group], ranked)
    validation = kept
    if len(measurable) >= OWN_VALIDATION_FROM and len(spare) > 1:
        validation = spare[: max(1, len(measurable) // 8)]
        rest = [group for group in rest if group not in validation]
    else:
        notes.append("The held-out videos also decide when to stop, as there are too few videos to keep more apart.")
    return Split(_frames(rest), _frames(validation), _frames(kept), tuple(notes))


def _too_little(videos: Sequence[Facts], groups: Sequence[Sequence[Facts]]) -> ConfigError:
    return ConfigError(
        "a video with an object that can be followed over at least 2 annotated frames is needed to learn from, and "
        f"another to measure on; there are {sum(video.measurable() for video in videos)} such videos in {len(groups)} "
        "different recordings"
    )


def _groups(videos: Sequence[Facts]) -> list[list[Facts]]:
    """Videos that share frames together; each group and all groups sorted by name."""
    groups: list[list[Facts]] = []
    for video in sorted(videos, key=lambda video: video.name):
        touching = [group for group in groups if any(video.prints & other.prints for other in group)]
        merged = [other for group in touching for other in group] + [video]
        groups = [group for group in groups if group not in touching] + [merged]
    return sorted((sorted(group, key=lambda video: video.name) for group in groups), key=lambda group: group[0].name)


def _shared_notes(groups: Sequence[Sequence[Facts]]) -> list[str]:
    return [
        f"{', '.join(video.name for video in group)} show the same footage and are left out together."
        for group in groups
        if len(group) > 1
    ]


def _in_stretches(group: Sequence[Facts], others: Sequence[Sequence[Facts]]) -> tuple[list[Fold], str]:
    """One recording to measure on: each stretch of its best annotated video is left out in turn.

    What else shows the same footage could show the stretch as well, so only the last training learns from it.
    """
    video = max(group, key=lambda video: (video.measurable(), len(video.annotated)))
    count = len(video.annotated)
    for stretches in range(min(STRETCHES, count // 2), 1, -1):
        borders = [round(count * number / stretches) for number in range(stretches + 1)]
        parts = [video.annotated[first:end] for first, end in pairwise(borders)]
        if all(video.measurable(part) for part in parts):
            break
    else:
        raise ConfigError(
            f"{video.name} is the only recording to measure on and has {count} annotated frames; at least 4 are needed "
            "to learn from a part and to measure on another, with an object that can be followed in both. Annotate "
            "more frames, or a second video"
        )
    folds = [
        Fold(
            {video.name: tuple(frame for frame in video.annotated if frame not in part), **_frames(others)},
            {video.name: part},
        )
        for part in parts
    ]
    where = ", ".join(f"{part[0]} to {part[-1]}" for part in parts)
    note = (
        f"There is one recording only to measure on, so the stretches of {video.name} (frames {where}) are left out in "
        "turn to choose the steps, and then all is learned from. That says less about other videos than a video of its "
        "own would."
    )
    if same := [other.name for other in group if other is not video]:
        note += f" {', '.join(same)} could show the stretches too and waits for the last training."
    return folds, note


def _frames(groups: Sequence[Sequence[Facts]]) -> dict[str, tuple[int, ...]]:
    return {video.name: video.annotated for group in groups for video in group}
