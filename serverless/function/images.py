"""From the base64 text of a request to pixels: length, format and size are known before anything is unpacked.

JPEG, PNG and WebP with one picture. Grey and palette pictures become RGB, alpha is dropped, 16 bits become 8. The EXIF
orientation is applied, because shapes are drawn on the picture as it is shown.
"""

from __future__ import annotations

import base64
import binascii

import numpy as np
import numpy.typing as npt

from agss_model.pictures import HugePictureError, read_header
from agss_model.video.images import decode_image
from serverless.function.contract import MAX_PIXELS, MAX_SIDE, TooLargeError, UnusableError

FORMATS = ("JPEG", "PNG", "WEBP")


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
