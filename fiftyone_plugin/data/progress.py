"""How far work is, and numbers in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a run stands: `done` in [0, 1], `label` for people."""

    done: float
    label: str


def count(number: int, what: str, several: str | None = None) -> str:
    """Such as "1 clip" and "2 clips"."""
    return f"{number} {what}" if number == 1 else f"{number} {several or what + 's'}"
