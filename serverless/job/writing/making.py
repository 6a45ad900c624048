"""Masks and tracks as CVAT takes them, signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agss_model.cvat.authorship import SOURCE, in_order, keyframe_authors, sign_mask, sign_track
from agss_model.cvat.polygons.pairing import between
from serverless.job.objects import Target
from serverless.job.read import JobInfo, Label

Json = dict[str, Any]


@dataclass(frozen=True)
class Keyframe:
    """A keyframe to be written.

    Attributes:
        frame: its number.
        points: of the polygon or box.
        outside: whether the object is not there from here on.
    """

    frame: int
    points: Sequence[float]
    outside: bool = False


class Maker:
    """Makes what is written of objects.

    Args:
        info: the job.
        backward: whether tracking goes to the front, so that attributes come from later drawings.
    """

    def __init__(self, info: JobInfo, backward: bool) -> None:
        self._info, self._backward = info, backward

    def mask(self, target: Target, frame: int, points: Sequence[int], score: float, near: int = 0) -> Json:
        """A mask of one frame; `near` as in `sign_mask`."""
        shape = {
            **_form("mask", frame, points, target.z_order),
            "label_id": target.label_id,
            "group": target.group,
            "source": SOURCE,
            "score": score,
            "attributes": _values(target.values(frame, self._label(target).mutable, self._backward)),
            "elements": [],
        }
        return sign_mask(shape, self._info.names, near)

    def track(self, target: Target, kind: str, keys: Sequence[Keyframe]) -> Json:
        """A track of an object."""
        mutable = self._label(target).mutable
        fixed = {spec: value for spec, value in target.attributes.items() if spec not in mutable}
        about = {"label_id": target.label_id, "group": target.group, "source": SOURCE, "frame": keys[0].frame}
        shapes = [self._keyframe(target, self._label(target), kind, key, target.z_order) for key in keys]
        return sign_track({**about, "shapes": shapes, "attributes": _values(fixed), "elements": []}, self._info.names)

    def continued(self, track: Json, target: Target, keys: Sequence[Keyframe], frames: Sequence[int]) -> Json:
        """A person's track with other keyframes of ours on the frames that were tracked.

        What it shows on all other frames stays as it is.

        Args:
            track: as it is.
            target: the object.
            keys: all keyframes that are wanted on these frames, besides those of people.
            frames: those that were tracked, ascending.
        """
        authors = keyframe_authors(track, self._info.names)
        low, high = frames[0], frames[-1]
        stays = {f: by for f, by in authors.items() if by != "ours" or not low <= f <= high}
        kept = [shape for shape in in_order(track) if int(shape["frame"]) in stays]
        z_orders = {int(shape["frame"]): int(shape.get("z_order") or 0) for shape in kept}
        kind = str(track["shapes"][0]["type"])
        wanted = [key for key in (*self._frozen(track, low, high), *keys) if key.frame not in stays]
        label = self._info.labels.get(int(track["label_id"]), Label(""))  # a person may have given it another one
        made = [
            self._keyframe(target, label, kind, key, _nearest(z_orders, key.frame, target.z_order)) for key in wanted
        ]
        shapes = sorted([*kept, *made], key=lambda shape: int(shape["frame"]))
        whole = {**track, "shapes": shapes, "frame": int(shapes[0]["frame"])}
        return sign_track(whole, self._info.names, stays)

    def _frozen(self, track: Json, low: int, high: int) -> list[Keyframe]:
        """Keyframes just beside the tracked frames, where CVAT shows something between two keyframes now."""
        found = [(frame, between(track, frame)) for frame in (low - 1, high + 1)]
        return [Keyframe(frame, points) for frame, points in found if points is not None]

    def _keyframe(self, target: Target, label: Label, kind: str, key: Keyframe, z_order: int) -> Json:
        values = {**label.defaults, **target.values(key.frame, label.mutable, self._backward)}
        here = {spec: value for spec, value in values.items() if spec in label.mutable}
        return {**_form(kind, key.frame, key.points, z_order), "outside": key.outside, "attributes": _values(here)}

    def _label(self, target: Target) -> Label:
        return self._info.labels.get(target.label_id, Label(""))


def _nearest(z_orders: Mapping[int, int], frame: int, default: int) -> int:
    before = [at for at in z_orders if at <= frame]
    return z_orders[max(before)] if before else default


def _form(kind: str, frame: int, points: Sequence[float], z_order: int) -> Json:
    return {
        "type": kind,
        "frame": frame,
        "points": [float(value) for value in points],
        "occluded": False,
        "outside": False,
        "z_order": z_order,
        "rotation": 0.0,
    }


def _values(attributes: Mapping[int, str]) -> list[Json]:
    return [{"spec_id": spec, "value": value} for spec, value in attributes.items()]
