"""A team's videos, split and laid out on disk, so that a run needs neither server nor database to go on.

`data/train`, `data/validation`, `data/held_out`: YouTube-VOS' layout with `known.json` (training/data/known.py),
frames named after their number; `data/stills`: the annotated training frames for synthetic clips; `data/folds`: of few
videos, see training/annotations/fold_files.py; `data/split.json`: where everything comes from. The folder appears
whole or not at all.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agss_model.bounded_json import read_json
from agss_model.cvat import Include
from agss_model.errors import ConfigError, MediaError, OutputError
from agss_model.files import unfinished, write_json
from agss_model.masks.files import write_label_map
from agss_model.masks.labels import LabelMap, object_ids
from agss_model.video.images import encode_picture
from agss_model.video.source import Image
from training.annotations.catalog import Catalog
from training.annotations.fold_files import folder_of, link_training, pieces, share, still_name
from training.annotations.split import Facts, Split, split_videos
from training.annotations.videos import TeamVideo, check_size
from training.data.known import FILE
from training.data.stills import few_ids
from training.data.video_config import VideoConfig

TRAIN_SIDE = 960  # longest side of frames to learn from; networks look at no more
DENSE_GAP = 64  # frames between two annotated ones up to which all are kept
SPARSE_KEPT = 32  # of a longer gap
PARTS = ("train", "validation", "held_out")


@dataclass(frozen=True)
class PreparedFolder:
    """What lies in a prepared folder.

    Attributes:
        root: the folder.
        record: content of `split.json`.
    """

    root: Path
    record: dict[str, Any]

    def frames(self, part: str) -> dict[str, list[int]]:
        """Annotated frames by video."""
        return {str(name): list(frames) for name, frames in self.record[part].items()}

    def annotated(self, part: str) -> int:
        """Number of annotated frames."""
        return sum(map(len, self.frames(part).values()))

    @property
    def folds(self) -> list[list[str]]:
        """Videos that each training before the last one leaves out; empty where some are kept apart."""
        return [list(fold["left_out"]) for fold in self.record.get("folds", [])]


def prepare(
    catalog: Callable[[], Catalog],
    root: Path,
    asked: Mapping[str, Any],
    *,
    include: Include = "human",
    hold_out: tuple[str, ...] = (),
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> PreparedFolder:
    """Read, split and write; or find that this has been done.

    Args:
        catalog: reads the sources; called only when something is to be written.
        root: folder to make.
        asked: what was asked for, to tell a resumed run from another one.
        include: what counts as truth.
        hold_out: names of videos to keep for the gate, see `split_videos`.
        seed: of the split.
        say: for a line of progress a video.

    Raises:
        ConfigError: the folder is of another run, or there is too little to learn from.
        MediaError: frames or masks cannot be read.
        OutputError: the folder cannot be written.
    """
    wanted: dict[str, Any] = json.loads(json.dumps(asked))
    if (root / "split.json").is_file():
        return _found(root, wanted)
    videos = catalog().videos
    split = split_videos([facts_of(video, include) for video in videos], hold_out=hold_out, seed=seed)
    try:
        with unfinished(root, folder=True) as beside:
            record = _write(videos, split, beside, include, say)
            write_json(beside / "split.json", record | {"asked": wanted})
            beside.replace(root)
    except OSError as error:
        raise OutputError(f"{root} cannot be written ({error}); free some space or choose another --out") from error
    return PreparedFolder(root, record)


def facts_of(video: TeamVideo, include: Include) -> Facts:
    """Annotated frames with what they show and tell, and prints of the first, a middle and the last one.

    Raises:
        MediaError: nothing is annotated, or frames cannot be read.
    """
    annotated = tuple(index for index in video.truth.frames(include) if index not in video.deleted)
    if not annotated:
        raise MediaError(
            f"{video.origin}: no frame was touched by a human; count what was interpolated with --include "
            "interpolated, or predictions with --include all"
        )
    looked_at = sorted({annotated[0], annotated[len(annotated) // 2], annotated[-1]})
    with video.open() as frames:
        check_size(video.name, frames, video.truth)
        prints = frozenset(hashlib.sha256(frames.read(index).tobytes()).hexdigest() for index in looked_at)
    shown = {index: _large(video.truth.label_map(index, include)) for index in annotated}
    told = {index: frozenset(video.truth.known(index, include)) for index in annotated}
    return Facts(video.name, annotated, prints, shown, told)


def _large(labels: LabelMap) -> frozenset[int]:
    """Objects that clips can be made of."""
    ids, counts = np.unique(labels, return_counts=True)
    enough = counts >= VideoConfig().minimum * labels.size
    return frozenset(int(value) for value in ids[enough] if value)


def _found(root: Path, asked: dict[str, Any]) -> PreparedFolder:
    try:
        record = read_json(root / "split.json")
        before = record["asked"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{root / 'split.json'} is damaged ({error!r}); remove {root} to prepare it anew") from error
    if changed := [key for key in asked if asked[key] != before.get(key)]:
        key = changed[0]
        raise ConfigError(
            f"{root.parent} holds another run: {key} was {before.get(key)!r}, now it is {asked[key]!r}; "
            "choose another --out"
        )
    return PreparedFolder(root, record)


def _write(
    videos: tuple[TeamVideo, ...], split: Split, root: Path, include: Include, say: Callable[[str], None]
) -> dict[str, Any]:
    record: dict[str, Any] = {"notes": list(split.notes), "origins": {}}
    for part in PARTS:
        chosen: Mapping[str, tuple[int, ...]] = getattr(split, part)
        record[part] = {name: list(frames) for name, frames in sorted(chosen.items())}
        if not chosen:
            continue
        if part == "held_out" and chosen == split.validation:
            record["held_out_is_validation"] = True
            shutil.copytree(root / "validation", root / "held_out", copy_function=share)
            continue
        known: dict[str, dict[str, list[int]]] = {}
        for video in videos:
            if video.name in chosen:
                say(f"{part}: {video.name}, {len(chosen[video.name])} annotated frames")
                record["origins"][video.name] = video.origin
                known[video.name] = _write_video(video, video.name, chosen[video.name], root / part, include)
        write_json(root / part / FILE, {name: frames for name, frames in known.items() if frames})
    return record | {"folds": _write_folds(videos, split, root, include, say)}


def _write_folds(
    videos: tuple[TeamVideo, ...], split: Split, root: Path, include: Include, say: Callable[[str], None]
) -> list[dict[str, dict[str, list[int]]]]:
    """What the trainings before the last one learn from and leave out; returns the annotated frames of both."""
    written = []
    for number, fold in enumerate(split.folds, 1):
        link_training(root, number, fold.train, split.train)
        part, known = folder_of(root, number) / "validation", {}
        for video in videos:
            left_out = pieces(video.name, fold.left_out.get(video.name, ()), split.train[video.name])
            for name, frames in left_out.items():
                say(f"left out {number}: {name}, {len(frames)} annotated frames")
                known[name] = _write_video(video, name, frames, part, include)
        write_json(part / FILE, {name: frames for name, frames in known.items() if frames})
        sides = (("train", fold.train), ("left_out", fold.left_out))
        written.append({side: {name: list(frames) for name, frames in found.items()} for side, found in sides})
    return written


def _write_video(
    video: TeamVideo, name: str, annotated: tuple[int, ...], part: Path, include: Include
) -> dict[str, list[int]]:
    """Frames and masks of one video, or of a piece of it; returns what `known.json` says about it."""
    images, masks = (part / kind / name for kind in ("JPEGImages", "Annotations"))
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    learning = part.name == "train"
    wanted = needed(annotated) if learning else list(range(annotated[0], annotated[-1] + 1))
    wanted = [index for index in wanted if index not in video.deleted]
    with video.open() as source:
        scale = min(1.0, TRAIN_SIDE / max(source.size)) if learning else 1.0
        for index, picture in _pictures(source, wanted):
            (images / f"{index:06d}.jpg").write_bytes(encode_picture(scaled(picture, scale, cv2.INTER_AREA)))
            if learning and index in annotated:
                still = still_name(name, f"{index:06d}")
                _write_still(part.parent / "stills", still, picture, video.truth.label_map(index, include))
    known: dict[str, list[int]] = {}
    entered: set[int] = set()
    for index in annotated:
        labels = video.truth.label_map(index, include)
        write_label_map(masks / f"{index:06d}.png", scaled(labels, scale, cv2.INTER_NEAREST))
        entered |= set(object_ids(labels))
        told = set(video.truth.known(index, include))
        if told & entered != entered:
            known[f"{index:06d}"] = sorted(told & entered)
    return known


def needed(annotated: tuple[int, ...]) -> list[int]:
    """Annotated frames and those in between that clips are cut from."""
    chosen: set[int] = set(annotated)
    for left, right in itertools.pairwise(annotated):
        if right - left <= DENSE_GAP:
            chosen |= set(range(left, right))
        else:
            chosen |= {round(value) for value in np.linspace(left, right, SPARSE_KEPT + 2)}
    return sorted(chosen)


def _pictures(source: Any, wanted: list[int]) -> Any:  # noqa: ANN401 - iterator of (int, Image) over a FrameSource
    """Frames by number; runs of neighbours are read as a stream."""
    start = 0
    while start < len(wanted):
        end = start
        while end + 1 < len(wanted) and wanted[end + 1] == wanted[end] + 1:
            end += 1
        if end > start:
            yield from zip(
                range(wanted[start], wanted[end] + 1), source.frames(wanted[start], wanted[end] + 1), strict=True
            )
        else:
            yield wanted[start], source.read(wanted[start])
        start = end + 1


def scaled(picture: Any, scale: float, interpolation: int) -> Any:  # noqa: ANN401 - image or label map, as it came
    """A picture or label map at another size, a way of OpenCV to interpolate; the same where `scale` is 1."""
    if scale == 1.0:
        return picture
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return cv2.resize(picture, size, interpolation=interpolation)


def _write_still(root: Path, name: str, picture: Image, labels: LabelMap) -> None:
    """A photograph for synthesis."""
    if not labels.any():
        return
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "images" / f"{name}.jpg").write_bytes(encode_picture(picture))
    write_label_map(root / "masks" / f"{name}.png", few_ids(labels))
