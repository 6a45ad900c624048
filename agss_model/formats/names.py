"""Which object an id is, where a format leaves that open: `meta.json` of YouTube-VOS, `objects.json` of ours.

Both hold `{"videos": {NAME: {"objects": {ID: {"category": CLASS, "index": NUMBER, "frames": [...]}}}}}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agss_model.bounded_json import read_json
from agss_model.errors import MediaError
from agss_model.files import write_json
from agss_model.formats.clip import UNNAMED, MaskedClip

FILES = ("meta.json", "objects.json")


@dataclass(frozen=True)
class ObjectLabel:
    """An object.

    Attributes:
        label: its class.
        index: among the objects of its class, None where nothing is said.
    """

    label: str
    index: int | None = None


def write_names(path: Path, clip: MaskedClip, frames: Mapping[int, list[str]] | None = None) -> None:
    """Write a file about one clip.

    Args:
        path: of the file.
        clip: which one.
        frames: names of the frames in which each object is seen, where that is wanted; unseen objects are left out.

    Raises:
        OutputError: it cannot be written.
    """
    objects: dict[str, dict[str, Any]] = {}
    for object_id, label in sorted(clip.labels.items()):
        if frames is not None and not frames.get(object_id):
            continue
        index = {"index": clip.indexes[object_id]} if object_id in clip.indexes else {}
        seen = {} if frames is None else {"frames": frames[object_id]}
        objects[str(object_id)] = {"category": label, **index, **seen}
    write_json(path, {"videos": {clip.name: {"objects": objects}}})


def read_names(root: Path) -> dict[str, dict[int, ObjectLabel]]:
    """Objects of each clip by id, where a file in the folder says so.

    Raises:
        MediaError: the file says something else.
    """
    path = next((path for path in (root / name for name in FILES) if path.is_file()), None)
    if path is None:
        return {}
    try:
        videos = read_json(path)["videos"]
        return {name: dict(_named(video["objects"])) for name, video in videos.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MediaError(
            f'{path} cannot be read ({error!r}); it must hold {{"videos": {{NAME: {{"objects": {{ID: '
            '{"category": ...}}}}, or be removed'
        ) from error


def _named(objects: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[int, ObjectLabel]]:
    for object_id, known in objects.items():
        if "category" in known or "index" in known:
            index = known.get("index")
            yield (
                int(object_id),
                ObjectLabel(str(known.get("category", UNNAMED)), None if index is None else int(index)),
            )
