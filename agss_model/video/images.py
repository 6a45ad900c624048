"""Folders of images as frame sources.

Whatever the file holds (grey, palette, alpha, 16 bits), a frame is 8-bit RGB: alpha is dropped, 16-bit values are
scaled so that 65535 becomes 255, and EXIF orientation is applied, since that is how viewers and CVAT show the image.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from agss_model.errors import MediaError
from agss_model.pictures import read_header
from agss_model.video.source import Image, IndexedFrames, check_same_size, check_side

_FORMATS = ("JPEG", "PNG", "BMP", "DIB", "TIFF", "WEBP")
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


class ImageFrames(IndexedFrames):
    """Image files, one per frame."""

    def __init__(self, paths: Sequence[Path], *, name: str, fps: float = 25.0) -> None:
        """Opens the first image to learn the size.

        Args:
            paths: one file per frame, in order.
            name: what to call the clip.
            fps: images carry no time, so this is a convention, used for videos made from them.

        Raises:
            MediaError: no paths, or the first image cannot be read.
        """
        if not paths:
            raise MediaError(f"{name} has no frames; give at least one image")
        self.paths = tuple(paths)
        self.name = name
        self.fps = fps
        height, width = read_image(self.paths[0]).shape[:2]
        self.size = (width, height)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.paths)

    def read(self, index: int) -> Image:
        """See `FrameSource.read`."""
        path = self.paths[self._check(index)]
        image = read_image(path)
        check_same_size((image.shape[1], image.shape[0]), self.size, f"frame {index} ({path.name})")
        return image


def image_folder(folder: Path) -> ImageFrames:
    """The images of a folder, in natural order of their names (frame_2 before frame_10); hidden files are left out.

    Raises:
        MediaError: no images, or two whose names differ only in the suffix.
    """
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise MediaError(f"cannot read folder {folder}: {error.strerror}") from error
    paths = [path for path in entries if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "."]
    if not paths:
        known = " ".join(sorted(IMAGE_SUFFIXES))
        raise MediaError(f"folder {folder} holds no images ({known}); give a folder of frames or a video file")
    paths.sort(key=lambda path: (natural_order(path.stem), path.name))
    by_stem: dict[str, Path] = {}
    for path in paths:
        other = by_stem.setdefault(path.stem, path)
        if other is not path:
            raise MediaError(f"{other} and {path.name} are two images for one frame; remove one of them")
    return ImageFrames(paths, name=folder.resolve().name)


def read_image(path: Path) -> Image:
    """Reads an image file as (H, W, 3) uint8 RGB (rules: see the module).

    Raises:
        MediaError: missing, not an image, damaged, too large, or of floating point.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise MediaError(f"cannot read image {path}: {error.strerror or error}") from error
    return decode_image(data.tobytes(), f"image {path}")


def decode_image(data: bytes, what: str) -> Image:
    """Decodes an image file held in memory, as `read_image` does.

    Args:
        data: the file.
        what: names it in errors.

    Raises:
        MediaError: not an image, damaged, too large, or of floating point.
    """
    check_side(read_header(data, what, _FORMATS).size, what)  # OpenCV would first make room for all pixels
    try:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags) if data else None
    except cv2.error as error:
        raise MediaError(f"{what} cannot be decoded ({error.err}); export it again, sides up to 16384") from error
    if image is None:
        raise MediaError(f"{what} is not an image or is damaged; export it again as PNG or JPEG")
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if image.dtype != np.uint8:
        raise MediaError(f"{what} has {image.dtype} pixels; convert it to 8 or 16 bits per channel")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def natural_order(name: str) -> tuple[tuple[int, str], ...]:
    """What to sort names by, so that frame_2 comes before frame_10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((int(part), "") if part[0] in "0123456789" else (-1, part) for part in parts)
