"""Which videos are learned from, which decide when to stop, and which are kept for the gate. Never by frame."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agss_model.errors import ConfigError

HELD_OUT_SHARE = 0.25
OWN_VALIDATION_FROM = 8  # videos; with fewer the held-out ones decide when to stop as well
TIME_SHARE = 0.7  # of the annotated frames of a single video that are learned from


@dataclass(frozen=True)
class Facts:
    """What the split needs to know of a video.

    Attributes:
        name: of the video.
        annotated: frames with truth, ascending.
        prints: of some of its frames; videos that share one are the same footage and stay together.
    """

    name: str
    annotated: tuple[int, ...]
    prints: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Split:
    """Annotated frames by video.

    Attributes:
        train: learned from.
        validation: decide when to stop.
        held_out: for the gate.
        notes: what people should know, in sentences.
    """

    train: Mapping[str, tuple[int, ...]]
    validation: Mapping[str, tuple[int, ...]]
    held_out: Mapping[str, tuple[int, ...]]
    notes: tuple[str, ...] = ()


def split_videos(videos: Sequence[Facts], *, hold_out: Sequence[str] = (), seed: int = 0) -> Split:
    """Divide videos; the order in which they are given does not matter.

    Args:
        videos: with at least one annotated frame each.
        hold_out: names to keep for the gate; by default about a quarter is chosen.
        seed: of the choice.

    Raises:
        ConfigError: an unknown name, or too little to both learn and measure.
    """
    if unknown := set(hold_out) - {video.name for video in videos}:
        names = ", ".join(sorted(video.name for video in videos))
        raise ConfigError(f"there is no video {sorted(unknown)[0]!r} to hold out; the videos are: {names}")
    groups = _groups(videos)
    if len(groups) == 1:
        return _by_time(groups[0])
    ranked = sorted(groups, key=lambda group: hashlib.sha256(f"{seed} {group[0].name}".encode()).hexdigest())
    measurable = [group for group in ranked if any(len(video.annotated) >= 2 for video in group)]
    if hold_out:
        kept = [group for group in ranked if any(video.name in hold_out for video in group)]
    else:
        kept = measurable[: max(1, round(HELD_OUT_SHARE * len(groups)))]
    rest = [group for group in ranked if group not in kept]
    if not kept or not any(len(video.annotated) >= 2 for group in rest for video in group):
        raise ConfigError(
            "a video with at least 2 annotated frames is needed to learn from, and another to measure on; "
            f"there are {sum(len(v.annotated) >= 2 for v in videos)} such videos in {len(groups)} different recordings"
        )
    notes = _shared_notes(groups)
    validation = kept
    spare = [group for group in rest if group in measurable]
    if len(groups) >= OWN_VALIDATION_FROM and len(spare) > 1:
        validation = spare[: max(1, len(groups) // 8)]
        rest = [group for group in rest if group not in validation]
    else:
        notes.append("The held-out videos also decide when to stop, as there are too few videos to keep more apart.")
    return Split(_frames(rest), _frames(validation), _frames(kept), tuple(notes))


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
        f"{', '.join(video.name for video in group)} show the same footage and stay on one side of the split."
        for group in groups
        if len(group) > 1
    ]


def _by_time(group: Sequence[Facts]) -> Split:
    """One recording: its beginning is learned from, its end measured."""
    video = max(group, key=lambda video: len(video.annotated))
    cut = min(round(TIME_SHARE * len(video.annotated)), len(video.annotated) - 2)
    before, after = video.annotated[:cut], video.annotated[cut:]
    if min(len(before), len(after)) < 2:
        raise ConfigError(
            f"{video.name} is the only recording and has {len(video.annotated)} annotated frames; at least 4 are "
            "needed to learn from its beginning and to measure at its end. Annotate more frames, or a second video"
        )
    notes = [
        f"There is one recording only, so it is split by time: frames up to {before[-1]} are learned from, frames from "
        f"{after[0]} on are measured. That says less about other videos than a video of its own would."
    ]
    if others := [other.name for other in group if other is not video]:
        notes.append(f"{', '.join(others)} show the same footage and were left out.")
    return Split({video.name: before}, {video.name: after}, {video.name: after}, tuple(notes))


def _frames(groups: Sequence[Sequence[Facts]]) -> dict[str, tuple[int, ...]]:
    return {video.name: video.annotated for group in groups for video in group}
