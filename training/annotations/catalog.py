"""One way to name where annotated videos are, for every command that reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agss_model.cvat import Problem
from agss_model.errors import ConfigError, MediaError
from training.annotations.cvat_export import XML, read_export
from training.annotations.drawn_files import KNOWN, read_drawn_video
from training.annotations.folders import is_folder_dataset, read_folder
from training.annotations.videos import TeamVideo
from training.data.evaluation_data import refuse_evaluation_data

HELP = (
    "A folder in DAVIS' or YouTube-VOS' layout; a CVAT for video or images 1.1 export (annotations.xml, its folder or "
    "ZIP, the video beside it, or annotations.xml::VIDEO); masks, COCO, Datumaro or LabelMe JSON or YOLO "
    "outlines, as FILE::CLIP or FOLDER::CLIP; cvat:HOST/tasks/ID, /jobs/ID or /projects/ID; fiftyone:NAME/FIELD."
)


@dataclass(frozen=True)
class Catalog:
    """What several sources hold.

    Attributes:
        videos: with names that are unique and usable as folder names.
        notes: what was left out of a source as a whole.
    """

    videos: tuple[TeamVideo, ...]
    notes: tuple[Problem, ...]


def open_catalog(sources: Sequence[str]) -> Catalog:
    """Read the annotated videos that sources name.

    Args:
        sources: see `HELP`.

    Raises:
        ConfigError: a source is written wrongly, is evaluation data, or needs an extra that is not installed.
        MediaError: it is missing or damaged, or nothing usable is in it.
    """
    videos: list[TeamVideo] = []
    notes: list[Problem] = []
    for source in sources:
        found, about = _open(source)
        if not found:
            raise MediaError(f"{source} holds no annotated video")
        videos += found
        notes += about
    return Catalog(tuple(_named_apart(videos)), tuple(notes))


def _open(source: str) -> tuple[list[TeamVideo], list[Problem]]:
    kind, _, place = source.partition(":")
    if kind == "cvat" and place:
        from training.annotations.cvat_server import read_server

        return read_server(place), []
    if kind == "fiftyone" and place:
        from training.annotations.fiftyone_source import read_fiftyone

        return read_fiftyone(place), []
    path, _, media = source.partition("::")
    return _open_path(Path(path), Path(media) if media else None)


def _open_path(path: Path, media: Path | None) -> tuple[list[TeamVideo], list[Problem]]:
    if not path.exists():
        raise MediaError(f"{path} does not exist; a source is: {HELP}")
    refuse_evaluation_data(path)
    if media is not None:
        refuse_evaluation_data(media)
    if path.suffix.lower() in (".xml", ".zip") or (path / XML).is_file():
        return read_export(path, media), []
    if is_folder_dataset(path):
        return read_folder(path)
    if media is not None:
        return read_drawn_video(path, media), []
    if path.suffix.lower() in (".json", ".txt"):
        raise MediaError(f"{path} does not say which clip it was drawn on; write {path}::CLIP")
    if path.is_file():
        raise MediaError(f"{path} is no {XML}; give that file, or the folder with it and the video, or: {KNOWN}")
    raise ConfigError(f"{path} is no source of annotated videos. {HELP}")


def _named_apart(videos: Sequence[TeamVideo]) -> list[TeamVideo]:
    """Names that are plain folder names, and different."""
    taken: set[str] = set()
    named = []
    for video in videos:
        base = re.sub(r"[^A-Za-z0-9._-]+", "_", video.name).strip("._")[:80] or "video"
        name, count = base, 1
        while name.lower() in taken:
            count += 1
            name = f"{base}-{count}"
        taken.add(name.lower())
        named.append(replace(video, name=name))
    return named
