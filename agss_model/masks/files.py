"""Label maps as image files."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from agss_model.errors import MaskError, MediaError
from agss_model.files import write_bytes
from agss_model.masks.doubts import ground_value, smoothed_values, void_border
from agss_model.masks.labels import LabelMap, validate_label_map
from agss_model.pictures import MAX_SIDE

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_LOSSLESS = ("PNG", "BMP", "TIFF", "GIF")
_KNOWN = (*_LOSSLESS, "JPEG", "WEBP")  # the last two are only named in the message; no other parser is tried
_WHITE, _HALF = 0xFFFFFF, 128
# Pillow stretches 2-bit and 4-bit grey to 0..255; these divisors give the stored sample back.
_GREY_STRETCH = {2: 85, 4: 17}


def by_number(number: int) -> str:
    """The name of a frame's mask, where frames have no names."""
    return f"{number:05d}"


def _davis_palette() -> npt.NDArray[np.uint8]:
    """The colour map that PASCAL VOC, DAVIS and YouTube-VOS share: the id's bits, dealt to red, green and blue."""
    ids = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= (((ids >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return palette


DAVIS_PALETTE: npt.NDArray[np.uint8] = _davis_palette()
DAVIS_PALETTE.setflags(write=False)


def read_label_map(path: str | os.PathLike[str]) -> LabelMap:
    """Read a mask image as a label map.

    The ids are: the palette index of an indexed image (1, 2, 4 or 8 bits); the sample of a grey image (1 to 16 bits,
    as stored, so a white pixel of an 8-bit image is id 255); for RGB(A), the index of the colour in `DAVIS_PALETTE`.
    RGB images of black and white only, and of grey values that the palette has not, are read as 8-bit grey. Whole
    numbers may be stored as 32-bit integers or floats. Where alpha is below half there is background. EXIF orientation
    is applied, as it is to frames.

    Args:
        path: a PNG, BMP, TIFF or GIF file (first image), sides up to 16384.

    Returns:
        (H, W) uint8; uint16 for 16-bit grey. It may hold no object at all.

    Raises:
        MediaError: the file is missing, is no image, is damaged or too large.
        MaskError: the file is lossy, uses a colour that is not in the palette.
    """
    from PIL import ImageOps

    path = Path(path)
    try:
        with _open_image(path) as image:
            label_map = _label_map_of(ImageOps.exif_transpose(image), path)
    except (OSError, SyntaxError, ValueError) as error:
        raise MediaError(f"mask {path} is damaged: {error}; export it again") from error
    return label_map


def read_drawn_map(path: str | os.PathLike[str], notes: list[str]) -> LabelMap:
    """Read a mask that a person or another program made: as `read_label_map` does, without a border that means void.

    Args:
        path: see `read_label_map`.
        notes: gets a sentence about what was left out.

    Raises:
        MediaError: as `read_label_map`.
        MaskError: as `read_label_map`, or its edges are smoothed.
    """
    label_map = read_label_map(path)
    if values := smoothed_values(label_map):
        raise MaskError(
            f"mask {path} has smoothed edges: {len(values)} values, such as {values[0]} and {values[-1]}, lie only "
            "between others. Save it without smoothing, or resize it by nearest neighbour; each value is an object"
        )
    if (border := void_border(label_map)) is not None:
        notes.append(f"255 in mask {path} is taken for a border around the objects, not for one of them.")
        label_map = np.where(border, 0, label_map).astype(label_map.dtype)
    if (ground := ground_value(label_map)) is not None:
        notes.append(
            f"object {ground} of mask {path} lies all around the others or the rest; if that is the background, save "
            "it as 0."
        )
    return label_map


def _open_image(path: Path) -> PillowImage:
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise MediaError(f"mask {path} does not exist or is not a file; check the path")
    try:
        image = Image.open(path, formats=_KNOWN)
    except UnidentifiedImageError as error:
        raise MediaError(f"mask {path} is not an image; save masks as indexed PNG") from error
    except Image.DecompressionBombError as error:
        raise MediaError(f"mask {path} is too large: {error}") from error
    if max(image.size) > MAX_SIDE:
        raise MediaError(f"mask {path} is {image.width}x{image.height} pixels; the longest side may be {MAX_SIDE}")
    if (count := getattr(image, "n_frames", 1)) > 1 and image.format in _LOSSLESS:
        raise MaskError(f"mask {path} holds {count} pictures; save each as a file of its own, named by frame number")
    if image.format not in _LOSSLESS:
        raise MaskError(f"mask {path} is {image.format}, which does not keep exact ids; save masks as indexed PNG")
    return image


def _label_map_of(image: PillowImage, path: Path) -> LabelMap:
    if image.mode in ("P", "L"):
        values = np.array(image, dtype=np.uint8)
        return values // np.uint8(_GREY_STRETCH.get(_png_grey_depth(path), 1)) if image.mode == "L" else values
    if image.mode == "1":
        return np.array(image).astype(np.uint8)
    if image.mode.startswith("I") or image.mode == "F":
        wide = np.array(image)
        if not (wide.min() >= 0 and wide.max() <= np.iinfo(np.uint16).max and (wide == np.trunc(wide)).all()):
            raise MaskError(f"mask {path} has values that are no whole numbers from 0 to 65535; save it as 16-bit PNG")
        return wide.astype(np.uint16)
    if image.mode in ("LA", "RGB", "RGBA", "PA"):
        rgba = np.array(image.convert("RGBA"))
        return _from_colours(rgba, path)
    raise MaskError(f"mask {path} has pixels of kind {image.mode}; save it as indexed PNG or as 8-bit or 16-bit grey")


def _png_grey_depth(path: Path) -> int:
    with path.open("rb") as file:
        header = file.read(25)
    return header[24] if header[:4] == b"\x89PNG" else 8


def _codes(colours: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    wide = colours.astype(np.int64)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def _from_colours(rgba: npt.NDArray[np.uint8], path: Path) -> LabelMap:
    codes = _codes(rgba)
    codes[rgba[..., 3] < _HALF] = 0  # soft brushes leave a seam that is hardly there
    used, inverse = np.unique(codes, return_inverse=True)
    if set(used.tolist()) <= {0, _WHITE}:
        ids = np.where(used == _WHITE, 255, 0)
    else:
        palette = _codes(DAVIS_PALETTE)
        order = np.argsort(palette)
        ids = order[np.searchsorted(palette[order], used).clip(max=255)]
        unknown = np.flatnonzero(palette[ids] != used)
        red, green, blue = (used >> 16, used >> 8 & 255, used & 255)
        if unknown.size and ((red == green) & (green == blue)).all():
            ids = blue  # grey, saved in colour
        elif unknown.size:
            code = int(used[unknown[0]])
            y, x = np.argwhere(codes == code)[0]
            raise MaskError(
                f"mask {path} has colour ({code >> 16}, {code >> 8 & 255}, {code & 255}) at x={x}, y={y}, which is not "
                "in the DAVIS palette; save the mask as indexed PNG, or as grey PNG whose values are the object ids"
            )
    labels: LabelMap = ids.astype(np.uint8)[inverse].reshape(codes.shape)
    return labels


def write_label_map(path: str | os.PathLike[str], label_map: LabelMap) -> None:
    """Write a label map as `encode_label_map` does. The file appears complete or not at all.

    Raises:
        MaskError: not a label map.
        OutputError: the file cannot be written.
    """
    write_bytes(Path(path), encode_label_map(label_map))


def encode_label_map(label_map: LabelMap, *, wide: bool = False) -> bytes:
    """A label map as PNG: indexed with `DAVIS_PALETTE` for ids up to 255, 16-bit grey above.

    `read_label_map` gives the same ids back.

    Args:
        label_map: (H, W) uint8 or uint16.
        wide: 16-bit grey in any case, so that all masks of a run are of one kind.

    Raises:
        MaskError: not a label map.
    """
    from PIL import Image

    validate_label_map(label_map)
    if label_map.max() <= 255 and not wide:
        image = Image.fromarray(np.ascontiguousarray(label_map, dtype=np.uint8))
        image.putpalette(DAVIS_PALETTE.tobytes())
    else:
        image = Image.fromarray(np.ascontiguousarray(label_map, dtype=np.uint16))
    buffer = io.BytesIO()
    # Level 1 is several times faster than the default and hardly larger on label maps.
    image.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
