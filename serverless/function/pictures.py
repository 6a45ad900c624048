"""Frames at the working size as small files: what a state carries of a frame, and what the network sees of it.

A frame is encoded once, when it arrives, and from then on only the encoded form counts, for the frame itself too. So
tracking goes on from a state exactly as it would have without the interruption.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agss_model.frames import resized
from serverless.function.images import decode_picture

QUALITIES = {80: 1.0, 65: 0.75, 50: 0.6, 35: 0.47, 20: 0.32, 5: 0.17}
"""Of WebP, best first, each with its bytes relative to the first (ten frames of DAVIS at 640x352 and 960x528)."""


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
        pixels = decode_picture(self.data, "A picture in the state", max_side=MAX_WORKING_SIDE)
        return resized(pixels, size)


MAX_WORKING_SIDE = 2048
"""Longest side, in pixels, of a picture in a state; networks work at less."""


def picture_budget(objects: int) -> int:
    """Bytes a picture may have when so many objects share a frame.

    States may take 80 kB an object and 1 MB a scene. Every object carries two pictures, a scene nine more
    (`serverless.function.scenes.COPIES`); base64 takes four bytes for three, masks are allowed 16 kB an object.
    """
    return int(0.75 * (64_000 * objects + 1_000_000) / (2 * objects + 9))


def encode(pixels: npt.NDArray[np.uint8], budget: int) -> Picture:
    """Write (h, w, 3) uint8 RGB as WebP of the best quality within `budget` bytes, or of the least if none is."""
    allowed = list(QUALITIES)
    quality = allowed[0]
    while True:
        data = _webp(pixels, quality)
        smaller = [q for q in allowed if q < quality]
        if len(data) <= budget or not smaller:
            return Picture.of(data)
        expected = {q: len(data) * QUALITIES[q] / QUALITIES[quality] for q in smaller}
        quality = next((q for q in smaller if expected[q] <= budget), smaller[-1])


def _webp(pixels: npt.NDArray[np.uint8], quality: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    # Method 2 takes half the time of the default 4, for files a twentieth larger.
    Image.fromarray(pixels).save(file, "WEBP", quality=quality, method=2)
    return file.getvalue()
