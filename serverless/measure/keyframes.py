"""How many keyframes polygon tracks of tracked masks need, and the fewest that any polygons could do with.

    agss track clip.mp4 --masks first.png --to 39 --out run
    python -m serverless.measure.keyframes run --tolerance 2

For every object of every run, in the longest stretch of frames in which it is seen: keyframes, corners beside those of
Douglas and Peucker's rule, the overlap with the masks as CVAT shows it, and processor time. Beside them two bounds that
look only at how far outlines reach in sixteen directions. `least` holds for any polygons: how far the farthest of
vertices reaches, each of which moves in a straight line, is a convex function of time. `likely` supposes that the
farthest vertex stays the farthest, so that it is a straight line.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agss_model.cvat.polygons.keyframes import LEAST, TOLERANCE, Key, thin
from agss_model.cvat.polygons.outlines import Outline, simplified
from agss_model.masks.cvat_shapes import largest_part
from agss_model.masks.files import read_label_map
from agss_model.masks.labels import BoolMask
from agss_model.masks.polygons import Polygon, Ring, fitting, polygons_to_mask

Floats = npt.NDArray[np.float64]
Reaches = Callable[[Floats, Floats, Floats], bool]

DIRECTIONS = 16
SMALLEST = 20  # pixels; less is a remnant


@dataclass(frozen=True)
class Need:
    """What the track of an object needs.

    Attributes:
        name: of run and object.
        frames: in which it is seen without interruption.
        keyframes: chosen.
        least: no polygons whatsoever need fewer.
        likely: nor do these, if the vertices that reach farthest stay the farthest.
        corners: mean over keyframes.
        simplest: corners by Douglas and Peucker's rule, mean over frames.
        overlap: mean IoU with the masks of what CVAT shows.
        seconds: of processor time.
    """

    name: str
    frames: int
    keyframes: int
    least: int
    likely: int
    corners: float
    simplest: float
    overlap: float
    seconds: float


def need(name: str, frames: Sequence[int], masks: Sequence[BoolMask], tolerance: float) -> Need:
    """Measure one object.

    Args:
        name: of it.
        frames: ascending numbers.
        masks: (H, W) bool in each, none empty.
        tolerance: pixels.
    """
    rings = [largest_part(mask).outer for mask in masks]
    began = time.process_time()
    keys = thin(frames, rings, tolerance)
    seconds = time.process_time() - began
    within = np.array([fitting(tolerance, ring) for ring in rings])
    corners = [len(simplified(Outline(ring), tight)) for ring, tight in zip(rings, within, strict=True)]
    return Need(
        name=name,
        frames=len(frames),
        keyframes=len(keys),
        least=_fewest(frames, rings, within, _convex),
        likely=_fewest(frames, rings, within, _straight),
        corners=round(float(np.mean([len(key.points) for key in keys])), 1),
        simplest=round(float(np.mean(corners)), 1),
        overlap=round(float(np.mean(list(_overlaps(keys, frames, rings)))), 3),
        seconds=round(seconds, 2),
    )


def _fewest(frames: Sequence[int], rings: Sequence[Ring], within: Floats, reaches: Reaches) -> int:
    """Keyframes, if each stretch between two is as long as its reach in every direction allows."""
    angle = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    reach = np.stack([(ring @ np.stack([np.cos(angle), np.sin(angle)])).max(axis=0) for ring in rings])
    low, high = reach - within[:, None], reach + within[:, None]
    at = np.asarray(frames, np.float64)
    start, count = 0, 1
    while start < len(at) - 1:
        end = start + 1
        while end + 1 < len(at) and all(
            reaches(at[start : end + 2], low[start : end + 2, k], high[start : end + 2, k]) for k in range(DIRECTIONS)
        ):
            end += 1
        start, count = end, count + 1
    return count


def _convex(at: Floats, low: Floats, high: Floats) -> bool:
    """Whether some convex function lies between two others at every time."""
    for middle in range(1, len(at) - 1):
        before, after = np.arange(middle)[:, None], np.arange(middle + 1, len(at))[None]
        share = (at[middle] - at[before]) / (at[after] - at[before])
        if (high[before] * (1 - share) + high[after] * share < low[middle]).any():
            return False
    return True


def _straight(at: Floats, low: Floats, high: Floats) -> bool:
    """Whether some straight line does."""
    one, two = np.triu_indices(len(at), 1)
    spans = at[two] - at[one]
    return bool(((low[two] - high[one]) / spans).max() <= ((high[two] - low[one]) / spans).min())


def _overlaps(keys: Sequence[Key], frames: Sequence[int], rings: Sequence[Ring]) -> Iterator[float]:
    """IoU in each frame of what CVAT shows and the outline."""
    spans = [(one, two) for one, two in pairwise([*keys, keys[-1]])]
    for frame, ring in zip(frames, rings, strict=True):
        one, two = next((a, b) for a, b in spans if a.frame <= frame < b.frame or frame == a.frame)
        share = (frame - one.frame) / max(1, two.frame - one.frame)
        shown = one.points if frame == one.frame else one.points + (two.points - one.points) * share
        low = np.floor(np.minimum(shown.min(axis=0), ring.min(axis=0)))
        width, height = (np.ceil(np.maximum(shown.max(axis=0), ring.max(axis=0))) - low).astype(int)
        a, b = (polygons_to_mask([Polygon(r - low)], width=width, height=height) for r in (shown, ring))
        yield float((a & b).sum() / (a | b).sum())


def objects(run: Path) -> Iterator[tuple[str, list[int], list[BoolMask]]]:
    """Of each object of a run its name, and the longest stretch of frames in which it is seen, with its masks.

    Args:
        run: as `agss track` writes it, masks named by frame numbers.
    """
    maps = {int(path.stem): read_label_map(path) for path in sorted((run / "masks").glob("*.png"))}
    for number in np.unique(np.stack(list(maps.values())))[1:]:
        stretches: list[list[int]] = [[]]
        for frame in sorted(maps):
            if (maps[frame] == number).sum() >= SMALLEST:
                stretches[-1].append(frame)
            elif stretches[-1]:
                stretches.append([])
        longest = max(stretches, key=len)
        if longest:
            yield f"{run.name} {number}", longest, [maps[frame] == number for frame in longest]


def main() -> None:
    """Print a line for each object and tolerance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("runs", type=Path, nargs="+", help="folders that agss track has written")
    parser.add_argument("--tolerance", type=float, nargs="+", default=[TOLERANCE], help=f"pixels, from {LEAST}")
    parser.add_argument("--skip", type=int, default=0, help="frames at the beginning, such as a rough first mask")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    asked = parser.parse_args()
    found = []
    for run in asked.runs:
        for name, frames, masks in objects(run):
            for tolerance in asked.tolerance:
                one = need(name, frames[asked.skip :], masks[asked.skip :], tolerance)
                found.append({"tolerance": tolerance, **asdict(one)})
                print(", ".join(f"{key} {value}" for key, value in found[-1].items()), flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
