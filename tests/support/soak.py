"""Long runs: memory read now and then, and whether it stayed where it was."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from agss_model.system.allocator import give_back_memory

GROWTH = 0.05
"""Share by which memory may differ between an early and a late stretch."""


def resident_mib() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("reads memory from /proc, which this system does not have")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


class Soak:
    """Readings of this process over so many steps, forty of them evenly apart."""

    def __init__(self, steps: int) -> None:
        self.steps, self.every = steps, max(1, steps // 40)
        self.readings: dict[int, float] = {}

    def note(self, step: int) -> None:
        """Call after each step, counted from 1."""
        if step % self.every == 0:
            # What is held counts, not what the allocator keeps: earlier tests of the process may have told it to.
            gc.collect()
            give_back_memory(0)
            self.readings[step] = resident_mib()
            if step % 1000 == 0:
                print(f"{step}: {self.readings[step]:.0f} MiB", flush=True)

    def check(self) -> None:
        """Compare a tenth of the run early on, after it has warmed up, with the last tenth."""
        values = list(self.readings.values())
        early, late = np.mean(values[6:10]), np.mean(values[-4:])
        assert late - early < GROWTH * early, f"memory grew from {early:.0f} to {late:.0f} MiB: {self.readings}"

    def told(self):
        """Readings at the start, in the middle and at the end."""
        values = list(self.readings.values())
        return "MiB at start, middle, end: " + ", ".join(f"{values[k]:.0f}" for k in (0, len(values) // 2, -1))
