"""What both thinnings of polygon tracks must keep, the job's in Python and the button's in JavaScript.

They choose differently, but one table of clips holds for both: within the tolerance on every frame as CVAT shows it,
and not more keyframes or corners than the table says.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from agss_model.masks.cvat_shapes import largest_part


@dataclass(frozen=True)
class Case:
    """A clip of one object, and the most that a thinning may need for it."""

    kind: str
    frames: int
    tolerance: float
    keyframes: int
    corners: int

    def masks(self):
        """Of each frame, (180, 240) bool."""
        return [self._mask(t) for t in range(self.frames)]

    def _mask(self, t):
        mask = np.zeros((180, 240), np.uint8)
        if self.kind == "moves":
            cv2.rectangle(mask, (20 + 4 * t, 40 + t), (70 + 4 * t, 90 + t), 1, -1)
        elif self.kind == "grows":
            cv2.ellipse(mask, (100, 90), (20 + t, 30 + t // 2), 20, 0, 360, 1, -1)
        elif self.kind == "turns":
            corners = cv2.boxPoints(((110 + t, 90), (80, 40), 3.0 * t))
            cv2.fillPoly(mask, [corners.round().astype(int)], 1)
        elif self.kind == "walks":  # two legs that swing
            cv2.ellipse(mask, (60 + 4 * t, 70), (40, 25), 0, 0, 360, 1, -1)
            for x, phase in ((35, 0), (85, 2)):
                foot = x + 4 * t + round(14 * np.sin(t + phase))
                cv2.line(mask, (x + 4 * t, 80), (foot, 140), 1, 11)
        else:
            cv2.circle(mask, (60 + 3 * t, 90), 30, 1, -1)
            noise = cv2.GaussianBlur(np.random.default_rng(t).random(mask.shape).astype(np.float32), (0, 0), 2)
            mask &= (noise > np.quantile(noise, 0.1)).astype(np.uint8)
        return mask.astype(bool)


CASES = [
    Case("moves", 24, 1.5, keyframes=2, corners=4),
    Case("grows", 24, 2.0, keyframes=2, corners=13),
    Case("turns", 24, 1.5, keyframes=4, corners=4),
    Case("turns", 24, 4.0, keyframes=3, corners=4),
    Case("walks", 12, 2.0, keyframes=12, corners=23),
    Case("ragged", 12, 2.0, keyframes=12, corners=27),
]


def shown(keys, frame):
    """The polygon that CVAT shows in a frame, (N, 2), and whether it pairs the corners as they are numbered."""
    before, after = max(k for k in keys if k <= frame), min(k for k in keys if k >= frame)
    one, two = keys[before], keys[after]
    if before == after:
        return one
    assert len(one) == len(two), f"polygons of {before} and {after} do not correspond"
    a, b = shares(one), shares(two)
    nearest = np.abs(a[:, None] - b[None]).argmin(axis=1)
    assert nearest.tolist() == list(range(len(a))), f"CVAT pairs the corners of {before} and {after} otherwise"
    part = (frame - before) / (after - before)
    return one * (1 - part) + two * part


def shares(ring):
    """Of the closed length, at each corner and at the end: what CVAT pairs corners by."""
    lengths = np.hypot(*np.diff(np.vstack([ring, ring[:1]]), axis=0).T)
    return np.concatenate([[0.0], np.cumsum(lengths)]) / lengths.sum()


def distance(points, ring):
    """Largest distance of points from a closed ring, in pixels."""
    along = np.roll(ring, -1, axis=0) - ring
    part = ((points[:, None] - ring) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12)
    nearest = ring + part.clip(0, 1)[..., None] * along
    return float(np.linalg.norm(points[:, None] - nearest, axis=-1).min(axis=1).max())


def check(case, keys):
    """Everything the table promises, for keyframes {frame: (N, 2)}."""
    assert {0, case.frames - 1} <= keys.keys()
    for frame, mask in enumerate(case.masks()):
        outline, polygon = largest_part(mask).outer, shown(keys, frame)
        assert max(distance(outline, polygon), distance(polygon, outline)) <= case.tolerance + 1e-6, frame
    corners = sum(map(len, keys.values())) / len(keys)
    found = f"{len(keys)} keyframes with {corners:.1f} corners"
    assert len(keys) <= case.keyframes, found
    assert corners <= case.corners, found
