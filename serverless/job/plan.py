"""What is in a CVAT job and what will be done with it, before anything is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from agss_model.cli.console import FrameProgress
from agss_model.cvat.server import CvatError, Server
from agss_model.propagate import Direction
from agss_model.results import FrameResult
from serverless.job.ledger import Ledger
from serverless.job.objects import Boxes, Groups, Key, Keyframes, Target, by_frame, make_targets, match, name_first
from serverless.job.read import Given, JobInfo, read_givens
from serverless.job.track import Tracking
from serverless.job.write import Annotations, shown, touches

Output = Literal["masks", "polygons"]


@dataclass(frozen=True)
class Asked:
    """What to do.

    Attributes:
        first: first frame to track, None for the job's.
        last: last frame to track, None for the job's.
        direction: which way.
        output: a mask in every frame, or polygon tracks.
        tolerance: of polygon tracks, in pixels.
        every: take in all frames that people drew on, not only the start frame.
    """

    first: int | None = None
    last: int | None = None
    direction: Direction = "forward"
    output: Output = "masks"
    tolerance: float = 2.0
    every: bool = True


@dataclass(frozen=True)
class Plan:
    """What is there and what will be done, before anything is.

    Attributes:
        info: the job.
        asked: what to do.
        frames: to be tracked; a frame's place here is its position.
        annotations: as they are.
        givens: where the objects are drawn.
        groups: which object each is.
        loose: shapes that may be objects known already; tracking decides.
        notes: sentences for the user.
    """

    info: JobInfo
    asked: Asked
    frames: tuple[int, ...]
    annotations: Annotations
    givens: tuple[Given, ...]
    groups: Groups
    loose: tuple[Given, ...]
    notes: tuple[str, ...]

    def targets(self) -> tuple[Target, ...]:
        """The objects known so far."""
        return make_targets(self.givens, self.groups, self.info.labels)

    def keyframes(self, targets: Sequence[Target], boxes: Boxes) -> Keyframes:
        """What was drawn, by position."""
        return Keyframes(self.givens, self.groups, targets, self.frames, boxes)


def make_plan(server: Server, info: JobInfo, annotations: Annotations, ledger: Ledger, asked: Asked) -> Plan:
    """Look at a job.

    Raises:
        MaskError: nothing to track.
        MediaError: frames outside the job.
        CvatError: the server refuses, or earlier tracks would be cut in two.
    """
    frames = tuple(info.frames(asked.first, asked.last))
    _refuse_to_cut(annotations.own_tracks, frames, info.stop)
    givens, notes = read_givens(annotations.shapes, annotations.tracks, frames, info.size)
    givens = _chosen(givens, asked)
    groups = Groups(ledger.groups, _taken(server, info, annotations, givens))
    loose = name_first(givens, groups)
    plan = Plan(info, asked, frames, annotations, tuple(givens), groups, tuple(loose), tuple(notes))
    plan.targets()  # refuses a job without objects
    return plan


def _chosen(givens: list[Given], asked: Asked) -> list[Given]:
    """On the start frame everything, on later ones what people drew; detections nobody looked at correct nothing."""
    numbers = [given.frame for given in givens]
    if not numbers:
        return []
    start = max(numbers) if asked.direction == "backward" else min(numbers)
    return [given for given in givens if given.frame == start or (asked.every and not given.detected)]


def _taken(server: Server, info: JobInfo, annotations: Annotations, givens: Sequence[Given]) -> set[int]:
    """Groups in use by others; the whole task is asked for only where new groups are needed."""
    if all(given.group for given in givens):
        return set()
    task = server.get(f"/api/tasks/{info.task}/annotations")
    own = {kind: {item["id"] for item in items} for kind, items in _own(annotations)}
    return {int(item.get("group") or 0) for kind in own for item in task[kind] if item["id"] not in own[kind]}


def _own(annotations: Annotations) -> Iterator[tuple[str, tuple[dict[str, Any], ...]]]:
    yield "shapes", annotations.own_shapes
    yield "tracks", annotations.own_tracks


def _refuse_to_cut(tracks: Sequence[dict[str, Any]], frames: Sequence[int], last: int) -> None:
    for track in tracks:
        visible = shown(track, last)
        if touches(track, frames) and (visible.start < frames[0] or visible.stop - 1 > frames[-1]):
            raise CvatError(
                f"An earlier run wrote a polygon track for group {track.get('group')} over frames {visible.start} to "
                f"{visible.stop - 1}, more than the frames {frames[0]} to {frames[-1]} asked for now. Ask for all of "
                "them, or delete that track in CVAT."
            )


def resolve(plan: Plan, tracking: Tracking, boxes: Boxes) -> list[str]:
    """Track from keyframe to keyframe to find which objects the shapes without a group are.

    Returns:
        A sentence for each.
    """
    if not plan.loose:
        return []
    notes: list[str] = []
    drawn = by_frame(plan.givens)
    place = {frame: position for position, frame in enumerate(plan.frames)}
    loose = by_frame(plan.loose)
    tracking.restart()
    frames = [frame for frame in drawn if frame <= max(loose)]
    with FrameProgress("finding out which objects are the same", place[frames[-1]] - place[frames[0]]) as bar:
        for before, frame in pairwise(frames):
            targets = plan.targets()
            map_before = plan.keyframes(targets, boxes)[place[before]]
            for result in tracking.follow({place[before]: map_before}, range(place[before], place[frame] + 1)):
                bar.advance()
                if frame in loose and result.frame_index == place[frame]:
                    notes += match(_predicted(result, targets, drawn[frame], plan.groups), loose[frame], plan.groups)
    return notes


def _predicted(
    result: FrameResult, targets: Sequence[Target], drawn: Sequence[Given], groups: Groups
) -> dict[Key, np.ndarray]:
    here = {groups.key(given) for given in drawn}
    masks = {(t.label_id, t.group): result.label_map == t.number for t in targets}
    return {key: mask for key, mask in masks.items() if key not in here and mask.any()}


def occupied(plan: Plan) -> set[tuple[int, Key]]:
    """Frames in which somebody else says where an object is, or that it is not there."""
    taken: set[tuple[int, Key]] = set()
    for shape in plan.annotations.shapes:
        group = int(shape.get("group") or plan.groups.given.get(f"shape {shape['id']}", 0))
        taken.add((int(shape["frame"]), (int(shape["label_id"]), group)))
    for track in plan.annotations.tracks:
        group = int(track.get("group") or plan.groups.given.get(f"track {track['id']}", 0))
        key = int(track["label_id"]), group
        taken.update((frame, key) for frame in _told(track, plan.frames[-1]))
    return taken


def _told(track: Mapping[str, Any], last: int) -> Iterator[int]:
    """Keyframes of a track, and the frames from one that says "outside" to the next."""
    shapes = sorted(track["shapes"], key=lambda shape: int(shape["frame"]))
    for place, shape in enumerate(shapes):
        frame = int(shape["frame"])
        stop = int(shapes[place + 1]["frame"]) if place + 1 < len(shapes) else last + 1
        yield from range(frame, stop) if shape.get("outside") else (frame,)
