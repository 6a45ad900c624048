"""What is there in a job of each object, as CVAT shows it, and what was there."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from agss_model.cvat.authorship import author, emptied, in_order, keyframe_authors, near_of
from serverless.job.objects import Groups, Key, origin_of
from serverless.job.read import JobInfo
from serverless.job.write import Annotations

Json = dict[str, Any]
KINDS = ("polygon", "rectangle")  # of tracks that can be given keyframes


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
