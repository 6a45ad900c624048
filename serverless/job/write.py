"""Writing into a job: only what this command wrote before is ever changed, and only within the job."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agss_model.cvat.authorship import SOURCE, digest, is_own, name, seal
from agss_model.cvat.server import TRIES, CvatError, Server
from serverless.job.ledger import Ledger
from serverless.job.objects import Target
from serverless.job.read import JobInfo, Label

Json = dict[str, Any]


@dataclass(frozen=True)
class Annotations:
    """The shapes and tracks of a job, parted.

    Attributes:
        own_shapes: written by this command and unchanged.
        own_tracks: likewise.
        shapes: everybody else's.
        tracks: likewise.
    """

    own_shapes: tuple[Json, ...]
    own_tracks: tuple[Json, ...]
    shapes: tuple[Json, ...]
    tracks: tuple[Json, ...]


def read_annotations(server: Server, job: int, written: Mapping[str, str]) -> Annotations:
    """Read a job's annotations; numbers of tags and skeletons do not matter here."""
    data = server.get(f"/api/jobs/{job}/annotations")
    own = {kind: [is_own(item, written) for item in data[kind]] for kind in ("shapes", "tracks")}

    def part(kind: str, mine: bool) -> tuple[Json, ...]:
        return tuple(item for item, is_mine in zip(data[kind], own[kind], strict=True) if is_mine is mine)

    return Annotations(part("shapes", True), part("tracks", True), part("shapes", False), part("tracks", False))


def mask_shape(target: Target, frame: int, points: Sequence[int], score: float) -> Json:
    """A sealed mask of one frame."""
    return seal(
        {
            "type": "mask",
            "frame": frame,
            "label_id": target.label_id,
            "group": target.group,
            "points": [float(value) for value in points],
            "source": SOURCE,
            "score": score,
            "occluded": False,
            "outside": False,
            "z_order": target.z_order,
            "rotation": 0.0,
            "attributes": _values(target.attributes),
            "elements": [],
        }
    )


def polygon_track(target: Target, label: Label, keys: Sequence[tuple[int, Sequence[float], bool]]) -> Json:
    """A sealed polygon track.

    Args:
        target: the object.
        label: its label, which says what attributes may change from frame to frame.
        keys: frame, points and whether it is outside, by frame.
    """
    mutable = {spec: value for spec, value in target.attributes.items() if spec in label.mutable}
    fixed = {spec: value for spec, value in target.attributes.items() if spec not in label.mutable}
    shapes = [
        {
            "type": "polygon",
            "frame": frame,
            "points": [float(value) for value in points],
            "occluded": False,
            "outside": outside,
            "z_order": target.z_order,
            "rotation": 0.0,
            "attributes": _values(mutable),
        }
        for frame, points, outside in keys
    ]
    about = {"label_id": target.label_id, "group": target.group, "source": SOURCE, "frame": keys[0][0]}
    return seal({**about, "shapes": shapes, "attributes": _values(fixed), "elements": []})


def _values(attributes: Mapping[int, str]) -> list[Json]:
    return [{"spec_id": spec, "value": value} for spec, value in attributes.items()]


class Writer:
    """Brings this command's shapes in a job to what they should be; what is right already stays untouched.

    Args:
        server: where the job is.
        info: the job.
        annotations: as they are now.
        ledger: where it is recorded what was written.
    """

    def __init__(self, server: Server, info: JobInfo, annotations: Annotations, ledger: Ledger) -> None:
        self._server, self._info, self._ledger = server, info, ledger
        self._own = annotations
        self.created = self.removed = 0

    def put_shapes(self, frames: Iterable[int], wanted: Sequence[Json]) -> None:
        """Have exactly these shapes in these frames.

        Raises:
            CvatError: the server refuses or is gone, or a shape may not be written.
        """
        covered = frozenset(frames)
        for shape in wanted:
            if shape["frame"] not in covered:
                raise CvatError(f"A shape for frame {shape['frame']} is not within the frames being written.")
        self._put("shapes", wanted, lambda shape: shape["frame"] in covered)

    def put_tracks(self, frames: Iterable[int], wanted: Sequence[Json]) -> None:
        """Have exactly these tracks among those that show something in these frames.

        Raises:
            CvatError: as `put_shapes`.
        """
        covered = frozenset(frames)
        self._put("tracks", wanted, lambda track: touches(track, covered))

    def tidy(self) -> None:
        """Look at the job once more and remove what is there twice, after replies that were lost."""
        self._refresh()
        for kind, items in (("shapes", self._own.own_shapes), ("tracks", self._own.own_tracks)):
            first = {digest(item): item["id"] for item in reversed(items)}
            self._delete(kind, [item for item in items if first[digest(item)] != item["id"]])

    def _put(self, kind: str, wanted: Sequence[Json], covers: Any) -> None:  # noqa: ANN401 - a predicate
        for item in wanted:
            check(item, self._info)
        pause = self._server.pause
        for left in range(TRIES - 1, -1, -1):
            error = self._tried(kind, wanted, covers)
            if error is None:
                return
            if not error.passing or not left:
                raise error
            time.sleep(pause)
            pause *= 2
            self._refresh()  # the reply may have been lost after the change was made

    def _tried(self, kind: str, wanted: Sequence[Json], covers: Any) -> CvatError | None:  # noqa: ANN401
        try:
            missing, extra = self._difference(kind, wanted, covers)
            if extra:
                self._refresh()  # somebody may have edited, since, what is about to go
                missing, extra = self._difference(kind, wanted, covers)
                self._delete(kind, extra)
            if missing:
                self._create(kind, missing)
        except CvatError as error:
            return error
        return None

    def _difference(self, kind: str, wanted: Sequence[Json], covers: Any) -> tuple[list[Json], list[Json]]:  # noqa: ANN401
        there: dict[str, list[Json]] = {}
        for item in self._mine(kind):
            if covers(item):
                there.setdefault(digest(item), []).append(item)
        missing = [item for item in wanted if not there.get(digest(item)) or not there[digest(item)].pop()]
        return missing, [item for items in there.values() for item in items]

    def _create(self, kind: str, items: Sequence[Json]) -> None:
        made = self._send("create", kind, items)
        self.created += len(items)
        self._ledger.written.update({name(item): digest(item) for item in made})
        self._set(kind, (*self._mine(kind), *made))

    def _delete(self, kind: str, items: Sequence[Json]) -> None:
        if not items:
            return
        self._send("delete", kind, items)
        self.removed += len(items)
        gone = {item["id"] for item in items}
        for item in items:
            self._ledger.written.pop(name(item), None)
        self._set(kind, tuple(item for item in self._mine(kind) if item["id"] not in gone))

    def _send(self, action: str, kind: str, items: Sequence[Json]) -> list[Json]:
        body = {"version": 0, "tags": [], "shapes": [], "tracks": [], kind: list(items)}
        reply = self._server.patch(f"/api/jobs/{self._info.job}/annotations", body, action=action)
        made = reply.get(kind) if isinstance(reply, dict) else None
        return [item for item in made or () if item.get("id") is not None]

    def _mine(self, kind: str) -> tuple[Json, ...]:
        return self._own.own_shapes if kind == "shapes" else self._own.own_tracks

    def _set(self, kind: str, items: tuple[Json, ...]) -> None:
        own = self._own
        shapes, tracks = (items, own.own_tracks) if kind == "shapes" else (own.own_shapes, items)
        self._own = Annotations(shapes, tracks, own.shapes, own.tracks)

    def _refresh(self) -> None:
        self._own = read_annotations(self._server, self._info.job, self._ledger.written)


def check(item: Json, info: JobInfo) -> None:
    """Refuse what would spoil a job: CVAT itself takes frames outside it and tracks of masks, and cannot export them.

    Raises:
        CvatError: such an item.
    """
    shapes = item.get("shapes", [item])
    if "shapes" in item and any(shape["type"] == "mask" for shape in shapes):
        raise CvatError("A track of masks cannot be written: CVAT fails to show and to export it.")
    for shape in shapes:
        if not info.start <= shape["frame"] <= info.stop:
            raise CvatError(f"Frame {shape['frame']} is not in job {info.job}, which has {info.start} to {info.stop}.")


def touches(track: Json, frames: Iterable[int]) -> bool:
    """Whether a track shows something in one of these frames."""
    visible = shown(track, max(frames := list(frames), default=0))
    return any(frame in visible for frame in frames)


def shown(track: Json, last: int) -> range:
    """Frames from the first in which a track shows something to the last, which is `last` for one without an end."""
    shapes = sorted(track["shapes"], key=lambda shape: int(shape["frame"]))
    visible = [place for place, shape in enumerate(shapes) if not shape.get("outside")]
    if not visible:
        return range(0)
    after = shapes[visible[-1] + 1 :]
    stop = int(after[0]["frame"]) if after else last + 1
    return range(int(shapes[visible[0]]["frame"]), stop)
