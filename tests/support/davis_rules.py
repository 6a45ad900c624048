"""DAVIS' semi-supervised measure once more, as plainly as it can be written: nothing of the project is used."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import distance_transform_edt


def border(mask):
    """Pixels unlike their neighbour to the right, below, or both; the last row and column have one neighbour less."""
    found = np.zeros(mask.shape, bool)
    found[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    found[:-1] |= mask[:-1] != mask[1:]
    found[:-1, :-1] |= mask[:-1, :-1] != mask[1:, 1:]
    return found


def share_near(ours, theirs, radius):
    return (distance_transform_edt(~theirs) <= radius)[ours].mean()


def contour(found, truth):
    """F of one mask."""
    radius = math.ceil(0.008 * math.sqrt(truth.shape[0] ** 2 + truth.shape[1] ** 2))
    ours, theirs = border(found), border(truth)
    if not ours.any() or not theirs.any():
        return float(ours.any() == theirs.any())
    precision, recall = share_near(ours, theirs, radius), share_near(theirs, ours, radius)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def overlap(found, truth):
    """J of one mask."""
    union = (found | truth).sum()
    return (found & truth).sum() / union if union else 1.0


def j_and_f(found, truth, *, last=False):
    """The mean of J and F over objects; the first frame is given, and the last is left out unless it is asked for.

    Args:
        found: (H, W) label maps of all frames.
        truth: likewise.
        last: score the last frame as well.
    """
    ids = [int(i) for i in np.unique(truth[0]) if i]
    frames = range(1, len(truth) if last else len(truth) - 1)
    values = [
        np.mean(
            [[overlap(found[t] == i, truth[t] == i), contour(found[t] == i, truth[t] == i)] for t in frames], axis=0
        )
        for i in ids
    ]
    return float(np.mean(values))
