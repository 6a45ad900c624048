"""What a picture file says of itself before anything of it is unpacked: the one look at pictures from outside.

A header of a few bytes can ask for gigabytes, and a JPEG of 260 kB for minutes: a progressive one is decoded once over
for each of its scans.
"""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass

from agss_model.errors import MediaError

MAX_SCANS = 100
"""Scans taken of one JPEG; encoders write one or about ten, and a separate one for each detail is fifty."""
_SEGMENT = re.compile(rb"\xff([\x02-\xcf\xda-\xfe])")  # markers with a length; between them lie coded pixels
_SCAN = 0xDA


class HugePictureError(MediaError):
    """More pixels than any picture that is taken."""


@dataclass(frozen=True)
class PictureHeader:
    """What a file says.

    Attributes:
        size: (width, height) in pixels, as stored.
        pictures: in the file, above 1 for an animation; a JPEG with a preview has one.
    """

    size: tuple[int, int]
    pictures: int


def read_header(data: bytes, what: str, formats: tuple[str, ...]) -> PictureHeader:
    """Read the header of a picture file and refuse what would take too long to decode.

    Args:
        data: the file.
        what: the picture is called this in messages.
        formats: Pillow's names of those that are taken.

    Raises:
        HugePictureError: hundreds of millions of pixels.
        MediaError: none of the formats, damaged, or a JPEG of more than `MAX_SCANS` scans.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's own, lower limit of pixels
            with Image.open(io.BytesIO(data), formats=formats) as image:
                jpeg = image.format in ("JPEG", "MPO")
                header = PictureHeader(image.size, 1 if jpeg else getattr(image, "n_frames", 1))
    except Image.DecompressionBombError as error:
        raise HugePictureError(f"{what} is too large: {error}") from error
    except Exception as error:  # Pillow's parsers raise nearly anything for hostile headers
        raise MediaError(f"{what} is not an image or is damaged; export it again as PNG or JPEG") from error
    if jpeg and jpeg_scans(data) > MAX_SCANS:
        raise MediaError(f"{what} has more than {MAX_SCANS} scans to decode; export it again as baseline JPEG")
    return header


def jpeg_scans(data: bytes) -> int:
    """Scans of a JPEG, counted up to one more than `MAX_SCANS`; what looks like one inside of a segment is none."""
    scans, place = 0, 0
    while scans <= MAX_SCANS and (marker := _SEGMENT.search(data, place)):
        scans += marker[1][0] == _SCAN
        length = int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        place = marker.end() + max(2, length)
    return scans
