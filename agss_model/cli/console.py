"""Where commands speak: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import sys
import time
import unicodedata
from types import TracebackType
from typing import Any

from rich.console import Console
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

_state = {"quiet": False}  # of the one command that a process runs
_QUIET_SECONDS = 10.0  # between lines where no bar can be shown


def clean(text: str) -> str:
    """Text whose characters that move the cursor, colour, hide or reverse what follows are spelt out."""
    return "".join(char if _harmless(char) else char.encode("unicode_escape").decode("ascii") for char in text)


def _harmless(char: str) -> bool:
    return char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs")


class PlainConsole(Console):
    """A console to which every text is a text: no markup, no emoji codes, no control characters.

    File names, labels and what servers answer come from outside; styles of our own are `Text` objects.
    """

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - as rich declares it
        """See `Console.render_str`."""
        return super().render_str(clean(text), **options | {"markup": False, "emoji": False})


def stdout() -> Console:
    """The console for results; lines are wrapped on a terminal only."""
    looked_at = sys.stdout.isatty()
    width = None if looked_at else 160
    return PlainConsole(file=sys.stdout, soft_wrap=not looked_at, width=width, highlight=False, quiet=is_quiet())


def stderr() -> Console:
    """The console for progress, notes and errors."""
    return PlainConsole(file=sys.stderr, soft_wrap=True, highlight=False)


def is_quiet() -> bool:
    """Whether the command that runs was asked to say nothing but errors."""
    return _state["quiet"]


def set_quiet(quiet: bool) -> None:
    """Print nothing but errors from now on, or everything again."""
    _state["quiet"] = quiet


def note(message: str) -> None:
    """Something worth knowing that is no error."""
    if not is_quiet():
        stderr().print(Text.assemble(("Note:", "yellow"), " ", clean(message)))


def say(message: str) -> None:
    """How far a command is."""
    if not is_quiet():
        stderr().print(message)


def error(message: str) -> None:
    """What went wrong, and what to do."""
    stderr().print(Text.assemble(("Error:", "red"), " ", clean(message)))


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
        """Prepare.

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
        elif not is_quiet() and now - self._spoke >= _QUIET_SECONDS:
            self._spoke = now
            left = (self.total - self.done) / max(self.fps, 1e-9)
            stderr().print(f"{self.what}: {self.done} of {self.total} frames, {self.fps:.1f} fps, {left:.0f} s left")

    def __enter__(self) -> FrameProgress:
        self._started = self._spoke = time.perf_counter()
        console = stderr()
        if console.is_terminal and not is_quiet():
            name = TextColumn("{task.description}", markup=False)
            columns = (name, BarColumn(), MofNCompleteColumn(), _Fps(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task(clean(self.what), total=self.total, completed=self.done, before=self.done)
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
