"""What every source of frames offers, and reading ahead of whoever works on them."""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction
from types import TracebackType
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from agss_model.errors import MediaError
from agss_model.pictures import MAX_SIDE

Image = npt.NDArray[np.uint8]

T = TypeVar("T")
_Self = TypeVar("_Self", bound="IndexedFrames")


@runtime_checkable
class FrameSource(Protocol):
    """A clip whose frames are addressed by number, 0 to `len(source) - 1`.

    Not for use by two threads at once, but one may close it while another reads: see `close`.
    """

    @property
    def name(self) -> str:
        """File or folder name without suffix."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, the same for every frame."""

    @property
    def fps(self) -> float:
        """Average frames per second."""

    def __len__(self) -> int:
        """Exact number of frames."""

    def read(self, index: int) -> Image:
        """Frame `index` as a new (H, W, 3) uint8 RGB array.

        Raises:
            MediaError: no such frame, it cannot be decoded, or its size differs from the first frame's.
        """

    def frames(self, start: int | None = None, stop: int | None = None, step: int = 1) -> Iterator[Image]:
        """The frames `range(start, stop, step)`, one at a time, in bounded memory.

        Args:
            start: first frame; by default 0, or the last frame when `step` is negative.
            stop: where to end, exclusive; by default the end of the clip (its beginning when `step` is negative).
            step: may be negative, to go backwards.

        Raises:
            MediaError: as `read`; a range outside the clip is refused before the first frame.
        """

    def close(self) -> None:
        """Release the file, after the frame that another thread is reading; it gets an error for the next one."""

    def __enter__(self: _Source) -> _Source:
        """The source itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the source."""


_Source = TypeVar("_Source", bound=FrameSource)


class IndexedFrames(ABC):
    """The parts of a `FrameSource` that do not depend on where frames come from."""

    name: str
    size: tuple[int, int]
    fps: float
    notes: tuple[str, ...] = ()
    """Sentences on what was taken for granted, or is missing."""
    aspect: Fraction = Fraction(1)
    """Width of a pixel as it is to be shown, divided by its height."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, index: int) -> Image:
        """See `FrameSource.read`."""

    def frames(self, start: int | None = None, stop: int | None = None, step: int = 1) -> Iterator[Image]:
        """See `FrameSource.frames`."""
        return self._frames_of(self._range(start, stop, step))

    @property
    def steady(self) -> bool:
        """Whether every frame is shown at its number divided by `fps`."""
        return True

    def time(self, index: int) -> Fraction:
        """Seconds from the start of the clip at which a frame is shown."""
        return index / Fraction(self.fps).limit_denominator(1001)

    def close(self) -> None:  # noqa: B027 - images hold no file open
        """See `FrameSource.close`."""

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _frames_of(self, numbers: range) -> Iterator[Image]:
        return map(self.read, numbers)

    def _range(self, start: int | None, stop: int | None, step: int) -> range:
        if step == 0:
            raise MediaError("the step between frames is 0; use 1 to go forward, -1 to go backward")
        if start is None:
            start = 0 if step > 0 else len(self) - 1
        if stop is None:
            stop = len(self) if step > 0 else -1
        numbers = range(start, stop, step)
        for number in (numbers[0], numbers[-1]) if numbers else (start,):
            self._check(number)
        return numbers

    def _check(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise MediaError(f"frame {index} is outside {self.name}, which has frames 0 to {len(self) - 1}")
        return int(index)


class FileFrames(IndexedFrames):
    """Frames of one file that stays open.

    Decoders crash when their file is closed under them, so whoever reads ahead in a thread and whoever closes (after
    Ctrl-C, say, or an error) take turns.
    """

    def __init__(self) -> None:
        self._turn = threading.RLock()
        self._closed = False

    def read(self, index: int) -> Image:
        """See `FrameSource.read`."""
        number = self._check(index)
        with self._turn:
            if self._closed:
                raise MediaError(f"frame {number} of {self.name} cannot be read: it was closed; open it again")
            return self._read(number)

    def close(self) -> None:
        """See `FrameSource.close`."""
        with self._turn:
            self._closed = True
            self._release()

    @abstractmethod
    def _read(self, number: int) -> Image:
        """A frame that there is, see `FrameSource.read`."""

    @abstractmethod
    def _release(self) -> None:
        """Close the file."""


def check_side(size: tuple[int, int], what: str) -> None:
    """Refuse images too large to work with.

    Raises:
        MediaError: a side is over `MAX_SIDE` pixels.
    """
    if max(size) > MAX_SIDE:
        raise MediaError(f"{what} is {size[0]}x{size[1]} pixels, but a side may be at most {MAX_SIDE}; make it smaller")


def check_same_size(size: tuple[int, int], expected: tuple[int, int], what: str) -> None:
    """Refuse a frame that does not have the size of the first one.

    Raises:
        MediaError: the sizes, (width, height), differ.
    """
    if size != expected:
        raise MediaError(
            f"{what} is {size[0]}x{size[1]} pixels, but the first frame is {expected[0]}x{expected[1]}; "
            "give all frames one size, or split the clip where the size changes"
        )


def prefetch(iterable: Iterable[T], depth: int = 4) -> Generator[T, None, None]:
    """Yield the items of `iterable`, which is read ahead in a thread, so that decoding overlaps with other work.

    An error of the iterable is raised here, after the items before it. Closing this generator (also by leaving its
    loop and dropping it) stops the thread, waits for it, and closes the iterable if it is a generator. The iterable
    must not be used elsewhere meanwhile.

    Args:
        iterable: where items come from.
        depth: how many items may wait, at least 1; one more is being read.
    """
    if depth < 1:
        raise ValueError(f"depth is {depth}; it must be at least 1")
    return _read_ahead(iterable, depth)


def _read_ahead(iterable: Iterable[T], depth: int) -> Generator[T, None, None]:
    # Each entry is (item, None), or (None, error) as the last one; StopIteration marks the ordinary end.
    entries: queue.Queue[tuple[list[T], BaseException | None]] = queue.Queue(maxsize=depth)
    stopped = threading.Event()
    worker = threading.Thread(target=_fill, args=(iterable, entries, stopped), name="prefetch", daemon=True)
    worker.start()
    try:
        while True:
            items, error = entries.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield items.pop()  # popped, so that this generator does not keep the item alive
    finally:
        stopped.set()
        while worker.is_alive():
            _drain(entries)
            worker.join(0.01)


def _fill(
    iterable: Iterable[T], entries: queue.Queue[tuple[list[T], BaseException | None]], stopped: threading.Event
) -> None:
    end: BaseException = StopIteration()
    try:
        iterator = iter(iterable)
        try:
            for item in iterator:
                entries.put(([item], None))
                if stopped.is_set():
                    break
        finally:
            if isinstance(iterator, Generator):
                iterator.close()
    except BaseException as error:  # whatever it is, it belongs to the reader of the items
        end = error
    entries.put(([], end))


def _drain(entries: queue.Queue[tuple[list[T], BaseException | None]]) -> None:
    while not entries.empty():  # Nobody else takes entries, so this cannot wait.
        entries.get()
