"""How far work is, and numbers and names in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a run stands: `done` in [0, 1], `label` for people."""

    done: float
    label: str


def count(number: int, what: str, several: str | None = None) -> str:
    """Such as "1 clip" and "2 clips"."""
    return f"{number} {what}" if number == 1 else f"{number} {several or what + 's'}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """Such as "a, b" and "a, b, c, d, e and 3 more"."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
