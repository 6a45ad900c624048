"""Long clips: memory stays where it was, whatever comes and goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agss_model.tracker import Tracker


def resident_mib() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("reads memory from /proc, which this system does not have")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@pytest.mark.slow
def test_memory_is_flat_over_many_frames_with_objects_coming_and_going(lite, make_scene):
    scene = make_scene(objects=2, size=(96, 128))
    tracker = Tracker(lite)
    tracker.add(scene.frame(0), scene.masks(0))
    readings = []
    for t in range(1, 1301):
        if t % 100 == 0:
            tracker.remove([2])
        if t % 100 == 10 and 2 not in tracker.object_ids:
            tracker.add(scene.frame(t % 30), {2: scene.masks(t % 30)[2]})
        tracker.step(scene.frame(t % 30))
        if t % 50 == 0:
            readings.append(resident_mib())
    early, late = np.mean(readings[4:8]), np.mean(readings[-4:])
    assert late - early < 12, f"memory grew from {early:.0f} to {late:.0f} MiB"
    assert len(tracker.memory.permanent) <= lite.config.max_references
