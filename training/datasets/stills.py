"""Photographs with masks, from tar shards, held in memory as uint8 tensors of one size."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from agss_model.errors import MediaError

IGNORE = 255
PART_SETS = frozenset({"ccp"})  # ids are parts of one object; their union is the object


@dataclass(frozen=True)
class Instance:
    """One object in one still.

    Attributes:
        still: position in the pool.
        ids: values of the still's mask that make up the object.
        box: left, top, right, bottom in pixels of the pool, right and bottom excluded.
        area: pixels.
    """

    still: int
    ids: tuple[int, ...]
    box: tuple[int, int, int, int]
    area: int


@dataclass
class StillPool:
    """All stills of some shards.

    Pictures keep their proportions; the rest of the square is their mirror image, so that a camera that looks over
    the edge sees something plausible.

    Attributes:
        images: (S, 3, size, size) uint8 RGB.
        masks: (S, size, size) uint8, 0 background, 255 ignore.
        extents: width and height of each still inside its square.
        names: set and name of each still.
        instances: every object that is large enough to be cut out.
        by_still: positions in `instances` for each still.
        skipped: why stills were left out, with how many.
    """

    images: Tensor
    masks: Tensor
    extents: list[tuple[int, int]]
    names: list[str]
    instances: list[Instance]
    by_still: dict[int, list[int]]
    skipped: dict[str, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Side of the squares, pixels."""
        return int(self.images.shape[-1])

    def subset(self, stills: range) -> StillPool:
        """A pool of some of the stills; the pictures are shared, not copied."""
        part = slice(stills.start, stills.stop)
        instances = [replace(i, still=i.still - stills.start) for i in self.instances if i.still in stills]
        by_still: dict[int, list[int]] = {}
        for index, instance in enumerate(instances):
            by_still.setdefault(instance.still, []).append(index)
        return StillPool(
            self.images[part], self.masks[part], self.extents[part], self.names[part], instances, by_still
        )


def load_stills(folder: Path, *, shards: int | None = None, size: int = 384, limit: int | None = None) -> StillPool:
    """Read tar shards `stills-*.tar`, or the same already unpacked (`images/*.jpg`, `masks/*.png`).

    Args:
        folder: holds the shards.
        shards: only the first so many, None for all.
        size: longest side in pixels.
        limit: stop after so many stills.

    Raises:
        MediaError: no shard, or not one usable still.
    """
    images, masks, extents, names = [], [], [], []
    skipped: dict[str, int] = {}
    for name, image, mask in _pairs(folder, shards):
        problem = _problem(image, mask)
        if problem or image is None or mask is None:
            skipped[problem] = skipped.get(problem, 0) + 1
            continue
        image, mask, extent = _square(image, mask, size)
        images.append(torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1))))
        masks.append(torch.from_numpy(mask))
        extents.append(extent)
        names.append(name)
        if limit and len(names) >= limit:
            break
    if not names:
        raise MediaError(f"No usable still in {folder}: {skipped or 'no files stills-*.tar or images/*.jpg there'}.")
    instances, by_still = _instances(masks, extents, names)
    return StillPool(torch.stack(images), torch.stack(masks), extents, names, instances, by_still, skipped)


def _pairs(folder: Path, shards: int | None) -> Iterator[tuple[str, np.ndarray | None, np.ndarray | None]]:
    tars = sorted(folder.glob("stills-*.tar"))[:shards]
    for tar in tars:
        files: dict[str, bytes] = {}
        try:
            with tarfile.open(tar) as archive:
                for member in archive:
                    handle = archive.extractfile(member) if member.isfile() else None
                    if handle is not None:
                        files[member.name] = handle.read()
        except tarfile.TarError as error:
            raise MediaError(f"{tar} is damaged ({error}); copy it again.") from error
        for name in sorted(n for n in files if n.startswith("images/")):
            stem = Path(name).stem
            yield stem, _decode(files[name], cv2.IMREAD_COLOR), _decode_indices(files.get(f"masks/{stem}.png"))
    if not tars:
        for path in sorted((folder / "images").glob("*.jpg")):
            mask = folder / "masks" / f"{path.stem}.png"
            data = mask.read_bytes() if mask.exists() else None
            yield path.stem, _decode(path.read_bytes(), cv2.IMREAD_COLOR), _decode_indices(data)


def _decode(data: bytes | None, flags: int) -> np.ndarray | None:
    if not data:
        return None
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)


def _decode_indices(data: bytes | None) -> np.ndarray | None:
    """Palette indices of a PNG; OpenCV would look the colours up."""
    if not data:
        return None
    import io

    from PIL import Image, UnidentifiedImageError

    try:
        return np.array(Image.open(io.BytesIO(data)))
    except (UnidentifiedImageError, OSError):
        return None


def _problem(image: np.ndarray | None, mask: np.ndarray | None) -> str:
    if image is None:
        return "unreadable image"
    if mask is None:
        return "missing or unreadable mask"
    if mask.ndim != 2 or mask.shape != image.shape[:2]:
        return "mask of another size"
    if not ((mask > 0) & (mask != IGNORE)).any():
        return "mask without object"
    return ""


def _square(image: np.ndarray, mask: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    height, width = mask.shape
    scale = size / max(height, width)
    fit = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = cv2.resize(image, fit, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    mask = cv2.resize(mask, fit, interpolation=cv2.INTER_NEAREST)
    bottom, right = size - fit[1], size - fit[0]
    image = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REFLECT_101)
    mask = cv2.copyMakeBorder(mask, 0, bottom, 0, right, cv2.BORDER_REFLECT_101)
    return image, mask, fit


def _instances(
    masks: list[Tensor], extents: list[tuple[int, int]], names: list[str]
) -> tuple[list[Instance], dict[int, list[int]]]:
    found: list[Instance] = []
    by_still: dict[int, list[int]] = {}
    for still, (mask, (width, height), name) in enumerate(zip(masks, extents, names, strict=True)):
        array = mask[:height, :width].numpy()
        ids = [int(i) for i in np.unique(array) if i not in (0, IGNORE)]
        groups = [tuple(ids)] if name.split("__")[0] in PART_SETS else [(i,) for i in ids]
        for group in groups:
            inside = np.isin(array, group)
            area = int(inside.sum())
            if area < 0.01 * array.size:
                continue
            rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
            box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
            by_still.setdefault(still, []).append(len(found))
            found.append(Instance(still, group, box, area))
    return found, by_still
