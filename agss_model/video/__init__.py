"""Frame sources with exact frame numbers, and a video writer (PyAV, OpenCV).

Video files, folders of images and stacks come in, frames by number go out, and back into a file. May import no other
room.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from agss_model.errors import MediaError
from agss_model.files import refuse_pipe
from agss_model.pictures import MAX_SIDE
from agss_model.video.images import IMAGE_SUFFIXES, ImageFrames, image_folder
from agss_model.video.source import FrameSource, Image, IndexedFrames, prefetch
from agss_model.video.stacks import ImageStack, may_hold_several, pages_of
from agss_model.video.videofile import DamagedError, VideoFile
from agss_model.video.writer import VideoWriter

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # two letters and more: a single one is a drive

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_SIDE",
    "DamagedError",
    "FrameSource",
    "Image",
    "ImageFrames",
    "ImageStack",
    "VideoFile",
    "VideoWriter",
    "image_folder",
    "open_source",
    "prefetch",
]


def open_source(path: str | os.PathLike[str], *, partial: bool = False) -> IndexedFrames:
    """Open a video file, a folder of images (in natural order of their names), a stack of images or a single one.

    Args:
        path: the file or folder.
        partial: accept a truncated or damaged video, with the frames that can be decoded.

    Raises:
        MediaError: nothing there, no video, no frames, truncated or damaged.
    """
    path = Path(path)
    if (scheme := _ADDRESS.match(str(path))) and not path.exists():
        address = f"{scheme[0]}/{str(path)[scheme.end() :]}"  # a path has lost one of its two slashes
        raise MediaError(f"{address} is an address and not a file; download it, and give the file")
    if path.is_dir():
        return image_folder(path)
    if not path.exists():
        raise MediaError(f"{path} does not exist; give a video file or a folder of images")
    refuse_pipe(path)
    if path.suffix.lower() in IMAGE_SUFFIXES or may_hold_several(path):
        pages = pages_of(path)
        return ImageStack(path, pages) if len(pages) > 1 else ImageFrames([path], name=path.stem)
    return VideoFile(path, partial=partial)
