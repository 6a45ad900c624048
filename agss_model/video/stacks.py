"""Several pictures in one file as frame sources: TIFF stacks, animated WebP and PNG."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from agss_model.errors import MediaError
from agss_model.pictures import TIFF, check_scans, pictures_in, tiff_scans, veiled
from agss_model.video.depth import depth_note, real_bits, to_eight_bits
from agss_model.video.source import FileFrames, Image, check_same_size, check_side

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_FORMATS = ("TIFF", "WEBP", "PNG")
_SUBFILE, _NO_PAGE = 254, 1 | 4  # a TIFF page that is a smaller copy or a mask of another
_LOOKED_AT = 9  # pages from which the range of 16-bit values is learnt
_WINDOW = 32  # frames held while going backwards


def pages_of(path: Path) -> list[int]:
    """Places of the pictures in a file that are frames; one where it is an ordinary picture or cannot be told.

    Raises:
        MediaError: as `pictures_in`.
    """
    if not may_hold_several(path):
        return [0]
    try:
        with _open(path) as image:
            count = pictures_in(image, str(path))
            if image.format != "TIFF" or count == 1:
                return list(range(count))
            return [page for page in range(count) if not _subfile(image, page) & _NO_PAGE] or [0]
    except MediaError:
        raise
    except Exception:  # Pillow's parsers raise nearly anything; whoever decodes the file says what is wrong
        return [0]


def may_hold_several(path: Path) -> bool:
    """Whether a file begins like those that are read here, whatever it is called; one that cannot be read does not."""
    try:
        with path.open("rb") as file:
            start = file.read(12)
    except OSError:
        return False
    return start[:4] in (*TIFF, b"\x89PNG") or start[8:] == b"WEBP"


def _open(path: Path) -> PillowImage:
    from PIL import Image as Pillow

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow's own, lower limit of pixels
        return Pillow.open(path, formats=_FORMATS)


def _subfile(image: Any, page: int) -> int:  # noqa: ANN401 - Pillow's TIFF images have tags
    image.seek(page)
    return int(image.tag_v2.get(_SUBFILE, 0))


class ImageStack(FileFrames):
    """Pictures of one file, one per frame: 8-bit RGB as `ImageFrames` reads it; animations as they are shown."""

    def __init__(self, path: Path, pages: list[int]) -> None:
        """Open the file.

        Args:
            path: the file.
            pages: from `pages_of`.

        Raises:
            MediaError: it cannot be read, or pictures differ in size.
        """
        super().__init__()
        self.path, self.name, self._pages = path, path.stem, pages
        try:
            self._image = _open(path)
            self._tiff = self._image.format == "TIFF"
            self.size = self._image.size
            check_side(self.size, str(path))
            for number, page in enumerate(pages if self._tiff else []):
                self._image.seek(page)
                what = f"page {number} of {path}"
                check_same_size(self._image.size, self.size, what)
                check_scans(tiff_scans(self._image, self._bytes), what)
        except MediaError:
            raise
        except Exception as error:  # Pillow's parsers raise nearly anything
            raise MediaError(f"{path} cannot be read ({error}); save its pictures as separate files") from error
        shown = self._image.info.get("duration")
        self.fps = 1000 / shown if isinstance(shown, (int, float)) and shown > 0 else 25.0
        self._bits = 16
        if self._tiff:
            some = np.unique(np.linspace(0, len(pages) - 1, min(len(pages), _LOOKED_AT)).astype(int)).tolist()
            self._bits = real_bits(self._page(number) for number in some)
        self.notes = tuple(filter(None, [depth_note(self._bits)]))

    def _bytes(self, at: int, size: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(at)
            return file.read(size)

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._pages)

    @property
    def steady(self) -> bool:
        """See `IndexedFrames.steady`."""
        return len(set(self._durations)) < 2

    def time(self, index: int) -> Fraction:
        """See `IndexedFrames.time`."""
        return Fraction(sum(self._durations[:index]), 1000) if not self.steady else super().time(index)

    @cached_property
    def _durations(self) -> tuple[int, ...]:
        """Milliseconds for which each picture but the last is shown; none in a TIFF."""
        if self._tiff:
            return ()
        with self._turn:
            return tuple(self._shown_for(number) for number in range(len(self) - 1))

    def _shown_for(self, number: int) -> int:
        self._shown(number)
        return max(1, round(self._image.info.get("duration") or 1000 / self.fps))

    def _read(self, number: int) -> Image:
        if not self._tiff:
            return self._shown(number)
        page = self._page(number)
        if page.dtype == np.uint16:
            page = to_eight_bits(page, self._bits)
        if page.dtype != np.uint8:
            raise MediaError(f"frame {number} of {self.path} has {page.dtype} pixels; convert it to 8 or 16 bits")
        return np.asarray(cv2.cvtColor(page, cv2.COLOR_BGR2RGB), dtype=np.uint8)

    def _release(self) -> None:
        self._image.close()

    def _page(self, number: int) -> npt.NDArray[Any]:
        """A page of a TIFF as it is stored, (H, W, 3) BGR."""
        self._image.seek(self._pages[number])
        if veiled(self._image):
            return np.asarray(self._image.convert("RGB"))[..., ::-1]
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
        try:
            done, pages = cv2.imreadmulti(str(self.path), self._pages[number], 1, flags=flags)
        except cv2.error:
            done, pages = False, ()
        if not done or len(pages) != 1:
            done, pages = cv2.imreadmulti(str(self.path), self._pages[number], 1, flags=cv2.IMREAD_UNCHANGED)
        if not done or len(pages) != 1:
            raise MediaError(f"frame {number} of {self.path} cannot be decoded; save its pictures as separate files")
        check_same_size((pages[0].shape[1], pages[0].shape[0]), self.size, f"frame {number} of {self.path}")
        return np.asarray(pages[0])

    def _shown(self, number: int) -> Image:
        """A picture of an animation, on top of those before it."""
        page = self._pages[number]
        try:
            if page < self._image.tell():  # from the start again: Pillow loses count going back in a PNG
                self._image.close()
                self._image = _open(self.path)
            self._image.seek(page)
            picture = np.array(self._image.convert("RGB"), dtype=np.uint8)
        except Exception as error:  # as above
            raise MediaError(f"frame {number} of {self.path} is damaged ({error}); export it again") from error
        check_same_size((picture.shape[1], picture.shape[0]), self.size, f"frame {number} of {self.path}")
        return picture

    def _frames_of(self, numbers: range) -> Iterator[Image]:
        """Animations decode forwards only, so backwards some are read ahead."""
        if self._tiff or numbers.step > 0:
            yield from map(self.read, numbers)
            return
        for begin in range(0, len(numbers), _WINDOW):
            images = [self.read(number) for number in reversed(numbers[begin : begin + _WINDOW])]
            while images:
                yield images.pop()
