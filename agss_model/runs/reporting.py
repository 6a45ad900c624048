"""What a run tells those who wait for it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class FrameCounter(Protocol):
    """Counts frames."""

    def advance(self) -> None:
        """One frame more."""


class Report(Protocol):
    """Where a run speaks, such as the terminal."""

    def note(self, sentence: str) -> None:
        """Something worth knowing that is no error."""

    def progress(self, what: str, total: int, done: int = 0) -> AbstractContextManager[FrameCounter]:
        """Open a count of `total` frames, of which `done` were finished earlier."""
