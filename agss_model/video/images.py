"""Folders of images as frame sources.

Whatever the file holds (grey, palette, alpha, 16 bits), a frame is 8-bit RGB: alpha is dropped, 16-bit values are
scaled so that 65535 becomes 255 (in a clip of 10, 12 or 14 bits the largest value of these), and EXIF orientation is
applied, since that is how viewers and CVAT show the image.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from agss_model.errors import MediaError
from agss_model.files import refuse_pipe
from agss_model.pictures import TIFF, PictureHeader, read_header
from agss_model.video.depth import depth_note, real_bits, to_eight_bits
from agss_model.video.source import Image, IndexedFrames, check_same_size, check_side
from agss_model.video.stacks import pages_of
from agss_model.words import listing

_FORMATS = ("JPEG", "PNG", "BMP", "DIB", "TIFF", "WEBP")
_WIDE = frozenset({".png", ".tif", ".tiff"})  # can have 16 bits
_LARGEST = 1 << 30  # bytes of a file; sides up to 16384 with 16 bits come to 1.6 GB without any compression
_LOOKED_AT = 16  # images from which the range of 16-bit values is learnt
_ORIENTATION, _EIGHT_BITS = 0x0112, ("1", "L", "P", "RGB")
_OTHERS = re.compile(r"\.(avif|dng|dpx|exr|gif|heic|heif|jp2|jxl|p[bgpn]m|psd|tga)", re.IGNORECASE)
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


class ImageFrames(IndexedFrames):
    """Image files, one per frame."""

    def __init__(self, paths: Sequence[Path], *, name: str, fps: float = 25.0) -> None:
        """Open the first image to learn the size.

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
        self._bits = self._real_bits()
        self.notes = tuple(filter(None, [depth_note(self._bits)]))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.paths)

    def read(self, index: int) -> Image:
        """See `FrameSource.read`."""
        path = self.paths[self._check(index)]
        image = read_image(path, self._bits)
        check_same_size((image.shape[1], image.shape[0]), self.size, f"frame {index} ({path.name})")
        return image

    def _real_bits(self) -> int:
        """Bits in use: learnt from some images for values of 16 bits, else 16."""
        some = self.paths[:: max(1, len(self.paths) // _LOOKED_AT)]
        if self.paths[0].suffix.lower() not in _WIDE:
            return 16
        return real_bits(picture for path in some if (picture := _stored(path)) is not None)


def image_folder(folder: Path) -> ImageFrames:
    """The images of a folder, in natural order of their names (frame_2 before frame_10); hidden files are left out.

    Raises:
        MediaError: no images, or two whose names differ only in the suffix.
    """
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise MediaError(f"cannot read folder {folder}: {error.strerror}") from error
    entries = [path for path in entries if path.name[0] != "."]
    paths = [path for path in entries if path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir()]
    if not paths:
        known, inner = " ".join(sorted(IMAGE_SUFFIXES)), sorted(path.name for path in entries if path.is_dir())
        among = f" (one of {listing(inner)} in it?)" if inner else ""
        raise MediaError(f"folder {folder} holds no images ({known}); give a folder of frames{among} or a video file")
    paths.sort(key=lambda path: (natural_order(path.stem), path.name))
    by_stem: dict[str, Path] = {}
    for path in paths:
        other = by_stem.setdefault(path.stem, path)
        if other is not path:
            raise MediaError(f"{other} and {path.name} are two images for one frame; remove one of them")
    images = ImageFrames(paths, name=folder.resolve().name)
    if others := sorted(path.name for path in entries if _OTHERS.fullmatch(path.suffix)):
        images.notes += (f"{listing(others)} in {folder} cannot be read and are no frames; convert them to PNG.",)
    return images


def read_image(path: Path, bits: int = 16) -> Image:
    """Read an image file as (H, W, 3) uint8 RGB (rules: see the module).

    Args:
        path: the file.
        bits: of the values in a file of 16 bits.

    Raises:
        MediaError: missing, not an image, several in one file, damaged, too large, or of floating point.
    """
    image = decode_image(_content(path), f"image {path}", bits)
    if (count := len(pages_of(path))) > 1:
        raise MediaError(f"image {path} holds {count} pictures; give it alone as the source, or split it into files")
    return image


def _stored(path: Path) -> npt.NDArray[Any] | None:
    """Pixels as they are in a file; None where that is none, which whoever needs it will say."""
    with contextlib.suppress(MediaError, cv2.error):
        data = _content(path)
        _checked(data, f"image {path}")
        return _pixels(data)
    return None


def _checked(data: bytes, what: str) -> PictureHeader:
    header = read_header(data, what, _FORMATS)
    check_side(header.size, what)  # OpenCV would first make room for all pixels
    return header


def _pixels(data: bytes) -> npt.NDArray[Any] | None:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if data else None


def _content(path: Path) -> bytes:
    refuse_pipe(path)
    try:
        if (size := path.stat().st_size) > _LARGEST:
            raise MediaError(f"image {path} has {size >> 20} MiB; at most {_LARGEST >> 20} MiB are read")
        return path.read_bytes()
    except OSError as error:
        raise MediaError(f"cannot read image {path}: {error.strerror or error}; put it there, or remove it") from error


def decode_image(data: bytes, what: str, bits: int = 16) -> Image:
    """Decode an image file held in memory, as `read_image` does.

    Args:
        data: the file.
        what: names it in errors.
        bits: of the values in a file of 16 bits.

    Raises:
        MediaError: not an image, damaged, too large, or of floating point.
    """
    if _checked(data, what).veiled:
        return _by_pillow(data, what)
    try:
        image = _pixels(data)
    except cv2.error as error:
        raise MediaError(f"{what} cannot be decoded ({error.err}); export it again, sides up to 16384") from error
    if image is None and data:  # pixels that have no colour form, such as those of floating point
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
        image = None if image is None or image.dtype in (np.uint8, np.uint16) else image
    if image is None and data[:4] in TIFF:  # OpenCV does not read tiles without compression
        return _by_pillow(data, what)
    if image is None:
        raise MediaError(f"{what} is not an image or is damaged; export it again as PNG or JPEG")
    if image.dtype == np.uint16:
        image = to_eight_bits(image, bits)
    if image.dtype != np.uint8:
        raise MediaError(f"{what} has {image.dtype} pixels; convert it to 8 or 16 bits per channel")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _by_pillow(data: bytes, what: str) -> Image:
    from PIL import Image as pillow
    from PIL import ImageOps

    try:
        with pillow.open(io.BytesIO(data), formats=("TIFF",)) as image:
            if image.mode in (*_EIGHT_BITS, "LA", "RGBA", "CMYK"):
                upright = ImageOps.exif_transpose(image) or image
                return np.asarray(upright.convert("RGB"), dtype=np.uint8)
    except Exception as error:  # Pillow's parsers raise nearly anything for damaged files
        raise MediaError(f"{what} is damaged ({error}); export it again as PNG or JPEG") from error
    raise MediaError(f"{what} has pixels of kind {image.mode}; convert it to 8 or 16 bits per channel")


def encode_picture(image: Image, suffix: str = ".jpg", quality: int = 95) -> bytes:
    """A picture as the content of a file.

    Args:
        image: (H, W, 3) uint8 RGB.
        suffix: ".jpg" or ".png".
        quality: of a JPEG.

    Raises:
        MediaError: it cannot be encoded, such as a side above 65535 pixels.
    """
    done, data = cv2.imencode(suffix, image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise MediaError(f"a picture of {image.shape[1]}x{image.shape[0]} pixels cannot be written as {suffix}")
    return data.tobytes()


def shown_as_stored(path: Path) -> bool:
    """Whether any program shows a file as `read_image` does: JPEG or PNG of 8 bits, upright, of one picture.

    Raises:
        MediaError: it cannot be read.
    """
    from PIL import Image as pillow

    if path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        return False
    try:
        with pillow.open(path) as image:
            upright = image.getexif().get(_ORIENTATION, 1) in (0, 1)
            return upright and image.format in ("JPEG", "PNG") and image.mode in _EIGHT_BITS
    except (OSError, ValueError, SyntaxError) as error:
        raise MediaError(f"image {path} is damaged ({error}); export it again as PNG or JPEG") from error


def natural_order(name: str) -> tuple[tuple[int, str], ...]:
    """What to sort names by, so that frame_2 comes before frame_10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((int(part), "") if part[0] in "0123456789" else (-1, part) for part in parts)
