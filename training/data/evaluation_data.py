"""What scores are measured on, and therefore is never trained on: told by content, whatever folders are called.

`evaluation_frames.txt` holds the first 16 digits of the SHA-256 of every image file of the evaluation sequences, so
that two images of a folder tell, under any name and where frames were left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from agss_model.errors import ConfigError
from agss_model.video import IMAGE_SUFFIXES

_RECORDED = Path(__file__).with_name("evaluation_frames.txt")
_SEQUENCES = ("JPEGImages/480p", "JPEGImages")
_VALIDATION_LISTS = ("ImageSets/2017/val.txt", "ImageSets/2016/val.txt", "ImageSets/480p/val.txt")


@cache
def _recorded() -> frozenset[str]:
    return frozenset(_RECORDED.read_text(encoding="ascii").split())


def digest(path: Path) -> str:
    """Digest of an image, as the record lists it.

    Raises:
        OSError: the file cannot be read.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def is_evaluation(images: Sequence[Path]) -> bool:
    """Whether the first or the last of these image files is a frame that scores are measured on."""
    return any(digest(path) in _recorded() for path in {*images[:1], *images[-1:]} if path.is_file())


def validation_names(root: Path) -> frozenset[str]:
    """Sequences that DAVIS' own lists, where they are in its folder, keep for validation."""
    lists = [root / name for name in _VALIDATION_LISTS if (root / name).is_file()]
    words = [line.split() for path in lists for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    return frozenset(name for line in words for word in line for name in _names(word))


def _names(word: str) -> Iterator[str]:
    """The sequence that a word of a list names, alone or in the path of an image."""
    yield Path(word).parent.name or word


def refuse_evaluation_data(folder: Path) -> None:
    """Stop before anything that scores are measured on is trained on.

    A data set of which only some sequences are evaluation data is not refused: whoever reads it leaves those out.

    Raises:
        ConfigError: the images of the folder, or of the folders right below, are evaluation data.
    """
    if not folder.is_dir():
        return
    below = next((folder / name for name in _SEQUENCES if (folder / name).is_dir()), None)
    if below is not None:
        hit = all(is_evaluation(images) for images in _folders(below)) and any(_folders(below))
    else:
        hit = is_evaluation(_images(folder)) or any(is_evaluation(images) for images in _folders(folder))
    if hit:
        raise ConfigError(f"{folder} holds frames that scores are measured on (by their digests); train on other data.")


def _folders(folder: Path) -> Iterator[list[Path]]:
    """Images of each folder right below, where there are some."""
    return (images for each in sorted(folder.iterdir()) if each.is_dir() and (images := _images(each)))


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
