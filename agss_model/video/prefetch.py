"""Reading ahead in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")


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
