"""What is taken away: the masks of a finished run, or of a video annotated in CVAT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from agss_model.cvat import Include, VideoAnnotations
from agss_model.errors import MaskError, MediaError, OutputError
from agss_model.formats.clip import UNNAMED, FrameMasks, MaskedClip, file_name
from agss_model.masks.files import read_label_map
from agss_model.masks.labels import to_masks
from agss_model.runs.marks import wanted_frames
from agss_model.runs.scores import read_rows
from agss_model.runs.traces import Traces, by_number
from agss_model.video import open_source
from agss_model.video.images import natural_order
from agss_model.video.source import FrameSource


def read_run(root: Path, labels: Mapping[int, str], source: Path | None = None) -> MaskedClip:
    """The masks of a finished run.

    Args:
        root: the folder that `agss track` wrote.
        labels: class by object, where another than the run has is wanted.
        source: the clip, where pictures are wanted too.

    Raises:
        OutputError: no run, or not a finished one.
        MediaError: the clip is another one.
    """
    traces = Traces(root)
    record = traces.read_record()
    if record is None or not record.finished:
        raise OutputError(f"{root} holds no finished run; give the folder that agss track wrote with --out")
    about, frames = record.asked["source"], wanted_frames(record.asked)
    clip = None if source is None else open_source(source, partial=True)
    if clip is not None and (len(clip), list(clip.size)) != (about["frames"], about["size"]):
        raise MediaError(f"{source} is not the clip of {root}: that has {about['frames']} frames of {about['size']}")
    names = {number: by_number(number) for number in range(about["frames"])}
    if record.asked.get("names") == "source":
        stems = sorted((Path(name).stem for name in record.files if name.startswith("masks/")), key=natural_order)
        names |= dict(zip(frames, stems, strict=False))  # a folder's frames are in this order
    rows = {(row.frame, row.object_id): row for row in read_rows(traces.scores)}
    ids = sorted({object_id for told in record.asked["masks"].values() for object_id in told["objects"]})
    given = {int(object_id): name for object_id, name in record.asked.get("labels", {}).items()} | dict(labels)

    def each() -> Iterator[FrameMasks]:
        for number in frames:
            masks = to_masks(read_label_map(traces.masks / f"{names[number]}.png"))
            here = {object_id: rows[number, object_id] for object_id in masks if (number, object_id) in rows}
            human = frozenset(object_id for object_id, row in here.items() if row.human)
            yield FrameMasks(number, masks, human, {object_id: row.score for object_id, row in here.items()})

    return MaskedClip(
        name=Path(Path(about["name"]).name).stem or "clip",
        size=(about["size"][0], about["size"][1]),
        count=about["frames"],
        frames=frames,
        labels=labelled(ids, given, str(root)),
        each=each,
        part=frames,
        stem=names.__getitem__,
        source=clip,
    )


def of_annotations(
    annotations: VideoAnnotations,
    include: Include,
    labels: Mapping[int, str],
    source: FrameSource | None = None,
    part: range | None = None,
) -> MaskedClip:
    """The masks of a video annotated in CVAT.

    Args:
        annotations: as CVAT's readers give them.
        include: what counts, see `Include`.
        labels: class by object, where another than CVAT has is wanted.
        source: the frames, counted as CVAT counts them, where pictures are wanted too.
        part: the frames that are meant, where these are not all.

    Raises:
        MaskError: nothing of what counts is drawn.
        MediaError: a class of an object that there is not.
    """
    name = annotations.name
    frames = annotations.frames(include)
    if not frames:
        raise MaskError(f"{name} holds nothing to export; interpolated and automatic shapes count with --shapes all")
    ids = [entry.id for entry in annotations.objects]
    given = {entry.id: entry.label for entry in annotations.objects if entry.label} | dict(labels)

    size = (annotations.width, annotations.height)
    count, told = annotations.frame_count, labelled(ids, given, name)
    each = partial(masks_of, annotations, include)
    return MaskedClip(file_name(name), size, count, frames, told, each, part, source=source)


def masks_of(annotations: VideoAnnotations, include: Include) -> Iterator[FrameMasks]:
    """What counts in a video annotated in CVAT, frame by frame; objects keep their whole masks where they overlap."""
    for number in annotations.frames(include):
        known = annotations.known(number, include)
        masks = {object_id: annotations.mask(object_id, number, include) for object_id in known}
        shown = {object_id: mask for object_id, mask in masks.items() if mask.any()}
        yield FrameMasks(number, shown, frozenset(annotations.known(number, "interpolated")) & shown.keys())


def labelled(ids: list[int], labels: Mapping[int, str], what: str) -> dict[int, str]:
    """A class for every object.

    Raises:
        MediaError: a class of an object that there is not.
    """
    if unknown := sorted(labels.keys() - set(ids)):
        raise MediaError(f"{what} has no object {unknown[0]}; it has {ids}")
    return {object_id: labels.get(object_id, UNNAMED) for object_id in ids}
