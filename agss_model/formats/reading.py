"""What people bring, recognised by what it holds: files of annotations, folders of them, ZIPs that tools export."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from agss_model.bounded_json import LARGEST, loads
from agss_model.cvat import read_cvat_xml
from agss_model.errors import MaskError, MediaError
from agss_model.formats.drawn import ClipDrawings, DrawnShape, explaining, put_together
from agss_model.formats.read_json import FrameOf, Shapes, read_json_shapes
from agss_model.formats.read_shapes import read_labelme, read_yolo
from agss_model.masks.labels import object_ids
from agss_model.masks.packed import PackedMaps
from agss_model.video.source import FrameSource

_CVAT = "annotations.xml"
_WHOLE = (_CVAT, "annotations.json", "masks.json")  # of a folder that is about one clip, as agss export makes them
_LISTS = ("classes.txt", "train.txt", "val.txt", "test.txt", "all.txt")  # of names, among YOLO's files


def read_drawn(path: Path, source: FrameSource, frame_of: FrameOf, frame: int | None = None) -> ClipDrawings | None:
    """Read a file of annotations, or a folder of LabelMe or YOLO files; None where it is neither.

    Args:
        path: file or folder; of an unpacked export the one that holds `annotations.xml`, `annotations/` or `labels/`.
        source: the clip.
        frame_of: the frame of a file name.
        frame: of a single file that is about one frame.

    Raises:
        MediaError: damaged, or of another format.
        MaskError: as `put_together`.
    """
    path = _inside(path)
    suffix = path.suffix.lower()
    if path.is_file() and suffix == ".zip":
        return explaining(path, lambda: _read_zip(path, source, frame_of, frame))
    if path.is_file() and suffix == ".xml":
        return explaining(path, lambda: read_cvat(path, source))
    if path.is_file() and suffix in (".json", ".txt"):
        return explaining(path, lambda: _read_file(path, source, frame_of, frame))
    files = _files(path) if path.is_dir() else []
    if not files:
        return None
    return explaining(path, lambda: put_together(_read_folder(files, source, frame_of), source, str(path)))


def _inside(path: Path) -> Path:
    """What is meant by the folder of an unpacked export."""
    if not path.is_dir():
        return path
    for name in _WHOLE:
        if (path / name).is_file():
            return path / name
    for kind in ("instances_*.json", "*.json"):  # Datumaro writes a file per task beside it
        found = sorted((path / "annotations").glob(kind))
        if len(found) == 1:
            return found[0]
    texts = [folder for folder in (path / "labels", *sorted(path.glob("obj_*_data"))) if folder.is_dir()]
    return texts[0] if len(texts) == 1 and not _files(path) else path


def holds_labelme(folder: Path) -> bool:
    """Whether the JSON files of a folder are LabelMe's, so that the images beside them are pictures and no masks."""
    found = sorted(path for path in folder.glob("*.json") if path.is_file() and path.stat().st_size <= LARGEST)
    try:
        return bool(found) and "shapes" in _content(found[0].read_bytes())
    except (ValueError, TypeError):
        return False


def _files(folder: Path) -> list[Path]:
    """LabelMe or YOLO files, where a folder holds no mask images."""
    found = sorted(path for path in folder.iterdir() if path.name[0] != ".")
    json_files = [path for path in found if path.suffix.lower() == ".json"]
    return json_files or [path for path in found if path.suffix.lower() == ".txt" and path.name not in _LISTS]


def _read_folder(files: list[Path], source: FrameSource, frame_of: FrameOf) -> Shapes:
    shapes: Shapes = {}
    for path in files:
        number = frame_of(path)
        if number is None:
            raise MaskError(f"the name of {path} is neither a frame number nor that of an image")
        shapes.setdefault(number, []).extend(_shapes_of_one(path, source))
    return shapes


def _shapes_of_one(path: Path, source: FrameSource) -> list[DrawnShape]:
    if path.suffix.lower() == ".txt":
        return read_yolo(path, source)
    return _labelme(_content(path.read_bytes()), source, path.name)


def _labelme(content: Any, source: FrameSource, name: str) -> list[DrawnShape]:  # noqa: ANN401 - JSON
    if "shapes" not in content:
        raise ValueError(f"{name} has no shapes")
    return read_labelme(content, source)


def _content(data: bytes) -> Any:  # noqa: ANN401 - JSON
    return loads(data)


def _read_file(path: Path, source: FrameSource, frame_of: FrameOf, frame: int | None) -> ClipDrawings:
    number = frame_of(path) if frame is None else frame
    if path.suffix.lower() == ".txt":
        return put_together({number or 0: read_yolo(path, source)}, source, str(path))
    content = _content(path.read_bytes())
    shapes = read_json_shapes(content, source, frame_of, frame)
    if shapes is None:
        shapes = {number or 0: _labelme(content, source, path.name)}
    return put_together(shapes, source, str(path))


def _read_zip(path: Path, source: FrameSource, frame_of: FrameOf, frame: int | None) -> ClipDrawings:
    """CVAT's own formats, or the one JSON file of COCO or Datumaro in it."""
    if not zipfile.is_zipfile(path):
        return read_cvat(path, source)  # which says what is wrong
    with zipfile.ZipFile(path) as archive:
        found = [entry for entry in archive.infolist() if entry.filename.lower().endswith(".json")]
        if _CVAT in archive.namelist() or len(found) != 1:
            return read_cvat(path, source)
        if found[0].file_size > LARGEST:
            raise MediaError(f"{found[0].filename} in {path} has more than {LARGEST >> 20} MiB; export fewer frames")
        shapes = read_json_shapes(_content(archive.read(found[0])), source, frame_of, frame)
    if shapes is None:
        raise MediaError(f"{found[0].filename} in {path} is neither COCO nor Datumaro; unpack it, and give the file")
    return put_together(shapes, source, str(path))


def read_cvat(path: Path, source: FrameSource) -> ClipDrawings:
    """Everything that people drew in an export of CVAT, and where they said that an object is not there.

    Raises:
        MediaError: damaged, of another format, or of several tasks.
        MaskError: nothing is drawn, or of another size.
    """
    videos = read_cvat_xml(path)
    if len(videos) != 1:
        raise MaskError(f"{path} holds {len(videos)} tasks; export the one of this clip")
    (video,) = videos
    if (video.width, video.height) != source.size:
        raise MaskError(f"{path} is of {video.width}x{video.height} pixels, but {source.name} of {source.size}")
    maps, absent, drawn = PackedMaps(), dict[int, frozenset[int]](), set[int]()
    for number in video.frames():
        label_map = video.label_map(number)
        shown = object_ids(label_map)
        absent[number] = frozenset(video.known(number)).difference(shown)
        drawn.update(shown)
        if shown:
            maps.put(number, label_map)
    if not drawn:
        raise MaskError(f"{path} holds nothing that a person drew")
    return ClipDrawings(
        maps,
        {entry.id: entry.label for entry in video.objects if entry.id in drawn},
        {number: ids & drawn for number, ids in absent.items() if ids & drawn},
    )
