"""What is in a CVAT job and what will be done with it, before anything is."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from agss_model.cli.console import FrameProgress
from agss_model.clips import Direction
from agss_model.cvat.authorship import author, emptied, in_order, keyframe_authors, near_of
from agss_model.cvat.polygons.keyframes import TOLERANCE
from agss_model.cvat.server.client import CvatError, Server
from agss_model.masks.cvat_shapes import SHAPE_TYPES, ShapeType
from agss_model.tracking.results import FrameResult
from serverless.job.drawn import Boxes, DrawnKeyframes
from serverless.job.ledger import Ledger
from serverless.job.objects import Groups, Key, Target, by_frame, make_targets, match, name_first, origin_of
from serverless.job.read import Annotations, Drawing, JobInfo, read_drawings, shown, touches
from serverless.job.track import Absent, Tracking

Json = dict[str, Any]
Output = Literal["masks", "polygons"]
KINDS = ("polygon", "rectangle")  # of tracks that can be given keyframes
FORMS: Mapping[str, ShapeType] = {kind: kind for kind in SHAPE_TYPES}
"""What labels of one type get; the others get what was asked for."""
OUTPUTS: Mapping[Output, ShapeType] = {"masks": "mask", "polygons": "polygon"}


@dataclass(frozen=True)
class JobOptions:
    """What to do.

    Attributes:
        first: first frame to track, None for the job's.
        last: last frame to track, None for the job's.
        direction: which way.
        output: a mask in every frame, or polygon tracks.
        tolerance: of polygon tracks, in pixels.
        every: take in all frames that people drew on, not only the start frame.
        again: track anew what was deleted of an earlier run.
    """

    first: int | None = None
    last: int | None = None
    direction: Direction = "forward"
    output: Output = "masks"
    tolerance: float = TOLERANCE
    every: bool = True
    again: bool = False


@dataclass(frozen=True)
class JobPlan:
    """What is there and what will be done, before anything is.

    Attributes:
        info: the job.
        asked: what to do.
        frames: to be tracked; a frame's place here is its position.
        annotations: as they are.
        drawings: where the objects are drawn.
        groups: which object each is.
        loose: shapes that may be objects known already; tracking decides.
        continued: tracks that people drew and that get keyframes, by object.
        deleted: frames from which somebody deleted what an earlier run wrote, by object.
        notes: sentences for the user.
    """

    info: JobInfo
    asked: JobOptions
    frames: tuple[int, ...]
    annotations: Annotations
    drawings: tuple[Drawing, ...]
    groups: Groups
    loose: tuple[Drawing, ...]
    continued: Mapping[Key, dict[str, Any]]
    deleted: Mapping[Key, frozenset[int]]
    notes: tuple[str, ...]

    def targets(self) -> tuple[Target, ...]:
        """The objects known so far."""
        return make_targets(self.drawings, self.groups, self.info.labels)

    def form(self, target: Target) -> ShapeType:
        """What an object is written as: the track that it is, or what was asked for, or what its label allows."""
        if target.key in self.continued:
            return FORMS[self.continued[target.key]["shapes"][0]["type"]]  # one of `KINDS`
        kind = self.info.labels[target.label_id].kind if target.label_id in self.info.labels else "any"
        return FORMS.get(kind, OUTPUTS[self.asked.output])

    def untouchable(self) -> set[tuple[int, Key]]:
        """Where nothing may be added: others have something of an object there, or deleted it."""
        taken = occupied(self.annotations, self.groups, self.continued, self.info)
        if not self.asked.again:
            taken |= {(frame, key) for key, frames in self.deleted.items() for frame in frames}
        return taken

    def absent(self, targets: Sequence[Target]) -> Absent:
        """What people say ends: outside on its track, or deleted, up to where it is drawn again or the last frame."""
        found: dict[int, set[int]] = {}
        for target in targets:
            track = self.continued.get(target.key)
            told = said(track, self.info) if track is not None else {}
            gone = {frame for frame, there in told.items() if not there}
            gone |= set() if self.asked.again else self.deleted.get(target.key, frozenset())
            drawn = {drawing.frame for drawing in self.drawings if self.groups.key(drawing) == target.key}
            ending = True  # from the next frame on it is drawn, or nothing is
            for position, frame in reversed(list(enumerate(self.frames))):
                if frame in drawn or frame not in gone:
                    ending = frame in drawn
                elif ending and (position == 0 or self.frames[position - 1] not in gone - drawn):
                    found.setdefault(position, set()).add(target.number)
        return {position: frozenset(ids) for position, ids in sorted(found.items())}

    def keyframes(self, targets: Sequence[Target], boxes: Boxes) -> DrawnKeyframes:
        """What was drawn, by position."""
        return DrawnKeyframes(self.drawings, self.groups, targets, self.frames, boxes)


def make_plan(server: Server, info: JobInfo, annotations: Annotations, ledger: Ledger, asked: JobOptions) -> JobPlan:
    """Look at a job.

    Raises:
        MaskError: nothing to track.
        MediaError: frames outside the job.
        CvatError: the server refuses, or earlier tracks would be cut in two.
    """
    frames = tuple(info.frames(asked.first, asked.last))
    _refuse_to_cut(annotations.own_tracks, frames, info.stop)
    everything = (*annotations.shapes, *annotations.tracks)
    drawings, notes = read_drawings(annotations.shapes, annotations.tracks, frames, info.size, info.names)
    drawings = _chosen(drawings, asked)
    taken, limits = _taken(server, info, drawings, (*everything, *annotations.own_shapes, *annotations.own_tracks))
    groups = Groups(taken, everything, info.names)
    loose = name_first(drawings, groups)
    tracked = {key for drawing in drawings if (key := groups.key(drawing)) is not None}
    continued, alone = continuable(annotations.tracks, groups, tracked, info)
    gone = deleted_since(annotations, groups, ledger.written, info)
    plan = JobPlan(
        info,
        asked,
        frames,
        annotations,
        tuple(drawings),
        groups,
        tuple(loose),
        continued,
        gone,
        (*notes, *limits, *alone),
    )
    _refuse_unsigned(plan)
    return plan


def _refuse_unsigned(plan: JobPlan) -> None:
    if any("score" not in shape for shape in plan.annotations.shapes) and "mask" in map(plan.form, plan.targets()):
        raise CvatError(
            "This CVAT keeps no scores of shapes, by which the masks of an earlier run are known again; that needs "
            "CVAT 2.56 or newer. Polygon tracks do without: --output polygons."
        )


def _chosen(drawings: list[Drawing], asked: JobOptions) -> list[Drawing]:
    """On the start frame everything, on later ones what people drew; detections nobody looked at correct nothing."""
    numbers = [drawing.frame for drawing in drawings]
    if not numbers:
        return []
    start = max(numbers) if asked.direction == "backward" else min(numbers)
    return [drawing for drawing in drawings if drawing.frame == start or (asked.every and not drawing.detected)]


def _taken(
    server: Server, info: JobInfo, drawings: Sequence[Drawing], here: Sequence[dict[str, Any]]
) -> tuple[set[int], list[str]]:
    """Groups in use; the whole task is asked for where new groups may be needed, and may be closed to an annotator."""
    if all(drawing.group for drawing in drawings):
        return set(), []
    try:
        task = server.get(f"/api/tasks/{info.task}/annotations")
    except CvatError as error:
        if error.status != 403:
            raise
        note = "this account may not read the other jobs of the task, so new groups are counted in this job alone."
        return {int(item.get("group") or 0) for item in here}, [note]
    return {int(item.get("group") or 0) for kind in ("shapes", "tracks") for item in task[kind]}, []


def _refuse_to_cut(tracks: Sequence[dict[str, Any]], frames: Sequence[int], last: int) -> None:
    for track in tracks:
        visible = shown(track, last)
        if touches(track, frames) and (visible.start < frames[0] or visible.stop - 1 > frames[-1]):
            raise CvatError(
                f"An earlier run wrote a polygon track for group {track.get('group')} over frames {visible.start} to "
                f"{visible.stop - 1}, more than the frames {frames[0]} to {frames[-1]} asked for now. Ask for all of "
                "them, or delete that track in CVAT."
            )


def resolve(plan: JobPlan, tracking: Tracking, boxes: Boxes) -> list[str]:
    """Track from keyframe to keyframe to find which objects the shapes without a group are.

    Returns:
        A sentence for each.
    """
    if not plan.loose:
        return []
    notes: list[str] = []
    drawn = by_frame(plan.drawings)
    place = {frame: position for position, frame in enumerate(plan.frames)}
    loose = by_frame(plan.loose)
    tracking.restart()
    frames = [frame for frame in drawn if frame <= max(loose)]
    with FrameProgress("finding out which objects are the same", place[frames[-1]] - place[frames[0]]) as bar:
        for before, frame in pairwise(frames):
            targets = plan.targets()
            map_before = plan.keyframes(targets, boxes)[place[before]]
            for result in tracking.follow({place[before]: map_before}, {}, range(place[before], place[frame] + 1)):
                bar.advance()
                if frame in loose and result.frame_index == place[frame]:
                    notes += match(_predicted(result, targets, drawn[frame], plan.groups), loose[frame], plan.groups)
    return notes


def _predicted(
    result: FrameResult, targets: Sequence[Target], drawn: Sequence[Drawing], groups: Groups
) -> dict[Key, np.ndarray]:
    here = {groups.key(drawing) for drawing in drawn}
    masks = {t.key: result.label_map == t.number for t in targets}
    return {key: mask for key, mask in masks.items() if key not in here and mask.any()}


def continuable(
    tracks: Sequence[Json], groups: Groups, tracked: Container[Key], info: JobInfo
) -> tuple[dict[Key, Json], list[str]]:
    """Tracks that people drew or corrected and that can be given keyframes, by object.

    Returns:
        The tracks, and a sentence for each that is left alone although its object is tracked.
    """
    found: dict[Key, list[Json]] = {}
    for track in tracks:
        key = groups.of(track)
        if key is not None and key in tracked and author(track, info.names) == "person":
            found.setdefault(key, []).append(track)
    notes: list[str] = []
    good: dict[Key, Json] = {}
    for key, of_it in found.items():
        kinds = {shape["type"] for track in of_it for shape in track["shapes"]}
        turned = any(shape.get("rotation") for track in of_it for shape in track["shapes"])
        if len(of_it) == 1 and len(kinds) == 1 and kinds <= set(KINDS) and not turned:
            good[key] = of_it[0]
            continue
        what = "is no track of polygons or of boxes" if len(of_it) == 1 else "are tracks of one label and one group"
        names = ", ".join(origin_of(track) for track in of_it)
        notes.append(f"{names} {what}; such tracks are left alone, and where they show something nothing is added.")
    return good, notes


def occupied(
    annotations: Annotations, groups: Groups, continued: Mapping[Key, Json], info: JobInfo
) -> set[tuple[int, Key]]:
    """Frames in which somebody else says where an object is, or that it is not there."""
    taken: set[tuple[int, Key]] = set()
    for shape in annotations.shapes:
        if (key := groups.of(shape)) is not None:
            taken.add((int(shape["frame"]), key))
    for track in annotations.tracks:
        key = groups.of(track)
        if key is not None:
            told = said(track, info) if key in continued else _from_the_first(track, info)
            taken.update((frame, key) for frame in told)
    return taken


def said(track: Json, info: JobInfo) -> dict[int, bool]:
    """Frames of which keyframes by people say that the object is there (True) or outside (False).

    "Outside" holds up to the next keyframe, as CVAT shows it.
    """
    authors = keyframe_authors(track, info.names)
    told: dict[int, bool] = {}
    shapes = in_order(track)
    for place, shape in enumerate(shapes):
        frame = int(shape["frame"])
        if authors[frame] == "ours":
            continue
        stop = int(shapes[place + 1]["frame"]) if place + 1 < len(shapes) else info.stop + 1
        told |= dict.fromkeys(range(frame, stop), False) if shape.get("outside") else {frame: True}
    return told


def _from_the_first(track: Json, info: JobInfo) -> range:
    return range(min(int(shape["frame"]) for shape in track["shapes"]), info.stop + 1) if track["shapes"] else range(0)


def deleted_since(
    annotations: Annotations, groups: Groups, written: Mapping[str, Sequence[int]], info: JobInfo
) -> dict[Key, frozenset[int]]:
    """Frames from which somebody deleted what an earlier run wrote, by object.

    Masks that are left tell it on any machine; the record of this machine tells also where all are gone.
    """
    shapes = (*annotations.own_shapes, *annotations.shapes)
    tracks = (*annotations.own_tracks, *annotations.tracks)
    there: dict[Key, set[int]] = {}
    near: dict[Key, dict[int, int]] = {}
    for shape in shapes:
        if (key := groups.of(shape)) is not None:
            there.setdefault(key, set()).add(int(shape["frame"]))
            near.setdefault(key, {})[int(shape["frame"])] = near_of(shape)
    for track in tracks:
        if (key := groups.of(track)) is not None:
            there.setdefault(key, set()).update(_from_the_first(track, info))
    frames = info.frames(None, None)
    gone = {key: emptied(frames, there[key], bits) for key, bits in near.items()}
    present = {origin_of(item) for item in (*shapes, *tracks)}
    for key, span in _missing(written, present):
        gone.setdefault(key, set()).update(set(span).difference(there.get(key, ()), info.deleted))
    return {key: frozenset(frames) for key, frames in gone.items() if frames}


def _missing(written: Mapping[str, Sequence[int]], present: Container[str]) -> Iterator[tuple[Key, range]]:
    for name, (first, last, label, group) in written.items():
        if name not in present:
            yield (label, group), range(first, last + 1)
