"""How well a few points find an object: mean overlap with the truth on the first frames of a DAVIS folder.

    python examples/points_on_davis.py DAVIS --draws 3

Points are drawn at random, three on the object and two beside it, from the same seeds each time.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agss_model import load_model, open_source
from agss_model.evaluation import open_dataset
from agss_model.masks.labels import BoolMask
from agss_model.masks.points import Point
from agss_model.runs.given.hints import found_by

ON, BESIDE = 3, 2
NEAR = 0.5
"""Points beside an object lie in its box, enlarged by this share of its sides."""


def points(mask: BoolMask, rng: np.random.Generator) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """Points on an object and beside it.

    Args:
        mask: (H, W) bool, of the object.
        rng: draws them.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    more = [int(NEAR * (edges[-1] - edges[0] + 1)) for edges in (rows, columns)]
    around = np.zeros_like(mask)
    around[max(0, rows[0] - more[0]) : rows[-1] + more[0] + 1, max(0, columns[0] - more[1]) : columns[-1] + more[1]] = 1
    return _drawn(mask, ON, rng), _drawn(around & ~mask, BESIDE, rng)


def _drawn(area: BoolMask, count: int, rng: np.random.Generator) -> tuple[Point, ...]:
    places: npt.NDArray[np.int64] = np.argwhere(area)
    return tuple((float(x), float(y)) for y, x in places[rng.integers(len(places), size=count)])


def main() -> None:
    """Print the overlap of each sequence, and the mean of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="in DAVIS' layout")
    parser.add_argument("--draws", type=int, default=3, help="of points, for each sequence")
    parser.add_argument("--weights", default="lite")
    asked = parser.parse_args()
    find = partial(found_by, load_model(asked.weights))
    means = []
    for place, sequence in enumerate(open_dataset(asked.folder)):
        mask = sequence.truth_and_void(0)[0] > 0
        with open_source(sequence.frames[0].parent) as source:
            frame = source.read(0)
        overlaps = []
        for draw in range(asked.draws):
            found = find(frame, *points(mask, np.random.default_rng([place, draw])))
            overlaps.append((found & mask).sum() / (found | mask).sum())
        means.append(np.mean(overlaps))
        print(f"{sequence.name}: " + ", ".join(f"{overlap:.2f}" for overlap in overlaps), flush=True)
    print(f"mean {np.mean(means):.3f}")


if __name__ == "__main__":
    main()
