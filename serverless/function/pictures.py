"""Pictures: from the base64 text of a request to pixels, and frames as files in states.

Of what comes, length, format and size are known before anything is unpacked: JPEG, PNG and WebP with one picture. Grey
and palette pictures become RGB, alpha is dropped, 16 bits become 8. The EXIF orientation is applied, because shapes are
drawn on the picture as it is shown.

A frame is encoded once, at the working size, when it arrives, and from then on only the encoded form counts, for the
frame itself too. So tracking goes on from a state exactly as it would have without the interruption. The form loses
nothing: what the network makes of people who cross each other can turn on the last bits of a picture
(docs/benchmarks.md).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from agss_model.pictures import HugePictureError, read_header
from agss_model.tracking.frames import resized
from agss_model.video.images import decode_image
from serverless.function.contract import MAX_PIXELS, MAX_SIDE, TooLargeError, UnusableError

Frame = npt.NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP")
QUALITIES = {95: 2.2, 80: 1.0, 65: 0.75, 50: 0.6, 35: 0.47, 20: 0.32, 5: 0.17}
"""Qualities of lossy WebP, best first, with their bytes relative to 80 (frames of DAVIS at 640x352 and 960x528)."""
TRUE_BYTES = 640_000
"""Most that a frame may take; one with more noise than any camera's loses a little of it."""
FAINT_BYTES, FAINT_QUALITY = 24_000, 35
"""Most that a faint copy takes, and where to begin: frames of 640x352 fit at once."""
MAX_WORKING_SIDE = 2048
"""Longest side, in pixels, of a picture in a state; networks work at less."""


@dataclass(frozen=True)
class Picture:
    """A frame at the working size.

    Attributes:
        data: a WebP file.
        digest: first half of its SHA-256 in hexadecimal: the same digest is the same frame.
    """

    data: bytes
    digest: str

    @classmethod
    def of(cls, data: bytes) -> Picture:
        """The picture in a file."""
        return cls(data, hashlib.sha256(data).hexdigest()[:32])

    def pixels(self, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """(h, w, 3) uint8 RGB, brought to `size` (height, width) if it has another.

        Raises:
            RequestError: the file is not a picture, or larger than any of ours.
            MediaError: it is damaged.
        """
        return resized(self._decoded(), size)

    def faint(self) -> Picture:
        """The same in few bytes.

        Raises:
            RequestError: as `pixels`.
            MediaError: as `pixels`.
        """
        return Picture.of(_lossy(self._decoded(), FAINT_BYTES, FAINT_QUALITY))

    def _decoded(self) -> Frame:
        return decode_picture(self.data, "A picture in the state", max_side=MAX_WORKING_SIDE)


def encode(frame: Frame, working: tuple[int, int]) -> Picture:
    """What the network sees of a frame, without loss unless that takes more than `TRUE_BYTES`.

    Args:
        frame: (H, W, 3) uint8 RGB.
        working: (height, width) at which the network sees it; a smaller frame is enlarged only when it is looked at.
    """
    enlarged = frame.shape[0] <= working[0] and frame.shape[1] <= working[1]
    pixels = frame if enlarged else resized(frame, working)
    # Methods above 0 save 5 to 10 % of the bytes for three to four times the time.
    data = _webp(pixels, lossless=True, quality=20, method=0)
    return Picture.of(data if len(data) <= TRUE_BYTES else _lossy(pixels, TRUE_BYTES))


def _lossy(pixels: Frame, budget: int, best: int = max(QUALITIES)) -> bytes:
    """WebP of the best quality within so many bytes, or of the least if none is; none above `best` is tried."""
    quality, *smaller = (quality for quality in QUALITIES if quality <= best)
    while True:
        # Method 2 takes half the time of the default 4, for files a twentieth larger.
        data = _webp(pixels, quality=quality, method=2)
        if len(data) <= budget or not smaller:
            return data
        expected = {q: len(data) * QUALITIES[q] / QUALITIES[quality] for q in smaller}
        quality = next((q for q in smaller if expected[q] <= budget), smaller[-1])
        smaller = [q for q in smaller if q < quality]


def _webp(pixels: Frame, **options: Any) -> bytes:  # noqa: ANN401 - of Pillow's
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", **options)
    return file.getvalue()


def decode_base64(text: str, what: str) -> bytes:
    """Bytes of a base64 text.

    Raises:
        UnusableError: characters that base64 does not have, or a length it cannot have.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UnusableError(f"{what} is not base64; send the bytes of the file in base64, without breaks.") from None


def decode_picture(data: bytes, what: str, max_side: int = MAX_SIDE) -> npt.NDArray[np.uint8]:
    """Pixels of a picture file, (H, W, 3) uint8 RGB.

    Args:
        data: the file.
        what: the picture is called this in messages.
        max_side: longest side accepted, in pixels.

    Raises:
        UnusableError: animated.
        TooLargeError: a side is above `max_side`, or it has more than `MAX_PIXELS`.
        MediaError: not JPEG, PNG or WebP, damaged or cut short, or a JPEG that would take minutes.
    """
    _check_header(data, what, max_side)
    return decode_image(data, what)


def _check_header(data: bytes, what: str, max_side: int) -> None:
    try:
        header = read_header(data, what, FORMATS)
    except HugePictureError:
        raise TooLargeError(f"{what} has more pixels than a picture with sides of {max_side}.") from None
    width, height = header.size
    if header.pictures > 1:
        raise UnusableError(f"{what} is animated; send one picture.")
    if max(width, height) > max_side:
        raise TooLargeError(f"{what} is {width}x{height} pixels; sides of up to {max_side} are taken.")
    if width * height > MAX_PIXELS:
        raise TooLargeError(f"{what} has {width * height} pixels; up to {MAX_PIXELS} are taken.")
