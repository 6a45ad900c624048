"""Masks and scores written in the background, while the next frame is being tracked."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from types import TracebackType
from typing import Protocol

from agss_model.errors import OutputError
from agss_model.masks.files import encode_label_map
from agss_model.results import FrameResult
from agss_model.runs.scores import append_log, rows_of


class RunFiles(Protocol):
    """Where a run's files go, such as `agss_model.runs.traces.Traces`."""

    @property
    def log(self) -> Path:
        """The table of scores, in the order in which frames are tracked."""

    def mask(self, number: int) -> Path:
        """The mask of a frame."""

    def keep(self, path: Path, data: bytes) -> None:
        """Write a file of the run."""


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
