"""CVAT exports ("CVAT for video 1.1", "CVAT for images 1.1") with the video or the images they were made for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from agss_model.cvat import VideoAnnotations, read_cvat_xml
from agss_model.errors import MediaError
from agss_model.video import IMAGE_SUFFIXES, FrameSource, open_source
from training.annotations.videos import TaskFrames, TeamVideo, check_size

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv"})
XML = "annotations.xml"


def read_export(path: Path, media: Path | None = None) -> list[TeamVideo]:
    """Videos of an export.

    Args:
        path: the XML, the ZIP as it was downloaded, or the unpacked folder with `annotations.xml` in it.
        media: the video or the folder of images; by default what lies beside the XML: the file the export names, the
            folder `images`, or the only video.

    Raises:
        MediaError: the XML is damaged, or its video is missing, ambiguous, too short or of another size.
    """
    xml = path / XML if path.is_dir() else path
    videos = read_cvat_xml(xml)
    if media is not None and len(videos) > 1:
        raise MediaError(f"{xml} holds {len(videos)} tasks, but one video was given; put the videos beside the XML")
    return [_video(xml, annotations, media, len(videos)) for annotations in videos]


def _video(xml: Path, annotations: VideoAnnotations, media: Path | None, tasks: int) -> TeamVideo:
    place = media or _find_media(xml, annotations, tasks)
    opened = _opener(place, annotations)
    with opened() as frames:
        check_size(str(place), frames, annotations)
    return TeamVideo(
        name=annotations.name,
        origin=f"{xml} ({place})",
        truth=annotations,
        open=opened,
        labels={entry.id: entry.label for entry in annotations.objects},
    )


def _find_media(xml: Path, annotations: VideoAnnotations, tasks: int) -> Path:
    folder = xml.resolve().parent
    named = Path(annotations.source).name
    if named and (folder / named).is_file():
        return folder / named
    own = [folder / "images" / annotations.name] if Path(annotations.name).name == annotations.name else []
    for images in (*own, folder / "images"):
        if tasks == 1 and images.is_dir():
            return images
    beside = sorted(entry for entry in folder.iterdir() if entry.suffix.lower() in VIDEO_SUFFIXES)
    if len(beside) == 1 and tasks == 1:
        return beside[0]
    wanted = f"{named!r} or " if named else ""
    found = f"there are {', '.join(entry.name for entry in beside)}" if beside else "there is no video"
    raise MediaError(
        f"{xml}: the video of task {annotations.name!r} is not beside it ({wanted}a folder 'images' is expected, "
        f"{found}); put it there, or write {xml}::VIDEO"
    )


def _opener(place: Path, annotations: VideoAnnotations) -> Callable[[], FrameSource]:
    return partial(_open, place, annotations)


def _open(place: Path, annotations: VideoAnnotations) -> FrameSource:
    source = open_source(_image_root(place))
    start, step = annotations.start_frame, annotations.frame_step
    if place.is_dir() and len(source) == annotations.frame_count:
        start, step = 0, 1  # the task's own frames, not those of the video it was made from
    try:
        return TaskFrames(source, start=start, step=step, count=annotations.frame_count)
    except MediaError:
        source.close()
        raise


def _image_root(place: Path) -> Path:
    """CVAT puts the images of a task into folders below `images`; the one with images is taken."""
    if not place.is_dir():
        return place
    folders = [place, *sorted(entry for entry in place.rglob("*") if entry.is_dir())]
    holding = [f for f in folders if any(e.suffix.lower() in IMAGE_SUFFIXES for e in f.iterdir())]
    if len(holding) > 1:
        raise MediaError(
            f"{place} holds images in {len(holding)} folders; write XML::FOLDER with the one that is meant"
        )
    return holding[0] if holding else place
