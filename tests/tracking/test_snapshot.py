from __future__ import annotations

import numpy as np

from agss_model.tracking.tracker import Tracker


def test_another_tracker_continues_from_a_snapshot_with_the_same_masks(lite, scene):
    first = Tracker(lite)
    first.add(scene.frame(0), scene.masks(0))
    for t in range(1, 4):
        first.step(scene.frame(t))
    second = Tracker(lite)
    second.restore(first.snapshot())
    for t in range(4, 9):
        expected, found = first.step(scene.frame(t)), second.step(scene.frame(t))
        assert np.array_equal(expected.label_map, found.label_map)
        assert expected.scores == found.scores
        assert expected.frame_index == found.frame_index
