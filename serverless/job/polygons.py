"""Polygon tracks from the masks of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from agss_model.cvat.keyframes import Key, thin
from agss_model.masks.polygons import Ring
from agss_model.masks.runs import decode_cvat_mask
from agss_model.masks.shapes import enclosed_area, largest_part
from serverless.job.ledger import Found
from serverless.job.objects import Target
from serverless.job.read import JobInfo, Label
from serverless.job.write import polygon_track

SEAL = 0.13
"""Pixels by which the seal of a track can move a point, which lies on a corner of pixels: hundredths are added."""
LEFT_OUT = 0.1
"""Part of a mask that an outline may leave out or fill in before it is worth a note."""


def make_tracks(
    found: Iterable[Found], targets: Sequence[Target], info: JobInfo, frames: Sequence[int], tolerance: float
) -> tuple[list[dict[str, Any]], list[str]]:
    """One track per object, with few keyframes, outside where the object is lost.

    Args:
        found: everything of the run.
        targets: the objects.
        info: the job.
        frames: those that were tracked, ascending.
        tolerance: in pixels, see `agss_model.cvat.keyframes.thin`.

    Returns:
        Tracks; and sentences about what polygons cannot hold.
    """
    points = {(one.row.object_id, one.row.frame): one.points for one in found}
    tracks: list[dict[str, Any]] = []
    notes: list[str] = []
    for target in targets:
        seen = {frame: p for frame in frames if (p := points.get((target.number, frame))) is not None}
        outlines, incomplete = _outlines(seen, info.size)
        keys = list(_keys(outlines, frames, info.stop, tolerance - SEAL))
        if keys:
            tracks.append(polygon_track(target, info.labels.get(target.label_id, Label("")), keys))
        if incomplete:
            where = f"first in frame {incomplete[0]}"
            notes.append(
                f"{target.title(info.labels)}: a polygon is one outline without holes; in {len(incomplete)} frames "
                f"({where}) more than {LEFT_OUT:.0%} of the mask is left out or filled in. Masks keep it all."
            )
    return tracks, notes


def _outlines(seen: dict[int, list[int]], size: tuple[int, int]) -> tuple[dict[int, Ring], list[int]]:
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
    outlines: dict[int, Ring], frames: Sequence[int], stop: int, tolerance: float
) -> Iterator[tuple[int, list[float], bool]]:
    """Keyframes: thinned where the object is seen, and one that says "outside" where it is not any more."""
    place = 0
    while place < len(frames):
        seen: list[int] = []
        while place < len(frames) and frames[place] in outlines:
            seen.append(frames[place])
            place += 1
        if not seen:
            place += 1
            continue
        keys: list[Key] = thin(seen, [outlines[frame] for frame in seen], tolerance)
        flat = [[float(value) for value in key.points.ravel()] for key in keys]
        yield from ((key.frame, points, False) for key, points in zip(keys, flat, strict=True))
        after = frames[place] if place < len(frames) else frames[-1] + 1
        if after <= stop:
            yield after, flat[-1], True
