"""Frame sources with exact frame numbers, and a video writer (PyAV, OpenCV)."""

from __future__ import annotations

import os
from pathlib import Path

from agss_model.errors import MediaError
from agss_model.video.images import IMAGE_SUFFIXES, ImageFrames, image_folder
from agss_model.video.prefetch import prefetch
from agss_model.video.source import MAX_SIDE, FrameSource, Image
from agss_model.video.videofile import VideoFile
from agss_model.video.writer import VideoWriter

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_SIDE",
    "FrameSource",
    "Image",
    "ImageFrames",
    "VideoFile",
    "VideoWriter",
    "image_folder",
    "open_source",
    "prefetch",
]


def open_source(path: str | os.PathLike[str], *, partial: bool = False) -> FrameSource:
    """Opens a video file, a folder of images (in natural order of their names) or a single image.

    Args:
        path: the file or folder.
        partial: accept a truncated or damaged video, with the frames that can be decoded.

    Raises:
        MediaError: nothing there, no video, no frames, truncated or damaged.
    """
    path = Path(path)
    if path.is_dir():
        return image_folder(path)
    if not path.exists():
        raise MediaError(f"{path} does not exist; give a video file or a folder of images")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageFrames([path], name=path.stem)
    return VideoFile(path, partial=partial)
