"""What a picture file says of itself before anything of it is unpacked: the one look at pictures from outside.

A header of a few bytes can ask for gigabytes, and a JPEG of 260 kB for minutes: a progressive one is decoded once over
for each of its scans.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from agss_model.errors import MediaError

MAX_SIDE = 16384
"""Longest side, in pixels, of frames and masks."""
MAX_SCANS = 100
"""Scans taken of one JPEG; encoders write one or about ten, and a separate one for each detail is fifty."""
MAX_PIECES = 100_000
"""Segments taken of one JPEG, and chunks of one PNG; encoders write a few hundred, and ten thousand of huge PNG."""
MAX_PAGES = 10_000
"""Pages taken of one TIFF."""
MAX_SHOWN = 100_000
"""Pictures taken of one animation, whose header can promise billions."""
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How a TIFF begins."""
_BITS, _ALPHA = 258, ("LA", "RGBA")
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])")  # of the end, or with a length; between them lie coded pixels
_END, _SCAN = 0xD9, 0xDA
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_SAMPLE_FORMAT, _FLOATING = 339, 3
_TIFF_COMPRESSION, _TIFF_JPEG = 259, (6, 7)
_TIFF_PIECES = ((273, 279), (324, 325))  # offsets and lengths of strips, and of tiles


class HugePictureError(MediaError):
    """More pixels than any picture that is taken."""


@dataclass(frozen=True)
class PictureHeader:
    """What a file says.

    Attributes:
        size: (width, height) in pixels, as stored.
        pictures: in the file, above 1 for an animation; a JPEG with a preview has one.
        veiled: see `veiled`.
    """

    size: tuple[int, int]
    pictures: int
    veiled: bool = False


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

    _check_pieces(data, what)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's own, lower limit of pixels
            with Image.open(io.BytesIO(data), formats=formats) as image:
                jpeg = image.format in ("JPEG", "MPO")
                count = 1 if jpeg else pictures_in(image, what)
                header = PictureHeader(image.size, count, veiled(image))
                scans = jpeg_scans(data) if jpeg else tiff_scans(image, lambda at, size: data[at : at + size])
    except MediaError:
        raise
    except Image.DecompressionBombError as error:
        raise HugePictureError(f"{what} is too large: {error}") from error
    except Exception as error:  # Pillow's parsers raise nearly anything for hostile headers
        if data[:4] in TIFF:
            raise MediaError(f"{what} {_why_no_tiff(data)}; export it again as PNG or JPEG") from error
        raise MediaError(f"{what} is not an image or is damaged; export it again as PNG or JPEG") from error
    check_scans(scans, what)
    return header


def _why_no_tiff(data: bytes) -> str:
    """What the first page says of a TIFF that Pillow does not open."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    file = io.BytesIO(data)
    try:
        page = ImageFileDirectory_v2(file.read(16 if b"+" in data[2:4] else 8))  # of BigTIFF, or not
        file.seek(page.next)
        page.load(file)
        floating = _FLOATING in page.get(_SAMPLE_FORMAT, ())
    except Exception:  # as in `read_header`
        floating = False
    return "holds floating-point numbers" if floating else "is a TIFF of a kind that is not read, or is damaged"


def _check_pieces(data: bytes, what: str) -> None:
    """Refuse a JPEG or PNG of hundreds of thousands of pieces, which Pillow takes one by one.

    Raises:
        MediaError: more than `MAX_PIECES`.
    """
    pieces = 0
    if data[:2] == _JPEG:
        pieces = sum(1 for _ in islice(_segments(data), MAX_PIECES + 1))
    elif data[:8] == _PNG:
        place = len(_PNG)
        while place < len(data) and pieces <= MAX_PIECES:
            place += 12 + int.from_bytes(data[place : place + 4], "big")
            pieces += 1
    if pieces > MAX_PIECES:
        raise MediaError(f"{what} is in more than {MAX_PIECES} pieces; export it again as PNG or JPEG")


def pictures_in(image: Any, what: str) -> int:  # noqa: ANN401 - not every image of Pillow can tell
    """Number of pictures in an opened file.

    Raises:
        MediaError: a TIFF of more than `MAX_PAGES`, each of which Pillow compares with all before it, or an animation
            of more than `MAX_SHOWN`.
    """
    if image.format != "TIFF":
        if (count := int(getattr(image, "n_frames", 1))) > MAX_SHOWN:
            raise MediaError(f"{what} says that it has {count} pictures; at most {MAX_SHOWN} are shown")
        return count
    count = 1
    with contextlib.suppress(EOFError):
        while count <= MAX_PAGES:  # one by one: Pillow takes a leap beyond the last for their number
            image.seek(count)
            count += 1
        raise MediaError(f"{what} has more than {MAX_PAGES} pages; save its pictures as separate files")
    image.seek(0)
    return count


def check_scans(scans: int, what: str) -> None:
    """Refuse a JPEG that would take minutes.

    Raises:
        MediaError: more than `MAX_SCANS`.
    """
    if scans > MAX_SCANS:
        raise MediaError(f"{what} has more than {MAX_SCANS} scans to decode; export it again as baseline JPEG")


def jpeg_scans(data: bytes) -> int:
    """Scans of a JPEG, counted up to one more than `MAX_SCANS`; what looks like one inside of a segment is none."""
    return sum(1 for _ in islice((kind for kind in _segments(data) if kind == _SCAN), MAX_SCANS + 1))


def _segments(data: bytes) -> Iterator[int]:
    """Kinds of the segments of a JPEG, up to its end."""
    place = 0
    while (marker := _MARKER.search(data, place)) and marker[1][0] != _END:
        yield marker[1][0]
        length = int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        place = marker.end() + max(2, length)


def veiled(image: Any) -> bool:  # noqa: ANN401 - Pillow's images have no tags
    """Whether the page of a TIFF has alpha by which OpenCV would darken its pixels.

    Args:
        image: of Pillow, at the page.
    """
    bits = getattr(image, "tag_v2", {}).get(_BITS, ())
    return image.mode in _ALPHA and bits[:1] == (8,)


def tiff_scans(image: Any, read: Callable[[int, int], bytes]) -> int:  # noqa: ANN401 - Pillow's images have no tags
    """Most scans of the JPEGs that the present page of a TIFF is made of; 0 where it, or the picture, is none.

    Args:
        image: of Pillow, at the page.
        read: gives bytes of the file from an offset on.
    """
    tags = getattr(image, "tag_v2", {})
    if tags.get(_TIFF_COMPRESSION) not in _TIFF_JPEG:
        return 0
    pieces = [piece for one, two in _TIFF_PIECES for piece in zip(tags.get(one, ()), tags.get(two, ()), strict=False)]
    return max((jpeg_scans(read(int(at), int(size))) for at, size in pieces), default=0)
