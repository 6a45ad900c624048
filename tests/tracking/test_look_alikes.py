"""Many small objects that look the same: nothing but their places tells them apart."""

from __future__ import annotations

import numpy as np

from agss_model.tracking.tracker import Tracker
from agss_model.weights import load_model


def discs(step, rows=8, columns=12, spacing=44):
    """(H, W, 3) frame and (H, W) label map of round cells that drift, each in its own direction."""
    rng = np.random.default_rng(0)
    frame = np.full((rows * spacing, columns * spacing, 3), 40, np.float32)
    frame += rng.normal(0, 6, frame.shape)
    labels = np.zeros(frame.shape[:2], np.uint8)
    y, x = np.mgrid[: frame.shape[0], : frame.shape[1]]
    for number in range(rows * columns):
        angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(5, 8)
        row, column = divmod(number, columns)
        centre = (
            (row + 0.5) * spacing + 2.5 * step * np.sin(angle),
            (column + 0.5) * spacing + 2.5 * step * np.cos(angle),
        )
        inside = np.hypot(y - centre[0], x - centre[1]) <= radius
        frame[inside] += 90
        labels[inside] = number + 1
    return frame.clip(0, 255).astype(np.uint8), labels


def overlap(found, truth):
    ids = range(1, int(truth.max()) + 1)
    return np.mean([((found == i) & (truth == i)).sum() / ((found == i) | (truth == i)).sum() for i in ids])


def test_they_are_tracked_at_least_as_well_as_by_leaving_their_masks_in_place():
    tracker = Tracker(load_model("lite"))
    frame, first = discs(0)
    tracker.add(frame, {i: first == i for i in range(1, int(first.max()) + 1)})
    for step in (1, 2):
        frame, truth = discs(step)
        result = tracker.step(frame)
        assert overlap(result.label_map, truth) > max(0.7, overlap(first, truth))
    assert not result.lost
