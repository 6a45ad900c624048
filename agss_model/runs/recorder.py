"""What is kept of each frame of a run, and when: masks, scores and the states of the tracker."""

from __future__ import annotations

import queue
import threading
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from agss_model.errors import OutputError
from agss_model.masks.files import encode_label_map
from agss_model.runs.scores import append_log, rows_of
from agss_model.runs.states import States
from agss_model.system.interruption import Interruption
from agss_model.tracking.results import FrameResult
from agss_model.tracking.tracker import Tracker

SAVE_EVERY = 50  # frames between two states of the tracker on the disk


class RunFiles(Protocol):
    """Where a run's files go, such as `agss_model.runs.traces.Traces`."""

    @property
    def log(self) -> Path:
        """The table of scores, in the order in which frames are tracked."""

    def mask(self, number: int) -> Path:
        """The mask of a frame."""

    def keep(self, path: Path, data: bytes) -> None:
        """Write a file of the run."""


@dataclass(frozen=True)
class Way:
    """A tracker on its way along frames.

    Attributes:
        tracker: that goes it.
        frames: it has yet to go, in its order.
        states: where its states are kept.
        told: frames of which a person says something.
        begun: frames it has gone before.
    """

    tracker: Tracker
    frames: range
    states: States
    told: Collection[int]
    begun: int = 0

    def pauses(self, number: int) -> bool:
        """Whether the state after a frame is kept: every so often, at the end, and before what a person says."""
        place = self.frames.index(number) + 1
        following = self.frames[place : place + 1]
        return (self.begun + place) % SAVE_EVERY == 0 or not following or following[0] in self.told


class Recorder:
    """Writes the mask of each frame and appends its scores to the log, in the order given.

    A few results may wait; then `put` waits too. An error of the thread is raised by the next call here.
    """

    def __init__(self, places: RunFiles, depth: int = 8, *, wide: bool = False) -> None:
        """Start the thread.

        Args:
            places: where to write.
            depth: results that may wait.
            wide: all masks have 16 bits.
        """
        self._places, self._wide = places, wide
        self._queue: queue.Queue[FrameResult | None] = queue.Queue(depth)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._thread.start()

    def keep(
        self, results: Iterable[FrameResult], wanted: Collection[int], stop: Interruption, way: Way | None = None
    ) -> Iterator[int]:
        """Hand over the frames that are wanted, as they come; yield their numbers.

        Args:
            results: tracked frames.
            wanted: numbers of those to write.
            stop: whether a person wants to stop; what is done by then is written.
            way: that the results come from, whose states are kept too; None where no state could go on from here.

        Raises:
            KeyboardInterrupt: a person wants to stop.
            OutputError: a frame could not be written.
        """
        for result in results:
            number = result.frame_index
            if number in wanted:
                self.put(result)
                yield number
            if way is not None and (stop.asked or way.pauses(number)):
                self.flush()
                way.states.save(way.tracker, number)
            if stop.asked:
                raise KeyboardInterrupt

    def put(self, result: FrameResult) -> None:
        """Hand over a frame.

        Raises:
            OutputError: an earlier frame could not be written.
        """
        self._check()
        self._queue.put(result)

    def flush(self) -> None:
        """Wait until everything handed over is in its file.

        Raises:
            OutputError: a frame could not be written.
        """
        self._queue.join()
        self._check()

    def close(self) -> None:
        """Write what is left and stop.

        Raises:
            OutputError: a frame could not be written.
        """
        self._queue.put(None)
        self._thread.join()
        self._check()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:  # the error on its way says more than one of this thread
            self._queue.put(None)
            self._thread.join()

    def _check(self) -> None:
        if isinstance(self._error, OSError):
            raise OutputError(f"cannot write {self._places.log}: {self._error}; is the disk full?") from self._error
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        """Take results until None comes, also after an error, so that nobody waits for a full queue."""
        while (result := self._queue.get()) is not None:
            if self._error is None:
                self._try(result)
            self._queue.task_done()
        self._queue.task_done()

    def _try(self, result: FrameResult) -> None:
        try:
            self._write(result)
        except Exception as error:  # whatever it is, it belongs to whoever hands over results
            self._error = error

    def _write(self, result: FrameResult) -> None:
        self._places.keep(self._places.mask(result.frame_index), encode_label_map(result.label_map, wide=self._wide))
        append_log(self._places.log, result.frame_index, rows_of(result))
