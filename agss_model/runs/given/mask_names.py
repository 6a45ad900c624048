"""The frame that a mask belongs to, by the name of its file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from agss_model.video.images import ImageFrames
from agss_model.video.source import FrameSource

_NUMBER = re.compile(r"(?:frame[ _.-]?)?([0-9]{1,9})", re.IGNORECASE)


class MaskNames:
    """From file names to frames.

    On a folder of images a mask that is called like an image belongs to it, and if one of a folder of masks is not, all
    are taken by number. A number (00048.png, frame_48.png) is that of a frame, counted from 0.

    Attributes:
        doubtful: sentences about names that may mean something else.
        otherwise: for messages: what a name could be besides a number.
    """

    def __init__(self, source: FrameSource) -> None:
        self._images = {}
        self._numbers: dict[int, str] = {}
        if isinstance(source, ImageFrames):
            self._images = {path.stem: number for number, path in enumerate(source.paths)}
            self._numbers = {number: path.name for number, path in enumerate(source.paths)}
        self.doubtful: list[str] = []
        self.otherwise = " and not that of an image" if self._images else ""

    def settle(self, masks: Sequence[Path]) -> None:
        """Look at all masks of a folder together: they are named by images only if all are."""
        if self._images and not all(path.stem in self._images for path in masks):
            called = [path for path in masks if path.stem in self._images]
            numbers = {path: self._number(path) for path in called}
            for path, number in numbers.items():
                if number is not None and number != self._images[path.stem] and number in self._numbers:
                    self.doubtful.append(
                        f"mask {path.name} is taken for frame {number}, which is image {self._numbers[number]}; the "
                        f"image called {path.stem} is frame {self._images[path.stem]}. Name all masks like images, or "
                        "none."
                    )
            self._images = {} if all(self._number(path) is not None for path in masks) else self._images

    def frame(self, path: Path) -> int | None:
        """The frame a file belongs to, or None where its name says nothing."""
        if path.stem in self._images:
            return self._images[path.stem]
        return self._number(path)

    @staticmethod
    def _number(path: Path) -> int | None:
        match = _NUMBER.fullmatch(path.stem)
        return int(match[1]) if match else None
