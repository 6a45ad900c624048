"""What a run tells those who wait for it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

FRAMES = "frames"
"""What is usually counted."""


class FrameCounter(Protocol):
    """Counts frames, or other things."""

    def advance(self) -> None:
        """One more."""


class Report(Protocol):
    """Where a run speaks, such as the terminal."""

    def note(self, sentence: str) -> None:
        """Something worth knowing that is no error."""

    def progress(
        self, what: str, total: int, done: int = 0, unit: str = FRAMES
    ) -> AbstractContextManager[FrameCounter]:
        """Open a count of `total` frames, or what else `unit` says, of which `done` were finished earlier."""
