"""Tracks of polygons and boxes from the masks of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from agss_model.cvat.polygons.keyframes import thin, thin_boxes
from agss_model.errors import MaskError
from agss_model.masks.cvat_shapes import enclosed_area, largest_part
from agss_model.masks.polygons import Ring
from agss_model.masks.rle import decode_cvat_mask
from serverless.job.ledger import TrackedMask
from serverless.job.objects import Target
from serverless.job.plan import JobPlan, said
from serverless.job.read import JobInfo
from serverless.job.writing.making import Keyframe, Maker

LEFT_OUT = 0.1
"""Part of a mask that an outline may leave out or fill in before it is worth a note."""

Json = dict[str, Any]
Rings = Mapping[int, Ring]


def make_tracks(
    found: Iterable[TrackedMask], targets: Sequence[Target], plan: JobPlan, frames: Sequence[int], maker: Maker
) -> tuple[list[Json], list[tuple[Json, Json]], list[str]]:
    """One track per object that is written as one, with few keyframes, outside where the object is lost.

    Args:
        found: everything of the run.
        targets: the objects.
        plan: what is done.
        frames: those that were tracked, ascending.
        maker: makes the tracks.

    Returns:
        New tracks; tracks of people as they were and as they should be; and sentences about what is lost.
    """
    points = {(one.row.object_id, one.row.frame): one.points for one in found}
    new: list[Json] = []
    old: list[tuple[Json, Json]] = []
    notes: list[str] = []
    for target in targets:
        form = plan.form(target)
        if form == "mask":
            continue
        seen = {frame: p for frame in frames if (p := points.get((target.number, frame))) is not None}
        outlines, incomplete = _outlines(seen, plan.info.size)
        track = plan.continued.get(target.key)
        told = {} if track is None else said(track, plan.info)
        last = [] if track is None else [int(s["frame"]) for s in track["shapes"] if s["frame"] > frames[-1]]
        stop = plan.info.stop if not last else frames[-1]
        keys = list(_keys(form, outlines, frames, stop, plan.asked.tolerance, told, track))
        if track is not None:
            old.append((track, maker.continued(track, target, keys, frames)))
        elif keys:
            new.append(maker.track(target, form, keys))
        if incomplete and form == "polygon":
            notes.append(_left_out(target, plan.info, incomplete))
    return new, old, notes


def _left_out(target: Target, info: JobInfo, incomplete: Sequence[int]) -> str:
    return (
        f"{target.title(info.labels)}: a polygon is one outline without holes; in {len(incomplete)} frames (first in "
        f"frame {incomplete[0]}) more than {LEFT_OUT:.0%} of the mask is left out or filled in. Masks keep it all."
    )


def _outlines(seen: Mapping[int, list[int]], size: tuple[int, int]) -> tuple[dict[int, Ring], list[int]]:
    """Outlines by frame, and the frames in which one outline is not enough."""
    outlines: dict[int, Ring] = {}
    incomplete: list[int] = []
    for frame, points in seen.items():
        mask = decode_cvat_mask(points, width=size[0], height=size[1])
        part = largest_part(mask)
        outlines[frame] = part.outer
        if abs(enclosed_area(part) - float(mask.sum())) > LEFT_OUT * float(mask.sum()):
            incomplete.append(frame)
    return outlines, incomplete


def _keys(
    form: str,
    outlines: Rings,
    frames: Sequence[int],
    stop: int,
    tolerance: float,
    told: Mapping[int, bool],
    track: Json | None,
) -> Iterator[Keyframe]:
    """Keyframes: thinned where the object is seen, and one that says "outside" where it is not any more.

    `told` are frames on which keyframes of people say whether the object is there; nothing is interpolated between
    theirs and ours.
    """
    span: list[int] = []
    shown: Sequence[float] | None = None  # what CVAT goes on showing
    drawn = {int(s["frame"]): s["points"] for s in (track or {"shapes": ()})["shapes"]}
    for frame in [*frames, frames[-1] + 1]:
        if frame in outlines and frame not in told:
            span.append(frame)
            continue
        if span:
            keys = _thinned(form, span, outlines, tolerance)
            shown = keys[-1].points
            yield from keys
            span = []
        if frame in told:
            shown = drawn[frame] if told[frame] else None
        elif shown is not None and frame <= stop:
            yield Keyframe(frame, shown, outside=True)
            shown = None


def _thinned(form: str, span: Sequence[int], outlines: Rings, tolerance: float) -> list[Keyframe]:
    if form not in _THINNED:
        raise MaskError(f"a shape of type {form!r} cannot be a track; use {' or '.join(_THINNED)}")
    return _THINNED[form](span, [outlines[frame] for frame in span], tolerance)


def _thin_polygons(span: Sequence[int], rings: Sequence[Ring], tolerance: float) -> list[Keyframe]:
    return [Keyframe(key.frame, [float(v) for v in key.points.ravel()]) for key in thin(span, rings, tolerance)]


def _thin_boxes(span: Sequence[int], rings: Sequence[Ring], tolerance: float) -> list[Keyframe]:
    boxes = [[*map(float, ring.min(axis=0)), *map(float, ring.max(axis=0))] for ring in rings]
    return [Keyframe(frame, box) for frame, box in thin_boxes(span, boxes, tolerance)]


_THINNED = {"polygon": _thin_polygons, "rectangle": _thin_boxes}
