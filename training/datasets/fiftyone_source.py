"""Videos of a FiftyOne dataset with the labels of one of their fields."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from agss_model.cvat import AnnotatedObject, Appearance, Problem, Shape, VideoAnnotations
from agss_model.errors import ConfigError, MediaError
from agss_model.masks.fiftyone import fill_rings, label_print, place_mask
from agss_model.masks.labels import BoolMask
from agss_model.masks.runs import encode_cvat_mask
from agss_model.video import open_source
from training.datasets.team import TeamVideo


def read_fiftyone(place: str) -> list[TeamVideo]:
    """Videos of `NAME/FIELD`, such as `my-videos/frames.ground_truth`; samples without labels there are left out.

    Objects keep their `index`, or are told apart by their instance. Labels that a tracking run wrote and nobody changed
    since (they carry its mark `tracked`) are predictions, all others a human's.

    Raises:
        ConfigError: the place cannot be read, or FiftyOne is missing.
        MediaError: no such dataset or field, or nothing usable in it.
    """
    name, _, field = place.rpartition("/")
    if not name or not field:
        raise ConfigError(f"fiftyone:{place} names no field; write fiftyone:NAME/FIELD")
    try:
        import fiftyone as fo
    except ImportError as error:
        raise ConfigError("Reading a FiftyOne dataset needs FiftyOne: pip install 'agss-vos[fiftyone]'") from error
    if not fo.dataset_exists(name):
        raise MediaError(f"FiftyOne has no dataset {name!r}; there are {', '.join(fo.list_datasets()) or 'none'}")
    dataset = fo.load_dataset(name)
    field = field.removeprefix("frames.")
    if dataset.media_type != "video" or field not in dataset.get_frame_field_schema():
        raise MediaError(f"dataset {name!r} has no field frames.{field}; it needs labelled frames of videos")
    found = [_sample(sample, name, field) for sample in dataset.iter_samples()]
    videos = [video for video in found if video is not None]
    if not videos:
        raise MediaError(f"no frame of dataset {name!r} has labels in frames.{field}")
    return videos


@dataclass
class _Collected:
    appearances: dict[int, dict[int, Appearance]]
    labels: dict[int, str]
    skipped: Counter[str]
    instances: dict[str, int]


def _sample(sample: Any, name: str, field: str) -> TeamVideo | None:  # noqa: ANN401 - fiftyone.Sample
    path = Path(sample.filepath)
    with open_source(path) as frames:
        width, height, count = *frames.size, len(frames)
    collected = _Collected({}, {}, Counter(), {})
    for number, frame in sample.frames.items():
        if 1 <= number <= count:
            for label in _labels(frame[field]):
                _note(label, number - 1, (width, height), collected)
    if not collected.appearances:
        return None
    objects = tuple(
        AnnotatedObject(key, collected.labels[key], dict(sorted(collected.appearances[key].items())))
        for key in sorted(collected.appearances)
    )
    problems = tuple(
        Problem("ignored", f"{count} labels {why} and were left out") for why, count in collected.skipped.items()
    )
    truth = VideoAnnotations(
        name=f"{path.stem}", width=width, height=height, frame_count=count, objects=objects, problems=problems
    )
    return TeamVideo(
        name=truth.name,
        origin=f"{name}, sample {sample.id}",
        truth=truth,
        open=partial(open_source, path),
        labels=dict(collected.labels),
    )


def _labels(value: Any) -> list[Any]:  # noqa: ANN401 - fiftyone.Label
    for plural in ("detections", "polylines"):
        if value is not None and hasattr(value, plural):
            return list(getattr(value, plural))
    return [] if value is None else [value]


def _note(label: Any, frame: int, size: tuple[int, int], found: _Collected) -> None:  # noqa: ANN401 - fiftyone.Label
    object_id = _identity(label, found)
    if object_id is None:
        found.skipped["have neither index nor instance"] += 1
        return
    mask = _mask(label, size)
    if mask is None or not mask.any():
        found.skipped["have no mask"] += 1
        return
    shape = Shape("mask", np.asarray(encode_cvat_mask(mask), np.float64))
    human = not _untouched(label)
    found.labels.setdefault(object_id, str(label.label))
    found.appearances.setdefault(object_id, {})[frame] = Appearance((shape,), human)


def _identity(label: Any, found: _Collected) -> int | None:  # noqa: ANN401 - fiftyone.Label
    if isinstance(index := label.get_field("index"), int) and index > 0:
        return index
    instance = label.get_field("instance") if label.has_field("instance") else None
    if instance is None:
        return None
    taken = {*found.instances.values(), *found.appearances}
    return found.instances.setdefault(str(instance.id), max(taken, default=0) + 1)


def _untouched(label: Any) -> bool:  # noqa: ANN401 - fiftyone.Label
    """Whether a tracking run wrote this and nobody has changed it since."""
    mark = label.get_field("tracked") if label.has_field("tracked") else None
    if mark is None:
        return False
    return bool(mark == label_print(label.bounding_box, _flat(label), str(label.label)))


def _flat(label: Any) -> Any:  # noqa: ANN401 - fiftyone.Label, and an array or None
    mask = label.get_mask() if getattr(label, "has_mask", False) else None
    if mask is None:
        return None
    flat = np.asarray(mask)
    return flat if flat.ndim == 2 else flat.max(axis=2)


def _mask(label: Any, size: tuple[int, int]) -> BoolMask | None:  # noqa: ANN401 - fiftyone.Label
    width, height = size
    if points := getattr(label, "points", None):
        return fill_rings(points, width, height)
    flat = _flat(label)
    return None if flat is None else place_mask(flat, label.bounding_box, width, height)
