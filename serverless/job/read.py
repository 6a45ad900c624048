"""What a CVAT job holds: its frames, labels, and the shapes that people drew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agss_model.cvat.authorship import Names, author, in_order, keyframe_authors, was_ours
from agss_model.cvat.server.client import CvatError, Server, expected
from agss_model.errors import MaskError, MediaError
from agss_model.masks.cvat_shapes import SHAPE_TYPES, shape_to_mask
from agss_model.masks.labels import BoolMask

Json = dict[str, Any]


@dataclass(frozen=True)
class Label:
    """A label of the job.

    Attributes:
        name: as people see it.
        kind: "any", or the one type of shape it is for.
        defaults: value of each attribute, by its id.
        mutable: ids of the attributes that may change from frame to frame.
        attributes: name of each attribute, by its id.
    """

    name: str
    kind: str = "any"
    defaults: Mapping[int, str] = field(default_factory=dict)
    mutable: frozenset[int] = frozenset()
    attributes: Mapping[int, str] = field(default_factory=dict)

    def completed(self, values: Mapping[int, str]) -> dict[int, str]:
        """A value for each attribute, as the server completes them; it refuses those of other labels."""
        return {spec: values.get(spec, default) for spec, default in self.defaults.items()}


@dataclass(frozen=True)
class JobInfo:
    """A job as far as tracking is concerned; frames are task-relative, as CVAT shows them.

    Attributes:
        job: its number.
        task: number of its task.
        start: its first frame.
        stop: its last frame.
        deleted: frames of it that were deleted.
        size: (width, height) of every frame.
        labels: by id.
    """

    job: int
    task: int
    start: int
    stop: int
    deleted: frozenset[int]
    size: tuple[int, int]
    labels: Mapping[int, Label]

    @property
    def names(self) -> Names:
        """Names of labels and attributes, as authorship needs them."""
        attributes = {spec: name for label in self.labels.values() for spec, name in label.attributes.items()}
        mutable = frozenset[Any]().union(*(label.mutable for label in self.labels.values()))
        return Names({number: label.name for number, label in self.labels.items()}, attributes, mutable)

    def frames(self, first: int | None, last: int | None) -> list[int]:
        """Frames of a part of the job, without deleted ones.

        Raises:
            MediaError: the part is not within the job, or nothing of it is left.
        """
        first, last = self.start if first is None else first, self.stop if last is None else last
        if not self.start <= first <= last <= self.stop:
            raise MediaError(
                f"Frames {first} to {last} were asked for, but job {self.job} has {self.start} to {self.stop}."
            )
        left = [number for number in range(first, last + 1) if number not in self.deleted]
        if not left:
            raise MediaError(f"All frames from {first} to {last} of job {self.job} are deleted.")
        return left


@dataclass(frozen=True, eq=False)
class Drawing:
    """An object in one frame, as a person (or a detector) drew it.

    Attributes:
        frame: task-relative.
        label_id: its label.
        group: 0 for none.
        origin: what it is on the server: "shape 12" or "track 3".
        kind: type of the shape.
        points: of the shape; they cover at least one pixel of the frame.
        size: (width, height) of the frame.
        z_order: higher lies in front.
        attributes: values by id.
        detected: another program made it and nobody touched it.
        edited: a machine of ours made it, or a part of its track, and a person edited it.
    """

    frame: int
    label_id: int
    group: int
    origin: str
    kind: str
    points: Sequence[float]
    size: tuple[int, int]
    z_order: int
    attributes: Mapping[int, str]
    detected: bool = False
    edited: bool = False

    def mask(self) -> BoolMask:
        """The pixels it covers, (H, W) bool; made anew each time, since a job can hold thousands of shapes."""
        return shape_to_mask(self.kind, self.points, width=self.size[0], height=self.size[1], clip=True)


def read_job(server: Server, number: int) -> JobInfo:
    """Read frames and labels.

    Raises:
        CvatError: no such job, or one that is not a video or sequence of pictures.
        MediaError: frames differ in size.
    """
    with expected(f"job {number}"):
        return _job(server, number)


def _job(server: Server, number: int) -> JobInfo:
    job = server.get(f"/api/jobs/{number}")
    if job.get("dimension", "2d") != "2d":
        raise CvatError(f"Job {number} is {job['dimension']}; only 2D jobs can be tracked.")
    if job.get("type") == "ground_truth":
        raise CvatError(f"Job {number} is a ground truth job; its frames are samples, not a sequence.")
    meta = server.get(f"/api/jobs/{number}/data/meta")
    return JobInfo(
        job=number,
        task=int(job["task_id"]),
        start=int(job["start_frame"]),
        stop=int(job["stop_frame"]),
        deleted=frozenset(int(frame) for frame in meta.get("deleted_frames") or ()),
        size=_size(meta, number),
        labels=_labels(server, number),
    )


def _size(meta: Json, job: int) -> tuple[int, int]:
    sizes = Counter((int(frame["width"]), int(frame["height"])) for frame in meta.get("frames") or ())
    if not sizes:
        raise MediaError(f"Job {job} tells no size of its frames; has its data been uploaded?")
    if len(sizes) > 1:
        some = ", ".join(f"{width}x{height}" for width, height in list(sizes)[:3])
        raise MediaError(f"The frames of job {job} differ in size ({some}); only frames of one size can be tracked.")
    return next(iter(sizes))


def _labels(server: Server, job: int) -> dict[int, Label]:
    labels: dict[int, Label] = {}
    for label in server.pages("/api/labels", job_id=job):
        attributes = label.get("attributes") or ()
        labels[int(label["id"])] = Label(
            name=str(label["name"]),
            kind=str(label.get("type") or "any"),
            defaults={int(a["id"]): str(a.get("default_value") or "") for a in attributes},
            mutable=frozenset(int(a["id"]) for a in attributes if a.get("mutable")),
            attributes={int(a["id"]): str(a["name"]) for a in attributes},
        )
    return labels


def read_drawings(
    shapes: Iterable[Json], tracks: Iterable[Json], frames: Iterable[int], size: tuple[int, int], names: Names
) -> tuple[list[Drawing], list[str]]:
    """Shapes and keyframes of tracks that say where an object is.

    Args:
        shapes: of the job, as the API returns them, without those that are ours.
        tracks: likewise; their keyframes that are ours say nothing.
        frames: those that matter.
        size: (width, height) of the frames.
        names: of labels and attributes.

    Returns:
        What can be tracked, by frame, then from back to front: by z order, and small on top of large; and sentences
        about the rest.
    """
    wanted = frozenset(frames)
    areas: dict[Drawing, int] = {}
    notes: dict[str, None] = {}
    for shape in (*_marked(shapes, names), *_keyframes(tracks, names)):
        if shape["frame"] not in wanted:
            continue
        drawing = _drawing(shape, size)
        try:
            areas[drawing] = _area(shape, drawing)
        except MaskError as error:
            notes[f"frame {drawing.frame}: {drawing.kind} ({drawing.origin}) is passed over; {error}."] = None
    return sorted(areas, key=lambda drawing: (drawing.frame, drawing.z_order, -areas[drawing])), list(notes)


def _marked(shapes: Iterable[Json], names: Names) -> Iterable[Json]:
    for shape in shapes:
        yield {**shape, "detected": author(shape, names) == "other", "edited": was_ours(shape, names)}


def _keyframes(tracks: Iterable[Json], names: Names) -> Iterable[Json]:
    """Keyframes as if they were shapes; those that say "outside" say nothing about where an object is."""
    for track in tracks:
        about = {key: track.get(key) for key in ("label_id", "group")}
        authors = keyframe_authors(track, names)
        for shape in in_order(track):
            by = authors[int(shape["frame"])]
            if by != "ours" and not shape.get("outside"):
                attributes = [*track.get("attributes", ()), *shape.get("attributes", ())]
                marks = {"detected": by == "other", "edited": "ours" in authors.values()}
                yield {**shape, **about, **marks, "attributes": attributes, "origin": f"track {track['id']}"}


def _area(shape: Json, drawing: Drawing) -> int:
    """Pixels of a shape.

    Raises:
        MaskError: it cannot be tracked, and why.
    """
    if drawing.kind not in SHAPE_TYPES:
        raise MaskError(f"only shapes of type {', '.join(SHAPE_TYPES)} can be tracked")
    if drawing.kind == "rectangle" and shape.get("rotation"):
        raise MaskError("it is rotated; draw a polygon or mask instead")
    area = int(drawing.mask().sum())
    if not area:
        raise MaskError("no pixel of it lies in the frame")
    return area


def _drawing(shape: Json, size: tuple[int, int]) -> Drawing:
    return Drawing(
        frame=int(shape["frame"]),
        label_id=int(shape["label_id"]),
        group=int(shape.get("group") or 0),
        origin=str(shape.get("origin") or f"shape {shape['id']}"),
        kind=str(shape["type"]),
        points=shape["points"],
        size=size,
        z_order=int(shape.get("z_order") or 0),
        attributes={int(a["spec_id"]): str(a["value"]) for a in shape.get("attributes") or ()},
        detected=bool(shape["detected"]),
        edited=bool(shape["edited"]),
    )


@dataclass(frozen=True)
class Annotations:
    """The shapes and tracks of a job, parted.

    Attributes:
        own_shapes: made by a machine of ours and untouched since.
        own_tracks: likewise.
        shapes: everybody else's.
        tracks: likewise.
    """

    own_shapes: tuple[Json, ...]
    own_tracks: tuple[Json, ...]
    shapes: tuple[Json, ...]
    tracks: tuple[Json, ...]


def read_annotations(server: Server, job: int, names: Names) -> Annotations:
    """Read a job's annotations; numbers of tags and skeletons do not matter here.

    Raises:
        CvatError: the server refuses, or answers with something else.
    """
    data = server.get(f"/api/jobs/{job}/annotations")
    with expected(f"annotations of job {job}"):
        own = {kind: [author(item, names) == "ours" for item in data[kind]] for kind in ("shapes", "tracks")}

    def part(kind: str, mine: bool) -> tuple[Json, ...]:
        return tuple(item for item, is_mine in zip(data[kind], own[kind], strict=True) if is_mine is mine)

    return Annotations(part("shapes", True), part("tracks", True), part("shapes", False), part("tracks", False))


def touches(track: Json, frames: Iterable[int]) -> bool:
    """Whether a track shows something in one of these frames."""
    visible = shown(track, max(frames := list(frames), default=0))
    return any(frame in visible for frame in frames)


def shown(track: Json, last: int) -> range:
    """Frames from the first in which a track shows something to the last, which is `last` for one without an end."""
    shapes = in_order(track)
    visible = [place for place, shape in enumerate(shapes) if not shape.get("outside")]
    if not visible:
        return range(0)
    after = shapes[visible[-1] + 1 :]
    stop = int(after[0]["frame"]) if after else last + 1
    return range(int(shapes[visible[0]]["frame"]), stop)
