"""Where the time goes: a clock for named parts of the frame path, nearly free when it is off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


class Clock:
    """Adds up seconds by name. Nested parts count for themselves only: the outer part is paused meanwhile.

    Args:
        device: CUDA work is waited for at every border when the clock is on.
        enabled: an idle clock does nothing.

    Attributes:
        now: seconds since some moment; `time.process_time` counts what the threads of this process worked, whatever
            else the machine did.
    """

    now: Callable[[], float]

    def __init__(self, device: torch.device | str = "cpu", *, enabled: bool = False) -> None:
        self.device = torch.device(device)
        self.enabled = enabled
        self.now = time.perf_counter
        self._totals: dict[str, float] = {}
        self._stack: list[str] = []
        self._since = 0.0

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Count the time inside the block for `name`."""
        if not self.enabled:
            yield
            return
        self._switch()
        self._stack.append(name)
        try:
            yield
        finally:
            self._switch()
            self._stack.pop()

    def totals(self) -> dict[str, float]:
        """Seconds by name since the last reset."""
        return dict(self._totals)

    def reset(self) -> None:
        """Forget what was counted."""
        self._totals.clear()

    def _switch(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = self.now()
        if self._stack:
            self._totals[self._stack[-1]] = self._totals.get(self._stack[-1], 0.0) + now - self._since
        self._since = now
