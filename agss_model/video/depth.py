"""Pixels of more than eight bits as pixels of eight."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

BITS = (8, 10, 12, 14, 16)
"""Ranges that cameras write into files of 16 bits."""


def real_bits(samples: Iterable[npt.NDArray[Any]]) -> int:
    """Bits in which all values fit, of `BITS`; 16 where there is nothing but black, or other than 16-bit pixels.

    Args:
        samples: pictures of a clip, of any shape.
    """
    top = 0
    for sample in samples:
        if sample.dtype != np.uint16:
            return 16
        top = max(top, int(sample.max(initial=0)))
    return next(bits for bits in BITS if top < 1 << bits) if top else 16


def to_eight_bits(picture: npt.NDArray[Any], bits: int) -> npt.NDArray[np.uint8]:
    """Scale so that the largest value of `bits` bits becomes 255; values above it do as well.

    Args:
        picture: uint16 of any shape.
        bits: of the values.
    """
    top = (1 << bits) - 1
    scaled = (np.minimum(picture, top).astype(np.uint32) * 255 + top // 2) // top
    return np.asarray(scaled, dtype=np.uint8)


def depth_note(bits: int) -> str | None:
    """What a user should know of the range that was taken; None where there is nothing to say."""
    if bits == 16:
        return None
    return f"frames hold values of {bits} bits in files of 16; they are scaled by {(1 << bits) - 1}, not by 65535."
