"""Videos of a FiftyOne dataset with the labels of one of their fields, read as the plugin reads them."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from agss_model.cvat import AnnotatedObject, Appearance, CvatShape, Problem, VideoAnnotations
from agss_model.errors import ConfigError, MaskError, MediaError, install
from agss_model.masks.rle import encode_cvat_mask
from agss_model.video import open_source
from training.annotations.videos import TeamVideo

if TYPE_CHECKING:
    import fiftyone as fo

    from fiftyone_plugin.data.clips import Clip
    from fiftyone_plugin.data.fields import Field
    from fiftyone_plugin.data.labels import Label


def read_fiftyone(place: str) -> list[TeamVideo]:
    """Videos of `NAME/FIELD`, such as `my-videos/frames.ground_truth`; samples without labels there are left out.

    Objects keep their `index` where no two classes share it. What a tracking run wrote or the App filled in are
    predictions, all other labels a human's; see `fiftyone_plugin.data.authorship`.

    Raises:
        ConfigError: the place cannot be read, or FiftyOne is missing.
        MediaError: no such dataset or field, or nothing usable in it.
    """
    name, _, wanted = place.rpartition("/")
    if not name or not wanted:
        raise ConfigError(f"fiftyone:{place} names no field; write fiftyone:NAME/FIELD")
    try:
        import fiftyone as fo
    except ImportError as error:
        raise ConfigError(f"Reading a FiftyOne dataset needs FiftyOne: {install('fiftyone')}") from error
    from fiftyone_plugin.data.clips import find_clips
    from fiftyone_plugin.data.fields import field_of, label_fields

    if not fo.dataset_exists(name):
        raise MediaError(f"FiftyOne has no dataset {name!r}; there are {', '.join(fo.list_datasets()) or 'none'}")
    dataset = fo.load_dataset(name)
    field = field_of(dataset, wanted)
    if dataset.media_type != "video" or field.name not in label_fields(dataset):
        raise MediaError(f"dataset {name!r} has no field frames.{field.name}; it needs labelled frames of videos")
    found = [_video(dataset, clip, field) for clip in find_clips(dataset)]
    videos = [video for video in found if video is not None]
    if not videos:
        raise MediaError(f"no frame of dataset {name!r} has labels in frames.{field.name}")
    return videos


def _video(dataset: fo.Dataset, clip: Clip, field: Field) -> TeamVideo | None:
    from fiftyone_plugin.data.authorship import Authors
    from fiftyone_plugin.data.identity import ObjectNames, numbered
    from fiftyone_plugin.data.values import labels_in, read_values

    with clip.open() as frames:
        size, count = frames.size, len(frames)
    authors, names = Authors.read(dataset, clip, field), ObjectNames.read(dataset, clip, field)
    skipped: Counter[str] = Counter()
    shown: list[tuple[int, Label, Appearance]] = []
    for number, (value,) in read_values(dataset, clip, field):
        shown += [
            (number, label, Appearance((shape,), authors.by_person(number, label)))
            for label in (labels_in(value) if number < count else ())
            if (shape := _shape(label, size, skipped)) is not None
        ]
    if not shown:
        return None
    ids = numbered(names.of(label) for _, label, _ in shown)
    appearances: dict[int, dict[int, Appearance]] = {object_id: {} for object_id in ids.values()}
    for number, label, appearance in shown:
        appearances[ids[names.of(label)]][number] = appearance
    labels = {object_id: name.label for name, object_id in ids.items()}
    truth = VideoAnnotations(
        name=Path(clip.paths[0]).stem,
        width=size[0],
        height=size[1],
        frame_count=count,
        objects=tuple(AnnotatedObject(i, labels[i], appearances[i]) for i in sorted(appearances)),
        problems=tuple(Problem("ignored", f"{n} labels {why} and were left out") for why, n in skipped.items()),
    )
    origin = f"{dataset.name}, sample {clip.key}"
    return TeamVideo(truth.name, origin, truth, partial(open_source, Path(clip.paths[0])), labels)


def _shape(label: Label, size: tuple[int, int], skipped: Counter[str]) -> CvatShape | None:
    """The mask of a label, None where it has none or belongs to no object."""
    from fiftyone_plugin.data.labels import decode_label, has_region

    if label.index is None and not label.instance_id:
        skipped["have neither index nor instance"] += 1
        return None
    try:
        mask = decode_label(label, *size) if has_region(label) else np.zeros((1, 1), np.bool_)
    except MaskError:
        mask = np.zeros((1, 1), np.bool_)
    if not mask.any():
        skipped["have no mask"] += 1
        return None
    return CvatShape("mask", np.asarray(encode_cvat_mask(mask), np.float64))
