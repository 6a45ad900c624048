"""From the base64 text of a request to pixels: length, format and size are known before anything is unpacked.

JPEG, PNG and WebP with one picture. Grey and palette pictures become RGB, alpha is dropped, 16 bits become 8. The EXIF
orientation is applied, because shapes are drawn on the picture as it is shown.
"""

from __future__ import annotations

import base64
import binascii
import io
import warnings

import numpy as np
import numpy.typing as npt

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
        UnusableError: not JPEG, PNG or WebP, or animated.
        TooLargeError: a side is above `max_side`, or it has more than `MAX_PIXELS`.
        MediaError: damaged or cut short.
    """
    _check_header(data, what, max_side)
    return decode_image(data, what)


def _check_header(data: bytes, what: str, max_side: int) -> None:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's own, lower limit of pixels; ours comes next
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                pictures = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # MPO: a JPEG with a preview
                width, height = image.size
    except Image.DecompressionBombError:
        raise TooLargeError(f"{what} has more pixels than a picture with sides of {max_side}.") from None
    except Exception as error:  # Pillow's parsers raise nearly anything for hostile headers
        raise UnusableError(f"{what} is not a JPEG, PNG or WebP file; send one of these.") from error
    if pictures > 1:
        raise UnusableError(f"{what} is animated; send one picture.")
    if max(width, height) > max_side:
        raise TooLargeError(f"{what} is {width}x{height} pixels; sides of up to {max_side} are taken.")
    if width * height > MAX_PIXELS:
        raise TooLargeError(f"{what} has {width * height} pixels; up to {MAX_PIXELS} are taken.")
