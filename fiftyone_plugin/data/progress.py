"""How far work is, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Progress:
    """Where a run stands: `done` in [0, 1], `label` for people."""

    done: float
    label: str


@dataclass
class Summary:
    """What work came to; as text it is sentences for people."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the sentences as `summary`."""
        return {**self.__dict__, "summary": str(self)}
