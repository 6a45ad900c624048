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

from agss_model.runs.reporting import FRAMES

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

    def progress(self, what: str, total: int, done: int = 0, unit: str = FRAMES) -> FrameProgress:
        """See `Report`."""
        return FrameProgress(what, total, done, unit)


class FrameProgress:
    """A bar with frames per second, or what else is counted, and the time left; on a pipe a line every ten seconds.

    Attributes:
        done: counted so far.
    """

    def __init__(self, what: str, total: int, done: int = 0, unit: str = FRAMES) -> None:
        """Prepare.

        Args:
            what: is being done, such as "tracking".
            total: frames in all.
            done: of these, finished earlier.
            unit: what is counted, in the plural.
        """
        self.what, self.total, self.done, self.unit = what, total, done, unit
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
            rate = _rate(self.fps, self.unit)
            stderr().print(f"{self.what}: {self.done} of {self.total} {self.unit}, {rate}, {left:.0f} s left")

    def __enter__(self) -> FrameProgress:
        self._started = self._spoke = time.perf_counter()
        console = stderr()
        if console.is_terminal and not is_quiet():
            name = TextColumn("{task.description}", markup=False)
            columns = (name, BarColumn(), MofNCompleteColumn(), _Fps(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task(
                clean(self.what), total=self.total, completed=self.done, before=self.done, unit=self.unit
            )
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
        unit = task.fields["unit"]
        return Text(_rate(done / task.elapsed, unit) if task.elapsed and done else _rate(None, unit))


def _rate(each_second: float | None, unit: str) -> str:
    number = "-" if each_second is None else f"{each_second:.1f}"
    return f"{number} fps" if unit == FRAMES else f"{number} {unit} a second"
