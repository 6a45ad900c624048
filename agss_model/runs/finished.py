"""The masks of a finished run, as the writers of formats take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from agss_model.errors import MediaError, OutputError
from agss_model.formats.clip import FrameMasks, MaskedClip, labelled
from agss_model.masks.files import by_number, read_label_map
from agss_model.masks.labels import to_masks
from agss_model.runs.marks import wanted_frames
from agss_model.runs.scores import read_rows
from agss_model.runs.traces import Traces
from agss_model.video import open_source
from agss_model.video.images import natural_order


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
