"""Where commands speak: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_QUIET_SECONDS = 10.0  # between lines where no bar can be shown


def stdout() -> Console:
    """For results; nothing is wrapped or cut where nobody looks."""
    looked_at = sys.stdout.isatty()
    return Console(file=sys.stdout, soft_wrap=not looked_at, width=None if looked_at else 160, highlight=False)


def stderr() -> Console:
    """For progress, notes and errors."""
    return Console(file=sys.stderr, soft_wrap=True, highlight=False)


def note(message: str) -> None:
    """Something worth knowing that is no error."""
    stderr().print(f"[yellow]Note:[/yellow] {escape(message)}")


class ConsoleReport:
    """The terminal as a `agss_model.runs.reporting.Report`."""

    def note(self, sentence: str) -> None:
        """See `Report`."""
        note(sentence)

    def progress(self, what: str, total: int, done: int = 0) -> FrameProgress:
        """See `Report`."""
        return FrameProgress(what, total, done)


class FrameProgress:
    """A bar with frames per second and the time left; on a pipe, a plain line every ten seconds.

    Attributes:
        done: frames counted so far.
    """

    def __init__(self, what: str, total: int, done: int = 0) -> None:
        """Prepares.

        Args:
            what: is being done, such as "tracking".
            total: frames in all.
            done: of these, finished earlier.
        """
        self.what, self.total, self.done = what, total, done
        self._before = done
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._started = self._spoke = time.perf_counter()

    @property
    def fps(self) -> float:
        """Frames per second since the start, without those finished earlier."""
        return (self.done - self._before) / max(time.perf_counter() - self._started, 1e-9)

    def advance(self) -> None:
        """One frame more."""
        self.done += 1
        now = time.perf_counter()
        if self._bar is not None:
            self._bar.advance(self._task)
        elif now - self._spoke >= _QUIET_SECONDS:
            self._spoke = now
            left = (self.total - self.done) / max(self.fps, 1e-9)
            stderr().print(f"{self.what}: {self.done} of {self.total} frames, {self.fps:.1f} fps, {left:.0f} s left")

    def __enter__(self) -> FrameProgress:
        self._started = self._spoke = time.perf_counter()
        console = stderr()
        if console.is_terminal:
            name = TextColumn("{task.description}")
            columns = (name, BarColumn(), MofNCompleteColumn(), _Fps(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task(self.what, total=self.total, completed=self.done, before=self.done)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


class _Fps(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Frames per second of this run."""
        done = task.completed - float(task.fields["before"])
        return Text(f"{done / task.elapsed:.1f} fps" if task.elapsed and done else "- fps")
