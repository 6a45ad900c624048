"""Photographs with masks, from tar shards, held in memory as uint8 tensors of one size."""

from __future__ import annotations

import io
import itertools
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from agss_model.errors import MediaError
from agss_model.masks.labels import LabelMap
from agss_model.video.images import decode_image

AnyArray = npt.NDArray[np.integer[Any] | np.floating[Any]]  # as OpenCV's stubs have it; here always uint8
IGNORE = 255
SMALLEST = 0.01
"""Share of a still from which on an object is cut out."""
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
        sizes: width and height of each still inside its square.
        names: set and name of each still.
        instances: every object that is large enough to be cut out.
        by_still: positions in `instances` for each still.
        skipped: why stills were left out, with how many.
    """

    images: Tensor
    masks: Tensor
    sizes: list[tuple[int, int]]
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
        return StillPool(self.images[part], self.masks[part], self.sizes[part], self.names[part], instances, by_still)

    def with_cuts_of(self, other: StillPool) -> StillPool:
        """The same backgrounds, but objects to paste of another pool of the same size, in equal shares with its own."""
        first, own = len(self.names), self.instances
        others = [replace(i, still=i.still + first) for i in other.instances]
        repeated = own * max(1, len(others) // max(1, len(own)))
        images, masks = torch.cat([self.images, other.images]), torch.cat([self.masks, other.masks])
        return StillPool(images, masks, [*self.sizes, *other.sizes], self.names, [*repeated, *others], self.by_still)

    def to(self, device: str) -> StillPool:
        """The same pool with its pictures on a device."""
        return replace(self, images=self.images.to(device), masks=self.masks.to(device))

    def counts(self) -> dict[str, int]:
        """Number of stills by data set."""
        return dict(sorted(Counter(name.split("__")[0] for name in self.names).items()))


def load_stills(folder: Path, *, shards: int | None = None, size: int = 384, limit: int | None = None) -> StillPool:
    """Read tar shards `stills-*.tar`, or the same already unpacked (`images/*.jpg`, `masks/*.png`).

    Stills that cannot be used are left out and counted in `skipped`.

    Args:
        folder: holds the shards.
        shards: only the first so many, None for all.
        size: longest side in pixels.
        limit: stop after so many stills.

    Raises:
        MediaError: fewer shards than asked for, a damaged shard, or not one usable still.
    """
    pairs = list(itertools.islice(_pairs(folder, shards), limit))
    images = torch.empty(len(pairs), 3, size, size, dtype=torch.uint8)
    masks = torch.empty(len(pairs), size, size, dtype=torch.uint8)

    def fill(row: int) -> tuple[int, int] | str:
        return _prepare(*pairs[row][1:], images[row].numpy(), masks[row].numpy())

    with ThreadPoolExecutor() as threads:  # decoding leaves Python, so threads use every core
        outcomes = list(threads.map(fill, range(len(pairs))))
    skipped = _missing_shards(folder, shards) + Counter(outcome for outcome in outcomes if isinstance(outcome, str))
    sizes, names = list[tuple[int, int]](), list[str]()
    for row, outcome in enumerate(outcomes):
        if isinstance(outcome, str):
            continue
        images[len(names)], masks[len(names)] = images[row], masks[row]  # in place: a pool takes gigabytes
        sizes.append(outcome)
        names.append(pairs[row][0])
    if not names:
        counted = dict(skipped) or "no files stills-*.tar or images/*.jpg there"
        raise MediaError(f"No usable still in {folder}: {counted}.")
    images, masks = images[: len(names)], masks[: len(names)]
    instances, by_still = _instances(masks, sizes, names)
    return StillPool(images, masks, sizes, names, instances, by_still, dict(skipped))


def pool_of(
    pictures: Sequence[AnyArray], masks: Sequence[AnyArray], name: str, size: int, smallest: float = SMALLEST
) -> StillPool:
    """A pool of pictures that are in memory already.

    Args:
        pictures: each (H, W, 3) uint8 RGB.
        masks: each (H, W) uint8, 0 background, 255 ignore.
        name: of the data set that they count as.
        size: longest side in pixels.
        smallest: share of a picture from which on an object can be cut out.
    """
    squares = [_square(picture, mask, size) for picture, mask in zip(pictures, masks, strict=True)]
    images = torch.stack([torch.from_numpy(picture.transpose(2, 0, 1).copy()) for picture, _, _ in squares])
    labels = torch.stack([torch.from_numpy(mask.copy()) for _, mask, _ in squares])
    sizes, names = [own_size for _, _, own_size in squares], [f"{name}__{row}" for row in range(len(squares))]
    return StillPool(images, labels, sizes, names, *_instances(labels, sizes, names, smallest))


def few_ids(label_map: LabelMap) -> npt.NDArray[np.uint8]:
    """A label map as a still's mask: its largest objects, numbered from 1 in the order of their ids.

    Args:
        label_map: (H, W) of any ids.

    Returns:
        (H, W) uint8, below `IGNORE`.
    """
    areas = np.bincount(label_map.ravel())
    areas[0] = 0
    largest = np.sort(np.argsort(-areas, kind="stable")[: IGNORE - 1])
    chosen = largest[areas[largest] > 0]
    table = np.zeros(len(areas), np.uint8)
    table[chosen] = np.arange(1, len(chosen) + 1)
    return np.asarray(table[label_map])


def _missing_shards(folder: Path, shards: int | None) -> Counter[str]:
    """Holes in the numbers of the shards, counted; too few of them are an error."""
    numbers = [int(tar.stem.removeprefix("stills-")) for tar in _shards(folder)]
    if shards is not None and numbers and len(numbers) < shards:
        raise MediaError(
            f"The run wants {shards} shards, {folder} holds {len(numbers)}; copy the others, or set shards."
        )
    holes = max(numbers, default=-1) + 1 - len(numbers)
    return Counter({"missing shard": holes} if holes and shards is None else {})


def _shards(folder: Path) -> list[Path]:
    return sorted(tar for tar in folder.glob("stills-*.tar") if tar.stem.removeprefix("stills-").isdigit())


def _pairs(folder: Path, shards: int | None) -> Iterator[tuple[str, bytes, bytes | None]]:
    """Name, encoded image and encoded mask, if there is one, of every still."""
    tars = _shards(folder)[:shards]
    for tar in tars:
        files = _unpack(tar)
        for name in sorted(n for n in files if n.startswith("images/")):
            stem = Path(name).stem
            yield stem, files[name], files.get(f"masks/{stem}.png")
    if not tars:
        for path in sorted((folder / "images").glob("*.jpg")):
            mask = folder / "masks" / f"{path.stem}.png"
            yield path.stem, path.read_bytes(), mask.read_bytes() if mask.exists() else None


def _unpack(tar: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(tar) as archive:
            for member in archive:
                handle = archive.extractfile(member) if member.isfile() else None
                if handle is not None:
                    files[member.name] = handle.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise MediaError(f"{tar} is damaged ({error}); copy it again.") from error
    return files


def _prepare(
    image_data: bytes, mask_data: bytes | None, picture: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]
) -> tuple[int, int] | str:
    """Decode one still into its place, (3, size, size) and (size, size).

    Returns:
        Its width and height there, or what is wrong with it.
    """
    try:
        image: AnyArray = decode_image(image_data, "still")
    except MediaError:
        return "unreadable image"
    mask = _decode_indices(mask_data)
    if mask is None:
        return "missing or unreadable mask"
    if mask.ndim != 2 or mask.shape != image.shape[:2]:
        return "mask of another size"
    if not ((mask > 0) & (mask != IGNORE)).any():
        return "mask without object"
    image, labels[:], own_size = _square(image, mask, len(labels))
    picture[:] = image.transpose(2, 0, 1)
    return own_size


def _decode_indices(data: bytes | None) -> AnyArray | None:
    """Palette indices of a PNG; OpenCV would look the colours up."""
    if not data:
        return None
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            return np.array(image, dtype=np.uint8)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return None


def _square(image: AnyArray, mask: AnyArray, size: int) -> tuple[AnyArray, AnyArray, tuple[int, int]]:
    """Picture and mask in a square of `size` pixels, the rest mirrored; and (width, height) of the still in it."""
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
    masks: Tensor, sizes: list[tuple[int, int]], names: list[str], smallest: float = SMALLEST
) -> tuple[list[Instance], dict[int, list[int]]]:
    found: list[Instance] = []
    by_still: dict[int, list[int]] = {}
    for still, (mask, (width, height), name) in enumerate(zip(masks, sizes, names, strict=True)):
        array = mask[:height, :width].numpy()
        ids = [int(i) for i in np.unique(array) if i not in (0, IGNORE)]
        groups = [tuple(ids)] if name.split("__")[0] in PART_SETS else [(i,) for i in ids]
        for group in groups:
            inside = np.isin(array, group)
            area = int(inside.sum())
            if area < smallest * array.size:
                continue
            rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
            box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
            by_still.setdefault(still, []).append(len(found))
            found.append(Instance(still, group, box, area))
    return found, by_still
